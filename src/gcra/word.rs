//! The arithmetic of many buckets that share one quota, each kept in a single word.
//!
//! A [`TokenBucket`](crate::TokenBucket) counts its grains modulo 2^64 and needs a second word
//! that makes them unambiguous. Here a TAT is an absolute number below 2^63: one word per key.
//! Charges only raise it, so a replaced value comes back only after a credit, a reset or an undo.
//!
//! The price is a coarser grain, and an end of the clock's range after a century. Rates of up to
//! two tokens per nanosecond are rounded to grains of about half a nanosecond, unless a token lasts
//! a whole number of half nanoseconds.

#![deny(clippy::arithmetic_side_effects)]

use core::time::Duration;

use crate::denied::Denied;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::gcra::Leased;
use crate::gcra::{Gcra, Level, Now, Shortfall};
use crate::quota::Quota;
use crate::snapshot::{QuotaUnit, Snapshot};

/// A quota, prepared for decisions about words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WordGcra {
    gcra: Gcra,
    /// The last clock reading, in nanoseconds. Later readings are clamped to it.
    end: u64,
    /// Taken from the quota, because a time computed from grains may be a nanosecond longer.
    refill_time: Duration,
}

impl WordGcra {
    /// The last word. A greater one would need the top bit.
    const LAST: u64 = (1 << 63) - 2;

    pub(crate) const fn new(quota: Quota) -> Self {
        let gcra = Gcra::for_word(quota);
        Self {
            gcra,
            end: gcra.last_nanos(),
            refill_time: quota.refill_time(),
        }
    }

    /// Whether words last for a century. They do unless the rate exceeds two tokens per nanosecond.
    #[cfg(feature = "std")]
    pub(crate) const fn lasts_for_a_century(&self) -> bool {
        const CENTURY: u64 = 100 * 365 * 86_400 * 1_000_000_000;
        self.end >= CENTURY
    }

    /// Converts a clock reading.
    #[inline]
    pub(crate) const fn now(&self, nanos: u64) -> Now {
        self.gcra
            .now(if nanos < self.end { nanos } else { self.end })
    }

    /// Converts the reading `nanos` for a caller whose own reading, `own`, is earlier.
    pub(crate) const fn clamped_by(&self, nanos: u64, own: u64) -> Now {
        self.now(nanos).clamped_by(nanos.saturating_sub(own))
    }

    /// The cost of `n` tokens.
    ///
    /// # Errors
    ///
    /// [`Denied::Never`] if that is above the capacity.
    #[inline]
    pub(crate) const fn cost(&self, n: u64) -> Result<u64, Denied> {
        let capacity = self.gcra.capacity();
        if n > capacity {
            return Err(Denied::Never { capacity });
        }
        Ok(self.gcra.cost(n))
    }

    /// The word after a charge, which is greater than `tat`.
    #[inline]
    pub(crate) const fn admit(&self, tat: u64, now: Now, cost: u64) -> Result<u64, Shortfall> {
        self.gcra.admit(tat, now, cost)
    }

    /// The cost of any number of tokens, capped at more than a word can ever move.
    pub(crate) const fn cost_clamped(&self, n: u64) -> u64 {
        self.gcra.cost_clamped(n)
    }

    /// The word after a charge that is made whether or not it fits. The debt ends at 2^60 grains,
    /// and with the last word.
    pub(crate) const fn debit(&self, tat: u64, now: Now, cost: u64) -> u64 {
        let next = self.gcra.debit(tat, now, cost);
        if next < Self::LAST { next } else { Self::LAST }
    }

    /// The word after tokens were credited: never below that of a full bucket.
    pub(crate) const fn credit(tat: u64, now: Now, cost: u64) -> u64 {
        Gcra::credit(tat, now, cost)
    }

    /// The word after everything was forgiven.
    pub(crate) const fn reset(tat: u64, now: Now) -> u64 {
        if Gcra::is_idle(tat, now) {
            tat
        } else {
            now.grains()
        }
    }

    /// Tokens charged beyond the level, rounded up.
    pub(crate) const fn debt(&self, tat: u64, now: Now) -> u64 {
        self.gcra.debt(tat, now)
    }

    /// The word of a bucket that holds at `nanos` as many tokens as another holds: at most the
    /// capacity, and a debt stays a debt.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn taking_over(&self, old: &Self, old_tat: u64, nanos: u64) -> u64 {
        let (now, old_now) = (self.now(nanos), old.now(nanos));
        let tat = self
            .gcra
            .taking_over(now, &old.gcra, old_tat, old_now, Leased::NOTHING);
        // As in `debit`.
        tat.min(Self::LAST)
    }

    /// Whole tokens available.
    #[inline]
    pub(crate) const fn available(&self, tat: u64, now: Now) -> u64 {
        self.gcra.available(tat, now)
    }

    /// What a bucket allows and has left.
    #[inline]
    pub(crate) const fn snapshot(&self, tat: u64, now: Now) -> Snapshot {
        let (available, next_permit_in) = self.gcra.left(tat, now);
        Snapshot {
            limit: None,
            capacity: self.gcra.capacity(),
            refill_time: self.refill_time,
            available,
            next_permit_in,
            unit: QuotaUnit::Requests,
        }
    }

    /// Whether `cost` is admitted after a charge for the tokens of `ahead`, however many.
    ///
    /// # Errors
    ///
    /// The grains that are missing then.
    pub(crate) fn admit_behind(
        &self,
        tat: u64,
        now: Now,
        ahead: u128,
        cost: u64,
    ) -> Result<(), Shortfall> {
        let tat = if ahead == 0 {
            tat
        } else {
            let before = u64::try_from(ahead).unwrap_or(u64::MAX);
            let before = self.gcra.cost_clamped(before);
            self.gcra.debit(tat, now, before)
        };
        self.gcra.admit(tat, now, cost).map(drop)
    }

    #[inline]
    pub(crate) const fn not_yet(&self, now: Now, shortfall: Shortfall) -> Denied {
        Denied::not_yet(self.gcra.wait_nanos(now, shortfall))
    }

    /// The time in which an empty bucket fills up, rounded up to a nanosecond.
    #[cfg(feature = "std")]
    pub(crate) const fn refill_time(&self) -> Duration {
        self.refill_time
    }

    /// The time on the clock from which the bucket is full.
    #[cfg(feature = "std")]
    pub(crate) const fn full_from(&self, tat: u64) -> Duration {
        self.gcra.reached_at(tat)
    }

    /// The most tokens that one call can take.
    #[cfg(feature = "std")]
    pub(crate) const fn capacity(&self) -> u64 {
        self.gcra.capacity()
    }

    /// The level at `now`, for a save.
    pub(crate) const fn level(&self, tat: u64, now: Now) -> Level {
        self.gcra.level(tat, now)
    }

    /// The word of a bucket that had `level` before `elapsed` nanoseconds; `None` if it is full.
    pub(crate) const fn restored(&self, level: Level, elapsed: u64, now: Now) -> Option<u64> {
        let tat = self.gcra.restored(now.grains(), now, level, elapsed);
        if Gcra::is_idle(tat, now) {
            return None;
        }
        // As in `debit`.
        Some(if tat < Self::LAST { tat } else { Self::LAST })
    }

    /// The capacity in grains.
    pub(crate) const fn limit(&self) -> u64 {
        self.gcra.limit()
    }

    /// Whether the bucket is full.
    #[inline]
    pub(crate) const fn is_full(tat: u64, now: Now) -> bool {
        Gcra::is_idle(tat, now)
    }
}
