//! The state of a token bucket: a theoretical arrival time (TAT) in one atomic word, and an epoch
//! that keeps it unambiguous.
//!
//! # State
//!
//! * `word`: the TAT in grains, modulo 2^64. A TAT at or before the clock is a full bucket, and
//!   every charge moves it later. Every admission writes it. It guards no memory except the epoch.
//! * `epoch`: the start of the current epoch in nanoseconds, a multiple of half an epoch's length.
//!   It only grows, once per half an epoch: every 18 years for a rate such as 10 per second, every
//!   6 days for 10^12 per second, never more often than once an hour. So it is nearly constant.
//!
//! # Invariants
//!
//! The length of an epoch is at most 2^60 grains (`gcra::arithmetic::MAX_LEVEL`).
//!
//! 1. A decision loads the TAT first and the epoch second. The clock reading that it uses lies in
//!    `[epoch, epoch + length)`. It then confirms the TAT, either by the exchange that charges it
//!    or by a second load that finds it unchanged.
//! 2. Before the epoch advances, a TAT older than the new epoch is raised to it. To every clock
//!    reading that can be used from then on, the old and the raised TAT are both a full bucket.
//! 3. So a TAT and the reading that it is compared with are less than 2^63 grains apart. Their
//!    distance modulo 2^64, taken as signed, is the true one, however long the bucket was idle and
//!    whatever the clock says.
//!    * *Ahead*: a TAT is at most 2 * 2^60 grains ahead of the reading that wrote it: a capacity
//!      and a debt. So it is less than 3 * 2^60 ahead of the writer's epoch. The decision's epoch
//!      is at least as new.
//!    * *Behind*: the TAT was in the word after the epoch had advanced. Either it was at or after
//!      the epoch when the epoch advanced, or an overtaken thread wrote it later. The exchange of
//!      such a thread succeeds only if the word has not changed. An unchanged word was not raised,
//!      so it kept the epoch within those 3 * 2^60 grains of the writer's epoch. Readings are less
//!      than 2^60 beyond the epoch.
//!
//! One limit remains. A thread may be stopped between its two loads until the word has gone around
//! the whole circle, which takes 39 hours at the least. If the word then holds the very same value,
//! the thread takes the new TAT for the old one. So does a caller that holds a charge for that long
//! before it undoes it.
//!
//! # Orderings
//!
//! The bound needs only the modification order of `word`: each value is replaced, and its tokens
//! spent, once. A load and a store instead of the exchange would break it (`lost_update`), and so
//! would a charge that starts at a stale clock reading whatever the TAT (`stale_rebase`).
//!
//! The word is exchanged with Release and loaded with Acquire, so a thread that sees a TAT then
//! sees an epoch at least as new as the one it was written under (`relaxed_word`). The epoch is
//! advanced with Release and loaded with Acquire, so a thread that sees it does not confirm a TAT
//! from before it was raised (`relaxed_epoch`). The two pairs matter only to a thread that would
//! otherwise see an epoch, or a TAT, from many advances ago.
//!
//! Without invariant 2, a bucket that was idle for 2^63 grains looks exhausted (`unraised_tat`). So
//! does a bucket whose refusal is not confirmed (`unconfirmed_refusal`). With readings from before
//! the epoch, an exhausted bucket looks idle (`unclamped_reading`).
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.
//!
//! A value that comes back after a credit, a reset or an undo is harmless, because a decision
//! depends on the value alone.
//!
//! # Progress
//!
//! Lock-free: a decision is repeated only because another thread changed the word or advanced the
//! epoch. After a failed exchange it pauses for a fixed time. Queries write nothing. A refusal
//! writes nothing either, except for the first call in half an epoch, which advances the epoch.

use core::convert::Infallible;
use core::fmt;

use crate::gcra::{Gcra, Now};
use crate::prepared_charge::Exchange;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, Closed, back_off, const_fn};

/// See the [module](self) documentation.
pub(crate) struct AtomicTat {
    pub(super) word: AtomicU64,
    pub(super) epoch: AtomicU64,
}

/// The epoch of a bucket whose successor has taken over, or is about to. No reading is in it.
#[cfg(any(feature = "std", tidegate_loom))]
pub(super) const CLOSED: u64 = u64::MAX;
/// The epoch of a bucket that has not taken over yet.
#[cfg(any(feature = "std", tidegate_loom))]
pub(super) const UNOPENED: u64 = u64::MAX - 1;
/// The last epoch.
pub(super) const LAST_EPOCH: u64 = u64::MAX - 2;

/// Why a decision charged nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal<E> {
    Denied(E),
    Closed(Closed),
}

impl<E> From<Closed> for Refusal<E> {
    fn from(closed: Closed) -> Self {
        Self::Closed(closed)
    }
}

impl AtomicTat {
    const_fn! {
        /// A full bucket, for any clock reading.
        pub(crate) const fn full() -> Self {
            Self { word: AtomicU64::new(0), epoch: AtomicU64::new(0) }
        }
    }

