//! The limiter of one key: a word if it is a plain bucket, else the limiter itself.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use crate::denied::Denied;
use crate::gcra::{Now, Shortfall, WordGcra};
use crate::limiter::Limiter;
use crate::prepared_charge::AsOf;
use crate::quota::Quota;
use crate::snapshot::Snapshot;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::time::Timestamp;
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

    #[inline]
    pub(super) fn charge(&self, gcra: &WordGcra, cost: u64, now: Now) -> Result<(), Shortfall> {
        // Relaxed, all: see the type.
        let mut tat = self.0.load(Relaxed);
        loop {
            let next = gcra.admit(tat, now, cost)?;
            match self.0.compare_exchange_weak(tat, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => tat = other,
            }
        }
    }

    pub(super) fn is_full(&self, now: Now) -> bool {
        WordGcra::is_full(self.load(), now)
    }

    fn load(&self) -> u64 {
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
    Whole(Box<L>),
}

impl<L> StoredLimiter<L> {
    pub(super) fn limiter(&self) -> KeyLimiter<'_, L> {
        match self {
            Self::Bucket(tat, common) => KeyLimiter::Bucket(tat, &common.gcra),
            Self::Whole(limiter) => KeyLimiter::Whole(limiter),
        }
    }
}

/// The limiter of a key, in either form.
pub(super) enum KeyLimiter<'a, L> {
    Bucket(&'a KeyTat, &'a WordGcra),
    Whole(&'a L),
}

impl<L: Limiter> KeyLimiter<'_, L> {
    pub(super) fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        match self {
            Self::Bucket(tat, gcra) => {
                let cost = gcra.cost(n)?;
                let now = gcra.now(now.as_nanos());
                tat.charge(gcra, cost, now)
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
            Self::Bucket(_, gcra) => {
                let (capacity, available) = (gcra.capacity(), self.available_at(now));
                let more = self.peek_at(available.saturating_add(1), now);
                Snapshot {
                    limit: None,
                    capacity,
                    refill_time: gcra.refill_time(),
                    available,
                    // None if that is above the capacity.
                    next_permit_in: more
                        .map_or_else(|denied| denied.retry_after(), |()| Some(Duration::ZERO)),
                }
            }
            Self::Whole(limiter) => limiter.snapshot_at(now),
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
}

/// Decisions about calls that wait.
impl<L: Limiter + Waits> KeyLimiter<'_, L> {
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
