//! The limiter of one key: a word if it is a plain bucket, else the limiter itself.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use crate::clock::Clock;
use crate::denied::Denied;
use crate::gcra::{Now, Shortfall, WordGcra};
use crate::keyed::key_charge::{LimiterCharge, WordCharge};
use crate::limiter::Limiter;
use crate::prepared_charge::AsOf;
use crate::quota::Quota;
use crate::snapshot::Snapshot;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;
use crate::wait::sealed::Waits;
use crate::wait::{Hold, Instants, from_now};

/// The bucket of one key: a TAT in grains of a [`WordGcra`].
///
/// The word guards no other memory, and the lock of its shard orders its operations with its
/// eviction. So all of them are Relaxed.
#[derive(Debug)]
pub(super) struct KeyTat(AtomicU64);

impl KeyTat {
    /// A full bucket.
    pub(super) const fn full() -> Self {
        Self(AtomicU64::new(0))
    }

    /// A bucket of another quota, with as many tokens.
    fn changed(&self, old: &WordGcra, new: &WordGcra, now: Timestamp) -> Self {
        Self(AtomicU64::new(new.taking_over(
            old,
            self.load(),
            now.as_nanos(),
        )))
    }

    /// Returns the TAT that the charge has left.
    #[inline]
    pub(super) fn charge(&self, gcra: &WordGcra, cost: u64, now: Now) -> Result<u64, Shortfall> {
        // Relaxed, all: see the type.
        let mut tat = self.0.load(Relaxed);
        loop {
            let next = gcra.admit(tat, now, cost)?;
            match self.0.compare_exchange_weak(tat, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(next),
                Err(other) => tat = other,
            }
        }
    }

    /// [`charge`](Self::charge) that returns what undoes it.
    fn charge_tokens(
        &self,
        gcra: &WordGcra,
        tokens: u64,
        cost: u64,
        now: Now,
    ) -> Result<WordCharge, Shortfall> {
        let mut before = self.load();
        loop {
            let after = gcra.admit(before, now, cost)?;
            match self.exchange(before, after) {
                Ok(()) => {
                    return Ok(WordCharge {
                        before,
                        after,
                        tokens,
                    });
                }
                Err(other) => before = other,
            }
        }
    }

    /// Reverses a charge if the word is still what the charge has left.
    ///
    /// The word may have changed and come back. Then all that was charged in between was credited,
    /// reset or undone, which the bound allows for. It does not come back with another limiter of
    /// the key: the bucket of an evicted key was full, and a new one is charged as of the eviction
    /// or later. A removed key is told by [`Origin`](crate::keyed::key_charge::Origin).
    fn undo(&self, charge: WordCharge) -> bool {
        self.exchange(charge.after, charge.before).is_ok()
    }

    /// Replaces the word by the result of `change`.
    fn update(&self, change: impl Fn(u64) -> u64) {
        let mut tat = self.load();
        while let Err(other) = self.exchange(tat, change(tat)) {
            tat = other;
        }
    }

    /// Not the weak exchange, which may fail for an undo that is tried once.
    fn exchange(&self, tat: u64, next: u64) -> Result<(), u64> {
        // Relaxed, both: see the type.
        let exchanged = self.0.compare_exchange(tat, next, Relaxed, Relaxed);
        exchanged.map(drop)
    }

    pub(super) fn is_full(&self, now: Now) -> bool {
        WordGcra::is_full(self.load(), now)
    }

    /// A bucket with this TAT.
    pub(super) const fn with_tat(tat: u64) -> Self {
        Self(AtomicU64::new(tat))
    }

    /// The reading, in grains, from which the bucket is full. It is never before the last charge.
    pub(super) fn full_from(&self) -> u64 {
        self.load()
    }

    pub(super) fn load(&self) -> u64 {
        // Relaxed: see the type.
        self.0.load(Relaxed)
    }
}

/// A quota that several keys have, and a bucket with that quota, which serves as a clock.
#[derive(Debug)]
pub(super) struct CommonQuota<L> {
    pub(super) bucket: L,
    pub(super) quota: Quota,
    pub(super) gcra: WordGcra,
    /// When it was set for one key, which is not evicted; `None` if the factory has made it.
    pub(super) set_at: Option<Timestamp>,
}