    const_fn! {
        #[cfg(any(feature = "std", tidegate_loom))]
        pub(super) const fn raw(word: u64, epoch: u64) -> Self {
            Self { word: AtomicU64::new(word), epoch: AtomicU64::new(epoch) }
        }
    }

    /// Whether a successor has taken over, or is about to.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn check_open_now(&self) -> Result<(), Closed> {
        // Acquire: pairs with the Release in `Handover::close`, so that the successor is seen.
        Self::check_open(self.epoch.load(Acquire))
    }

    #[cfg(not(any(feature = "std", tidegate_loom)))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "the same call as with std"
    )]
    pub(crate) const fn check_open_now(&self) -> Result<(), Closed> {
        Ok(())
    }

    /// Loads the TAT first and the epoch second.
    #[inline]
    fn words(&self) -> (u64, u64) {
        // Acquire: pairs with the Release of `replace`, `undo` and `advance_epoch`, so that the
        // epoch below is at least as new as this TAT.
        let tat = self.word.load(Acquire);
        // Acquire: pairs with the Release in `advance_epoch`, so that the TAT is confirmed against
        // the raised word.
        let epoch = self.epoch.load(Acquire);
        (tat, epoch)
    }

    /// Loads the TAT, and a clock reading that it can be compared with once it is
    /// [confirmed](Self::is_current).
    #[inline]
    pub(crate) fn load(&self, gcra: &Gcra, nanos: u64) -> Result<(u64, Now), Closed> {
        let (tat, epoch) = self.words();
        let usable = if gcra.covers(epoch, nanos) {
            nanos
        } else {
            self.advance_epoch(gcra, nanos)?
        };
        Ok((tat, gcra.now(usable).clamped_by(usable - nanos)))
    }

    /// [`load`](Self::load) without the rare case, in which the epoch does not cover the reading.
    #[inline]
    pub(crate) fn load_covered(&self, gcra: &Gcra, nanos: u64) -> Option<(u64, Now)> {
        let (tat, epoch) = self.words();
        gcra.covers(epoch, nanos).then(|| (tat, gcra.now(nanos)))
    }

    /// Whether the TAT is unchanged, now that the epoch has been loaded.
    #[inline]
    pub(crate) fn is_current(&self, tat: u64) -> bool {
        // Relaxed: the Acquire of the epoch orders it last, and the value is only compared.
        self.word.load(Relaxed) == tat
    }

    /// Loads a TAT and a clock reading that can be compared. Writes nothing, whatever the reading.
    #[inline]
    pub(crate) fn load_current(&self, gcra: &Gcra, nanos: u64) -> Result<(Now, u64), Closed> {
        loop {
            let (tat, epoch) = self.words();
            let usable = if gcra.covers(epoch, nanos) {
                nanos
            } else {
                Self::comparable(gcra, epoch, nanos)?
            };
            if self.is_current(tat) {
                let behind = usable.saturating_sub(nanos);
                return Ok((gcra.now(usable).clamped_by(behind), tat));
            }
        }
    }

    /// The reading that stands for `nanos`, which may lie outside of the epoch.
    #[cold]
    fn comparable(gcra: &Gcra, epoch: u64, nanos: u64) -> Result<u64, Closed> {
        Self::check_open(epoch)?;
        // Four epochs later every TAT is a full bucket, and its distance is still less than half
        // the circle.
        let latest = epoch.saturating_add(gcra.half_epoch().saturating_mul(8));
        Ok(nanos.clamp(epoch, latest))
    }

    /// Advances the epoch until it covers `nanos`, and returns the reading to use: `nanos`, or the
    /// epoch if the clock stepped back behind it.
    #[cold]
    #[inline(never)]
    fn advance_epoch(&self, gcra: &Gcra, nanos: u64) -> Result<u64, Closed> {
        loop {
            // Acquire: pairs with the Release below, so that the word is at least as new as this
            // epoch.
            let epoch = self.epoch.load(Acquire);
            Self::check_open(epoch)?;
            if nanos <= epoch {
                return Ok(epoch);
            }
            // At most `nanos`, unless the epoch covers it.
            let next = epoch.saturating_add(gcra.half_epoch());
            if gcra.covers(epoch, nanos) || next > LAST_EPOCH {
                return Ok(nanos);
            }
            let then = gcra.now(next);
            // Acquire: as in `words`.
            let tat = self.word.load(Acquire);
            // Relaxed: only compared. A thread that was overtaken must not judge a newer TAT by an
            // older epoch.
            if self.epoch.load(Relaxed) != epoch {
                continue;
            }
            if Gcra::is_idle(tat, then) {
                // Release: as in `replace`; the epoch below publishes it. After a failure, another
                // thread has charged or raised the word: load it again.
                if self
                    .word
                    .compare_exchange(tat, then.grains(), Release, Relaxed)
                    .is_err()
                {
                    continue;
                }
            }
            // Release: pairs with the Acquire loads of the epoch, in `words` and above, which then
            // see the raised word. A failure means that another thread has advanced the epoch.
            let _ = self.epoch.compare_exchange(epoch, next, Release, Relaxed);
        }
    }

    #[cfg(any(feature = "std", tidegate_loom))]
    const fn check_open(epoch: u64) -> Result<(), Closed> {
        if epoch >= UNOPENED {
            Err(Closed)
        } else {
            Ok(())
        }
    }

    /// Without std, quotas do not change.
    #[cfg(not(any(feature = "std", tidegate_loom)))]
    #[expect(clippy::unnecessary_wraps, reason = "the same call as with std")]
    const fn check_open(_epoch: u64) -> Result<(), Closed> {
        Ok(())
    }

    /// Replaces the TAT by the one that `decide` returns, and returns its other result. If `decide`
    /// refuses, the refusal takes effect at the load that is confirmed, and writes nothing.
    #[expect(
        clippy::inline_always,
        reason = "with `decide` inlined, the loop stays in registers and unused hints are dropped"
    )]
    #[inline(always)]
    pub(crate) fn decide<R, E>(
        &self,
        gcra: &Gcra,
        nanos: u64,
        decide: impl Fn(Now, u64) -> Result<(u64, R), E>,
    ) -> Result<R, Refusal<E>> {
        loop {
            let (tat, now) = self.load(gcra, nanos)?;
            if let Some(decided) = self.settle(tat, decide(now, tat)) {
                return decided.map_err(Refusal::Denied);
            }
        }
    }

    /// [`decide`](Self::decide) in the usual case: the epoch covers the reading, and no other
    /// thread comes in between. `None` in all others, in which nothing has changed.
    ///
    /// Without a loop and without calls, it needs no registers that have to be saved first.
    #[expect(clippy::inline_always, reason = "as `decide`")]
    #[inline(always)]
    pub(crate) fn decide_once<R, E>(
        &self,
        gcra: &Gcra,
        nanos: u64,
        decide: impl Fn(Now, u64) -> Result<(u64, R), E>,
    ) -> Option<Result<R, E>> {
        let (tat, now) = self.load_covered(gcra, nanos)?;
        self.settle(tat, decide(now, tat))
    }

    /// Makes a decision about a TAT take effect; `None` if the TAT has changed.
    #[expect(clippy::inline_always, reason = "as `decide`")]
    #[inline(always)]
    fn settle<R, E>(&self, tat: u64, decision: Result<(u64, R), E>) -> Option<Result<R, E>> {
        match decision {
            Ok((next, result)) if self.replace(tat, next) => Some(Ok(result)),
            Ok(_) => {
                back_off();
                None
            }
            Err(refusal) if self.is_current(tat) => Some(Err(refusal)),
            Err(_) => None,
        }
    }

    /// Replaces the TAT by the result of `change`.
    pub(crate) fn update(
        &self,
        gcra: &Gcra,
        nanos: u64,
        change: impl Fn(Now, u64) -> u64,
    ) -> Result<(), Closed> {
        let changed =
            self.decide::<(), Infallible>(gcra, nanos, |now, tat| Ok((change(now, tat), ())));
        changed.map_err(|refusal| match refusal {
            Refusal::Closed(closed) => closed,
            Refusal::Denied(never) => match never {},
        })
    }

    /// Reverses a charge that turned `before` into `after`, if the TAT is still `after`.
    ///
    /// The TAT may have changed and come back to `after`. Then everything that was charged in
    /// between was also credited, reset or undone, which the bound allows for.
    pub(crate) fn undo(&self, gcra: &Gcra, before: u64, after: u64) -> bool {
        // Relaxed: an epoch that is one step old raises a little less, which invariant 3 covers.
        let epoch = self.epoch.load(Relaxed);
        if Self::check_open(epoch).is_err() {
            // No instant, so nothing to raise to (`undone_when_closed`).
            return false;
        }
        let epoch = gcra.now(epoch);
        // Not before the epoch. Otherwise charges that are held for long and then undone one after
        // the other could move the TAT back without limit.
        let before = if Gcra::is_idle(before, epoch) {
            epoch.grains()
        } else {
            before
        };
        // Release: as in `replace`.
        self.word
            .compare_exchange(after, before, Release, Relaxed)
            .is_ok()
    }

    /// An exchange that fails, of a bucket whose word no longer changes.
    pub(crate) fn stale_exchange(&self) -> Exchange {
        // Relaxed: the word no longer changes, and any other value does.
        let after = self.word.load(Relaxed);
        let before = !after;
        Exchange { before, after }
    }

    /// Exchanges a TAT that was [loaded](Self::load), if it is still current.
    #[inline]
    pub(crate) fn replace(&self, tat: u64, next: u64) -> bool {
        // Release: pairs with the Acquire loads of the word, so that a thread that sees this TAT
        // sees the epoch that it was written under. Nothing else travels with the word, and a word
        // has one modification order. Weak: every caller loads again on failure.
        self.word
            .compare_exchange_weak(tat, next, Release, Relaxed)
            .is_ok()
    }
}

impl fmt::Debug for AtomicTat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: for display.
        f.debug_struct("AtomicTat")
            .field("word", &self.word.load(Relaxed))
            .field("epoch", &self.epoch.load(Relaxed))
            .finish()
    }
}
