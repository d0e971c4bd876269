//! What is kept for a key: a word where its limiter is a plain bucket, the limiter itself where it is not.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use super::table::Look;
use crate::denied::Denied;
use crate::gcra::WordGcra;
use crate::gcra::{Now, Shortfall};
use crate::limiter::Limiter;
use crate::quota::Quota;
use crate::snapshot::Snapshot;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::time::Timestamp;

/// The bucket of one key: a TAT in grains of its [`WordGcra`]. It guards no other memory, and the lock of its shard orders it with its
/// being dropped, so every operation on it is Relaxed.
#[derive(Debug)]
pub(super) struct Word(AtomicU64);

impl Word {
    /// A full bucket.
    pub(super) const fn full() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline]
    pub(super) fn charge(&self, rule: &WordGcra, cost: u64, now: Now) -> Result<(), Shortfall> {
        // Relaxed, all: see the type.
        let mut tat = self.0.load(Relaxed);
        loop {
            let next = rule.admit(tat, now, cost)?;
            match self.0.compare_exchange_weak(tat, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => tat = other,
            }
        }
    }

    /// Whether the bucket is full, and by which TAT it will be if not.
    pub(super) fn look(&self, now: Now) -> Look<u64> {
        let tat = self.tat();
        if WordGcra::is_full(tat, now) {
            Look::Unused
        } else {
            Look::Due(tat)
        }
    }

    /// Whether the bucket is full.
    pub(super) fn is_full(&self, now: Now) -> bool {
        WordGcra::is_full(self.tat(), now)
    }

    fn tat(&self) -> u64 {
        // Relaxed: see the type.
        self.0.load(Relaxed)
    }
}

/// A quota that several keys have, and a bucket with it, which serves as its clock.
#[derive(Debug)]
pub(super) struct Tier<L> {
    pub(super) bucket: L,
    pub(super) quota: Quota,
    pub(super) rule: WordGcra,
}

impl<L: Limiter> Tier<L> {
    /// Of a limiter that is nothing but a full bucket with this quota; the limiter itself if a word cannot stand for it.
    pub(super) const fn of(bucket: L, quota: Quota) -> Result<Self, L> {
        let rule = WordGcra::new(quota);
        if rule.lasts_for_a_century() {
            Ok(Self {
                bucket,
                quota,
                rule,
            })
        } else {
            Err(bucket)
        }
    }
}

/// What is kept for a key whose limiter is not a bucket with the first quota.
#[derive(Debug)]
pub(super) enum Other<L> {
    /// A bucket with another quota that several keys have.
    Tiered(Word, Arc<Tier<L>>),
    /// Any other limiter.
    Whole(Box<L>),
}

/// What is kept for a key, with what it takes to use it.
pub(super) enum Cell<'a, L> {
    Word(&'a Word, &'a WordGcra),
    Whole(&'a L),
}

impl<L> Other<L> {
    pub(super) fn cell(&self) -> Cell<'_, L> {
        match self {
            Self::Tiered(word, tier) => Cell::Word(word, &tier.rule),
            Self::Whole(limiter) => Cell::Whole(limiter),
        }
    }
}

impl<L: Limiter> Cell<'_, L> {
    pub(super) fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        match self {
            Self::Word(word, rule) => {
                let cost = rule.cost(n)?;
                let now = rule.now(now.as_nanos());
                word.charge(rule, cost, now)
                    .map_err(|shortfall| rule.not_yet(now, shortfall))
            }
            Self::Whole(limiter) => limiter.try_acquire_at(n, now),
        }
    }

    pub(super) fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        match self {
            Self::Word(word, rule) => {
                let cost = rule.cost(n)?;
                let now = rule.now(now.as_nanos());
                match rule.admit(word.tat(), now, cost) {
                    Ok(_) => Ok(()),
                    Err(shortfall) => Err(rule.not_yet(now, shortfall)),
                }
            }
            Self::Whole(limiter) => limiter.peek_at(n, now),
        }
    }

    pub(super) fn snapshot_at(&self, now: Timestamp) -> Snapshot {
        match self {
            Self::Word(_, rule) => {
                let (capacity, available) = (rule.capacity(), self.available_at(now));
                let more = self.peek_at(available.saturating_add(1), now);
                Snapshot {
                    limit: None,
                    capacity,
                    refill_time: rule.refill_time(),
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
            Self::Word(word, rule) => rule.available(word.tat(), rule.now(now.as_nanos())),
            Self::Whole(limiter) => limiter.available_at(now),
        }
    }

    /// Whether nobody could tell it from a new one.
    pub(super) fn is_unused_at(&self, now: Timestamp) -> bool {
        match self {
            Self::Word(word, rule) => word.is_full(rule.now(now.as_nanos())),
            Self::Whole(limiter) => limiter.is_unused_at(now),
        }
    }

    /// When nobody could tell it from a new one, if nobody comes.
    pub(super) fn look_at(&self, now: Timestamp) -> Look<Duration> {
        match self {
            Self::Word(word, rule) => {
                let now = rule.now(now.as_nanos());
                word.look(now).map(|tat| rule.until_full(tat, now))
            }
            Self::Whole(limiter) => match limiter.unused_in_at(now) {
                Some(wait) if wait.is_zero() => Look::Unused,
                Some(wait) => Look::Due(wait),
                None => Look::Unknown,
            },
        }
    }
}
