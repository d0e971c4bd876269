//! The state of a token bucket: a theoretical arrival time in one atomic word, and a epoch that keeps it unambiguous.
//!
//! # State
//!
//! * `word`: the TAT in grains, modulo 2^64. At or before the clock the bucket is full; every charge moves it later. Written
//!   by every admission. It guards no other memory.
//! * `epoch`: nanoseconds, a multiple of half a span. Only ever raised, once per half a span: every 18 years for a rate such
//!   as 10 per second, every 6 days for 10^12 per second, every hour or more for any rate, so it is as good as constant.
//!
//! # Invariants
//!
//! Let `span` be the time of at most 2^60 grains (`gcra::MAX_LEVEL`).
//!
//! 1. A decision looks at the TAT first and at the epoch second, its clock reading lies in `[epoch, epoch + span)`, and the TAT is
//!    confirmed after that: by the exchange that charges it, or by a second look that finds it unchanged.
//! 2. When the epoch is raised, a TAT before it has been raised to it first. To every clock reading that can be used from then
//!    on, both are a full bucket.
//! 3. So a TAT and a reading that are compared are less than 2^63 grains apart, and their distance modulo 2^64, taken as
//!    signed, is the true one, however long a bucket was idle and whatever the clock says. *Ahead*: a TAT is at most
//!    2 * 2^60 ahead of the reading that wrote it (capacity and debt), that is less than 2^60 ahead of the writer's epoch, and
//!    the decision's epoch is at least as new as that. *Behind*: the TAT was still there when the epoch had been raised, so it was
//!    at or after the epoch then, or it was written since by somebody who was overtaken. Such a writer succeeds only if the word
//!    has not changed, and then the word, not being raised, has kept the epoch within those 3 * 2^60 of the writer's; readings
//!    are less than 2^60 beyond the epoch.
//!
//! (A caller who is stopped between its two looks until the word has gone around the whole circle, 39 hours at the least, and has
//! come to the very same grain, takes one for the other. So does one who holds a charge for that long before undoing it.)
//!
//! # Orderings
//!
//! The bound (G1) needs only the modification order of `word`: each value is replaced, and its tokens spent, once. Load and
//! store instead of the exchange would break it (`mutants::lost_update`), and so would a charge that starts at a stale clock
//! reading whatever the TAT (`mutants::stale_rebase`).
//!
//! The word is exchanged with Release and read with Acquire, so that who sees a TAT sees, after it, a epoch at least as new as
//! the one it was made under. The epoch is raised with Release and read with Acquire, so that who sees it does not confirm a
//! TAT from before it was raised. Without invariant 2 a bucket that was idle for 2^63 grains looks exhausted
//! (`mutants::unraised_tat`), so does one whose refusal is not confirmed (`mutants::unconfirmed_refusal`), and with readings
//! before the epoch one that is exhausted looks idle (`mutants::unclamped_reading`). The two pairs are
//! needed where a epoch is read that is many raises old (`mutants::relaxed_word`), or a TAT from before them
//! (`mutants::relaxed_mark`).
//!
//! A value that comes back, after a credit, a reset or an undo, is harmless: a decision depends on the value alone.
//!
//! # Progress
//!
//! Lock-free: a decision is made again only because somebody else changed the word or raised the epoch. Whoever only asks writes
//! nothing; a refusal neither, but for the first call in half a span, which raises the epoch.

use core::convert::Infallible;
use core::fmt;

use crate::gcra::{Gcra, Now};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, const_fn};

/// See the [module](self) documentation.
pub(crate) struct AtomicTat {
    word: AtomicU64,
    epoch: AtomicU64,
}

impl AtomicTat {
    const_fn! {
        /// A bucket that was full at the origin of its clock, and is full now.
        pub(crate) const fn full() -> Self {
            Self { word: AtomicU64::new(0), epoch: AtomicU64::new(0) }
        }
    }

    /// The TAT, and a clock reading that it can be compared with once it is [confirmed](Self::is_current).
    #[inline]
    pub(crate) fn load(&self, gcra: &Gcra, nanos: u64) -> (u64, Now) {
        // Acquire: meets the Release in `replace`, so that the epoch below is at least as new as this TAT.
        let tat = self.word.load(Acquire);
        // Acquire: meets the Release in `advance_epoch`, so that the TAT is confirmed against the word that was raised.
        let epoch = self.epoch.load(Acquire);
        let usable = if gcra.spans(epoch, nanos) {
            nanos
        } else {
            self.advance_epoch(gcra, nanos)
        };
        (tat, gcra.now(usable).clamped_by(usable - nanos))
    }

    /// Whether the TAT is what it was, now that the epoch has been read.
    #[inline]
    pub(crate) fn is_current(&self, tat: u64) -> bool {
        // Relaxed: the Acquire of the epoch keeps it last, and it is only compared.
        self.word.load(Relaxed) == tat
    }