impl<L: Limiter> CommonQuota<L> {
    /// Takes a full bucket with this quota.
    ///
    /// # Errors
    ///
    /// The bucket, if a word would not last for a century.
    pub(super) const fn new(bucket: L, quota: Quota) -> Result<Self, L> {
        let gcra = WordGcra::new(quota);
        if gcra.lasts_for_a_century() {
            Ok(Self {
                bucket,
                quota,
                gcra,
                set_at: None,
            })
        } else {
            Err(bucket)
        }
    }
}

/// What a table stores for a key that does not have the first quota.
#[derive(Debug)]
pub(super) enum StoredLimiter<L> {
    /// A bucket with another quota that several keys have.
    Bucket(KeyTat, Arc<CommonQuota<L>>),
    /// Any other limiter.
    Whole {
        limiter: Box<L>,
        /// Whether its quota was set for this key.
        is_set: bool,
    },
}

impl<L> StoredLimiter<L> {
    /// Whether the quota was set for this key.
    pub(super) fn is_set(&self) -> bool {
        match self {
            Self::Bucket(_, common) => common.set_at.is_some(),
            Self::Whole { is_set, .. } => *is_set,
        }
    }

    pub(super) fn limiter(&self) -> KeyLimiter<'_, L> {
        match self {
            Self::Bucket(tat, common) => KeyLimiter::Bucket(tat, &common.gcra),
            Self::Whole { limiter, .. } => KeyLimiter::Whole(limiter),
        }
    }
}

impl<L: Limiter> StoredLimiter<L> {
    /// A limiter that the factory has made.
    pub(super) fn whole(limiter: L) -> Self {
        Self::Whole {
            limiter: Box::new(limiter),
            is_set: false,
        }
    }

    /// Whether the key can be evicted.
    pub(super) fn is_unused_at(&self, now: Timestamp) -> bool {
        !self.is_set() && self.limiter().is_unused_at(now)
    }

    /// As [`KeyLimiter::unused_from`].
    pub(super) fn unused_from(&self, now: Timestamp) -> u64 {
        if self.is_set() {
            u64::MAX
        } else {
            self.limiter().unused_from(now)
        }
    }
}

/// The limiter of a key that is about to be inserted.
#[derive(Debug)]
pub(super) enum NewLimiter<'a, L> {
    /// A bucket of the first quota.
    Bucket(KeyTat, &'a WordGcra),
    Other(StoredLimiter<L>),
}

impl<L> NewLimiter<'_, L> {
    pub(super) fn limiter(&self) -> KeyLimiter<'_, L> {
        match self {
            Self::Bucket(tat, gcra) => KeyLimiter::Bucket(tat, gcra),
            Self::Other(other) => other.limiter(),
        }
    }
}

/// The limiter of a key, in either form.
pub(super) enum KeyLimiter<'a, L> {
    Bucket(&'a KeyTat, &'a WordGcra),
    Whole(&'a L),
}

