//! The arithmetic of many buckets with one quota, each of which is a single word.
//!
//! A bucket of its own ([`TokenBucket`](crate::TokenBucket)) counts its grains modulo 2^64 and keeps a second word that makes that
//! unambiguous. Here a TAT is an absolute number below 2^63 instead, which only ever grows: one word per key, and a value that
//! was replaced never comes back. Its price is a coarser grain (half a nanosecond, where the quota is not a whole number of
//! them) and an end of time after a century.

#![deny(clippy::arithmetic_side_effects)]

#[cfg(feature = "std")]
use core::time::Duration;

use crate::denied::Denied;
use crate::gcra::{Gcra, Now, Shortfall};
use crate::quota::Quota;

/// A quota, prepared for deciding about words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WordGcra {
    gcra: Gcra,
    /// The last clock reading, in nanoseconds. From then on time stands still.
    end: u64,
    /// The quota's: in grains, a whole second may be a nanosecond longer.
    #[cfg(feature = "std")]
    refill_time: Duration,
}

impl WordGcra {
    pub(crate) const fn new(quota: Quota) -> Self {
        let gcra = Gcra::lasting(quota);
        Self {
            gcra,
            end: gcra.lasts(),
            #[cfg(feature = "std")]
            refill_time: quota.refill_time(),
        }
    }

    /// Whether words last for a century: not with more than two tokens per nanosecond.
    #[cfg(feature = "std")]
    pub(crate) const fn lasts_for_a_century(&self) -> bool {
        const CENTURY: u64 = 100 * 365 * 86_400 * 1_000_000_000;
        self.end >= CENTURY
    }

    /// A clock reading.
    #[inline]
    pub(crate) const fn now(&self, nanos: u64) -> Now {
        self.gcra
            .now(if nanos < self.end { nanos } else { self.end })
    }

    /// The later instant `nanos`, for a caller whose own reading is `own`: time stands still for a clock that is behind.
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

    /// The word after a charge, which is greater than before.
    #[inline]
    pub(crate) const fn admit(&self, tat: u64, now: Now, cost: u64) -> Result<u64, Shortfall> {
        self.gcra.admit(tat, now, cost)
    }

    /// Whole tokens that can be had.
    #[inline]
    pub(crate) const fn available(&self, tat: u64, now: Now) -> u64 {
        self.gcra.available(tat, now)
    }

    #[inline]
    pub(crate) const fn not_yet(&self, now: Now, shortfall: Shortfall) -> Denied {
        Denied::NotYet {
            retry_after: self.gcra.wait(now, shortfall),
        }
    }

    /// The refusal that is told until the bucket `tat` is full, and a grain more has passed.
    pub(crate) const fn not_before_full(&self, tat: u64, now: Now) -> Denied {
        self.not_yet(now, Gcra::until_full(tat.saturating_add(1), now))
    }

    /// How long an empty bucket takes to fill up.
    #[cfg(feature = "std")]
    pub(crate) const fn refill_time(&self) -> Duration {
        self.refill_time
    }

    /// The most that one call can ask for.
    #[cfg(feature = "std")]
    pub(crate) const fn capacity(&self) -> u64 {
        self.gcra.capacity()
    }

    /// How long until the bucket is full.
    #[cfg(feature = "std")]
    pub(crate) const fn until_full(&self, tat: u64, now: Now) -> Duration {
        self.gcra.wait(now, Gcra::until_full(tat, now))
    }

    /// Whether the bucket is full.
    #[inline]
    pub(crate) const fn is_full(tat: u64, now: Now) -> bool {
        Gcra::is_idle(tat, now)
    }
}