    /// A clock reading and the TAT, such that the two can be compared. Writes nothing, whatever the reading.
    #[inline]
    pub(crate) fn load_current(&self, gcra: &Gcra, nanos: u64) -> (Now, u64) {
        loop {
            // Acquire, twice: as in `load`.
            let tat = self.word.load(Acquire);
            let epoch = self.epoch.load(Acquire);
            // Four spans on, every TAT is a full bucket, and their distance is still less than half the circle.
            let latest = epoch.saturating_add(gcra.half_span().saturating_mul(8));
            let usable = nanos.clamp(epoch, latest);
            if self.is_current(tat) {
                let behind = usable.saturating_sub(nanos);
                return (gcra.now(usable).clamped_by(behind), tat);
            }
        }
    }

    /// Raises the epoch until `nanos` lies within a span of it, and returns the reading to use: `nanos`, or the epoch if the clock
    /// stepped back so far (a clock that steps back counts as standing still).
    #[cold]
    #[inline(never)]
    fn advance_epoch(&self, gcra: &Gcra, nanos: u64) -> u64 {
        loop {
            // Acquire: meets the Release below, so that the word is at least as new as this epoch.
            let epoch = self.epoch.load(Acquire);
            if nanos < epoch {
                return epoch;
            }
            if gcra.spans(epoch, nanos) {
                return nanos;
            }
            // At most `nanos`, as a whole span fits.
            let next = epoch + gcra.half_span();
            let then = gcra.now(next);
            // Acquire: as in `load`.
            let tat = self.word.load(Acquire);
            // Relaxed: only compared. A helper that was overtaken must not judge a newer TAT by an older epoch.
            if self.epoch.load(Relaxed) != epoch {
                continue;
            }
            if Gcra::is_idle(tat, then) {
                // Release: as in `replace`; the epoch below publishes it. On failure somebody charged or raised it: look again.
                if self
                    .word
                    .compare_exchange(tat, then.grains(), Release, Relaxed)
                    .is_err()
                {
                    continue;
                }
            }
            // Release: whoever reads this epoch (`load`, or above) sees the raised word. Failure means that another thread has
            // done it.
            let _ = self.epoch.compare_exchange(epoch, next, Release, Relaxed);
        }
    }

    /// Replaces the TAT by what `decide` makes of it, and returns what else it says, unless it refuses. A refusal takes effect
    /// at the look that is confirmed, and writes nothing.
    #[expect(
        clippy::inline_always,
        reason = "with `decide` inlined it is straight code in registers, without a hint that nobody reads"
    )]
    #[inline(always)]
    pub(crate) fn decide<R, E>(
        &self,
        gcra: &Gcra,
        nanos: u64,
        decide: impl Fn(Now, u64) -> Result<(u64, R), E>,
    ) -> Result<R, E> {
        loop {
            let (tat, now) = self.load(gcra, nanos);
            match decide(now, tat) {
                Ok((next, result)) if self.replace(tat, next) => return Ok(result),
                Err(refusal) if self.is_current(tat) => return Err(refusal),
                _ => {}
            }
        }
    }

    /// Replaces the TAT by what `change` makes of it.
    pub(crate) fn update(&self, gcra: &Gcra, nanos: u64, change: impl Fn(Now, u64) -> u64) {
        let Ok(()) =
            self.decide::<(), Infallible>(gcra, nanos, |now, tat| Ok((change(now, tat), ())));
    }

    /// Takes a charge back that turned `before` into `after`, if nothing was charged or given back since.
    ///
    /// Should `after` have come back meanwhile, then what was charged in between was credited, reset or undone as well, which
    /// is what the bound allows for.
    pub(crate) fn undo(&self, gcra: &Gcra, before: u64, after: u64) -> bool {
        // Relaxed: a epoch that is a step old raises a little less, which invariant 3 has room for.
        let epoch = gcra.now(self.epoch.load(Relaxed));
        // Not before the epoch, or charges that are held and undone in turn could lead back as far as they like.
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

    /// Exchanges a TAT that was [looked](Self::load) at, if it is still there.
    #[inline]
    pub(crate) fn replace(&self, tat: u64, next: u64) -> bool {
        // Release: meets the Acquire loads of the word, for the sake of the epoch; nothing else travels with it, and a
        // word has one modification order. Weak: every caller looks again on failure.
        self.word
            .compare_exchange_weak(tat, next, Release, Relaxed)
            .is_ok()
    }
}

impl fmt::Debug for AtomicTat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: a picture for people.
        f.debug_struct("AtomicTat")
            .field("word", &self.word.load(Relaxed))
            .field("epoch", &self.epoch.load(Relaxed))
            .finish()
    }
}