impl<L: Limiter> KeyLimiter<'_, L> {
    /// Gives a new limiter as many tokens as this one has, if both are buckets.
    pub(super) fn hand_over_at<'a>(
        &self,
        new: NewLimiter<'a, L>,
        now: Timestamp,
    ) -> NewLimiter<'a, L> {
        let Self::Bucket(tat, old) = self else {
            return new;
        };
        match new {
            NewLimiter::Bucket(_, gcra) => NewLimiter::Bucket(tat.changed(old, gcra, now), gcra),
            NewLimiter::Other(StoredLimiter::Bucket(_, common)) => {
                let tat = tat.changed(old, &common.gcra, now);
                NewLimiter::Other(StoredLimiter::Bucket(tat, common))
            }
            NewLimiter::Other(StoredLimiter::Whole { limiter, is_set }) => {
                // In whole tokens. A part of one is dropped.
                let (available, debt) = (
                    self.available_at(now),
                    old.debt(tat.load(), old.now(now.as_nanos())),
                );
                // It may begin with less than its capacity.
                let missing = limiter.available_at(now).saturating_sub(available);
                limiter.charge_plain_at(missing.saturating_add(debt), now);
                NewLimiter::Other(StoredLimiter::Whole { limiter, is_set })
            }
        }
    }

    pub(super) fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        match self {
            Self::Bucket(tat, gcra) => {
                let cost = gcra.cost(n)?;
                let now = gcra.now(now.as_nanos());
                tat.charge(gcra, cost, now)
                    .map(drop)
                    .map_err(|shortfall| gcra.not_yet(now, shortfall))
            }
            Self::Whole(limiter) => limiter.try_acquire_at(n, now),
        }
    }

    pub(super) fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        match self {
            Self::Bucket(tat, gcra) => {
                let cost = gcra.cost(n)?;
                let now = gcra.now(now.as_nanos());
                match gcra.admit(tat.load(), now, cost) {
                    Ok(_) => Ok(()),
                    Err(shortfall) => Err(gcra.not_yet(now, shortfall)),
                }
            }
            Self::Whole(limiter) => limiter.peek_at(n, now),
        }
    }

    pub(super) fn snapshot_at(&self, now: Timestamp) -> Snapshot {
        match self {
            Self::Bucket(tat, gcra) => gcra.snapshot(tat.load(), gcra.now(now.as_nanos())),
            Self::Whole(limiter) => limiter.snapshot_at(now),
        }
    }

    /// [`try_acquire_at`](Self::try_acquire_at) that returns what undoes the charge.
    pub(super) fn charge_at(
        &self,
        n: u64,
        now: Timestamp,
    ) -> Result<LimiterCharge<L::Charge>, Denied> {
        match self {
            Self::Bucket(tat, gcra) => {
                let cost = gcra.cost(n)?;
                let now = gcra.now(now.as_nanos());
                tat.charge_tokens(gcra, n, cost, now)
                    .map(LimiterCharge::Word)
                    .map_err(|shortfall| gcra.not_yet(now, shortfall))
            }
            Self::Whole(limiter) => limiter.charge_at(n, now).map(LimiterCharge::Whole),
        }
    }

    /// Reverses a charge of this limiter, exactly or not at all.
    pub(super) fn undo(&self, charge: LimiterCharge<L::Charge>) -> u64 {
        match (self, charge) {
            (Self::Bucket(tat, _), LimiterCharge::Word(charge)) if tat.undo(charge) => {
                charge.tokens
            }
            (Self::Whole(limiter), LimiterCharge::Whole(charge)) => limiter.undo(charge),
            _ => 0,
        }
    }

    /// Forgives what was spent, and returns whether the limiter could.
    pub(super) fn reset_at(&self, now: Timestamp) -> bool {
        match self {
            Self::Bucket(tat, gcra) => {
                let now = gcra.now(now.as_nanos());
                tat.update(|tat| WordGcra::reset(tat, now));
                true
            }
            Self::Whole(limiter) => limiter.reset_alone_at(now),
        }
    }

    pub(super) fn capacity(&self) -> u64 {
        match self {
            Self::Bucket(_, gcra) => gcra.capacity(),
            Self::Whole(limiter) => limiter.capacity(),
        }
    }

    pub(super) fn refill_time(&self) -> Duration {
        match self {
            Self::Bucket(_, gcra) => gcra.refill_time(),
            Self::Whole(limiter) => limiter.refill_time(),
        }
    }

    pub(super) fn each_snapshot_at(&self, now: Timestamp, each: &mut dyn FnMut(Snapshot)) {
        match self {
            Self::Bucket(..) => each(self.snapshot_at(now)),
            Self::Whole(limiter) => limiter.each_snapshot_at(now, each),
        }
    }

    /// As [`Table::take_for`](crate::keyed::table::Table::take_for).
    pub(super) fn take_at(&self, n: u64, now: Timestamp) {
        match self {
            Self::Bucket(tat, gcra) => {
                let (cost, now) = (gcra.cost_clamped(n), gcra.now(now.as_nanos()));
                tat.update(|tat| gcra.debit(tat, now, cost));
            }
            Self::Whole(limiter) => limiter.take_at(n, now),
        }
    }

    /// As [`Table::give_back_for`](crate::keyed::table::Table::give_back_for).
    pub(super) fn give_back_at(&self, n: u64, now: Timestamp) {
        match self {
            Self::Bucket(tat, gcra) => {
                let (cost, now) = (gcra.cost_clamped(n), gcra.now(now.as_nanos()));
                tat.update(|tat| WordGcra::credit(tat, now, cost));
            }
            Self::Whole(limiter) => limiter.give_back_at(n, now),
        }
    }

    /// The snapshot for a caller that was refused `n` permits.
    pub(super) fn snapshot_of_refusal_at(&self, n: u64, now: Timestamp) -> Snapshot {
        match self {
            Self::Bucket(..) => self.snapshot_at(now),
            Self::Whole(limiter) => limiter.snapshot_for_at(n, now),
        }
    }

    pub(super) fn available_at(&self, now: Timestamp) -> u64 {
        match self {
            Self::Bucket(tat, gcra) => gcra.available(tat.load(), gcra.now(now.as_nanos())),
            Self::Whole(limiter) => limiter.available_at(now),
        }
    }

    /// Whether the limiter is indistinguishable from a new one.
    pub(super) fn is_unused_at(&self, now: Timestamp) -> bool {
        match self {
            Self::Bucket(tat, gcra) => tat.is_full(gcra.now(now.as_nanos())),
            Self::Whole(limiter) => limiter.is_unused_at(now),
        }
    }

    /// The nanosecond from which the limiter is unused if no call comes: after `now` if it is in
    /// use now. A limiter that is kept whole does not tell. It may be unused after a nanosecond.
    pub(super) fn unused_from(&self, now: Timestamp) -> u64 {
        let now_nanos = now.as_nanos();
        let from = match self {
            Self::Bucket(tat, gcra) => {
                let full_from = gcra.full_from(tat.full_from()).as_nanos();
                u64::try_from(full_from).unwrap_or(u64::MAX)
            }
            Self::Whole(_) => 0,
        };
        if self.is_unused_at(now) {
            from.min(now_nanos)
        } else {
            // A bucket is judged by the last reading that its word stands for, if that is earlier.
            from.max(now_nanos.saturating_add(1))
        }
    }
}

/// What only a token bucket can do.
impl<C: Clock> KeyLimiter<'_, TokenBucket<C>> {
    pub(super) fn debt_at(&self, now: Timestamp) -> u64 {
        match self {
            Self::Bucket(tat, gcra) => gcra.debt(tat.load(), gcra.now(now.as_nanos())),
            Self::Whole(bucket) => bucket.debt_at(now),
        }
    }
}

/// Decisions about calls that wait.
impl<L: Limiter + Waits> KeyLimiter<'_, L> {
    /// As of when a waiting call is charged together with other limiters: a word as of when the
    /// call was due. Any other limiter as of now, which is sound for all of them.
    pub(super) const fn instant(&self, at: Instants) -> Timestamp {
        match self {
            Self::Bucket(..) => at.due,
            Self::Whole(_) => at.now,
        }
    }

    /// Decides a word as of when the call was due, and any other limiter as that limiter does.
    pub(super) fn attempt(&self, n: u64, at: Instants) -> Result<(), Hold> {
        match self {
            Self::Bucket(..) => {
                let decided = self.try_acquire_at(n, at.due);
                decided.map_err(|denied| denied.hold(at.due))
            }
            Self::Whole(limiter) => limiter.attempt(n, at),
        }
    }

    /// The refusal of `n` permits after those of `ahead`, as of `at.now`. A bucket may decide them
    /// as of `at.due`.
    pub(super) fn refusal(&self, ahead: u128, n: u64, at: AsOf) -> Option<Denied> {
        match self {
            Self::Bucket(tat, gcra) => {
                let cost = match gcra.cost(n) {
                    Ok(cost) => cost,
                    Err(never) => return Some(never),
                };
                let due = gcra.now(at.due.as_nanos());
                let missing = gcra.admit_behind(tat.load(), due, ahead, cost).err()?;
                from_now(gcra.not_yet(due, missing), at.due, at.now)
            }
            Self::Whole(limiter) => refusal(*limiter, ahead, n, at.now),
        }
    }

    pub(super) fn max_permits(&self) -> u64 {
        match self {
            Self::Bucket(_, gcra) => gcra.capacity(),
            Self::Whole(limiter) => limiter.max_permits(),
        }
    }
}

/// The refusal of `n` permits after those of `ahead`, by a limiter that has its own measure of
/// what waiters ask for.
pub(super) fn refusal<L: Waits>(
    limiter: &L,
    ahead: u128,
    n: u64,
    now: Timestamp,
) -> Option<Denied> {
    let ahead = limiter.demand(u64::try_from(ahead).unwrap_or(u64::MAX));
    limiter.refusal(ahead, n, now)
}
