//! A rate and a burst.

mod error;
#[cfg(feature = "serde")]
mod serde_impl;
mod text;

pub use error::{ParseQuotaError, ParseQuotaErrorKind, QuotaError};

#[cfg(feature = "rules")]
pub(crate) use text::read_duration;
pub(crate) use text::{COUNTED, Reader};

use core::time::Duration;

/// A rate and a burst: `rate` tokens flow in per `period`, and at most `capacity` are saved up.
///
/// `Quota::per_second(5)` is **five per second**, and the burst defaults to one period's worth.
/// Every quota that can be constructed is represented exactly or within the accuracy that
/// [`TokenBucket`](crate::TokenBucket) states. Anything else is a [`QuotaError`].
///
/// | | smallest | largest | because |
/// |---|---|---|---|
/// | rate | 1 token per 584 years | 10¹² per second | clocks count whole nanoseconds |
/// | period | 1 ns | 584 years | `u64` nanoseconds |
/// | burst | 1 | 2⁶⁰, and 1 000 years of refill | one 64-bit word holds the level |
///
/// # Text
///
/// [`FromStr`](core::str::FromStr) and [`Display`](core::fmt::Display) round-trip. The form is
/// `count[.digits] [r|req|requests|tokens] (/ | per) [n] unit [burst [=] n]`.
///
/// Units are `ns`, `us`, `ms`, `s`, `min`, `h`, `d`, `week` (7 days) and `month` (30 days) with
/// their long names, in any case; `m` is a minute. Numbers may have `_` between digits. Counts and
/// bursts may end in `k` or `M`. Without a burst it is the count, rounded up: 1 of `0.5/s`.
///
/// Two quotas are equal if they have the same numbers: `60/min burst 1` is the same bucket as
/// `1/s`, but not equal to it.
///
/// With the feature `serde` a quota is such a text, or a map `{ rate = "100/min", burst = 20 }`.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Quota, QuotaError};
///
/// const API: Quota = Quota::per_minute(100).burst(20);
/// assert_eq!("100/min burst 20".parse(), Ok(API));
/// assert_eq!(API.to_string(), "100/min burst 20");
/// assert_eq!("5 per 2 hours".parse(), Ok(Quota::new(5, Duration::from_secs(7_200))?));
/// assert_eq!("0.5/s".parse(), Ok(Quota::new(1, Duration::from_secs(2))?));
///
/// assert_eq!(Quota::new(0, Duration::from_secs(1)), Err(QuotaError::ZeroRate));
/// let error = "100/fortnight".parse::<Quota>().unwrap_err();
/// assert_eq!(error.offset(), 4);
/// assert!(error.to_string().starts_with("unknown unit of time"));
/// # Ok::<(), QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Tokens per period, at least 1.
    rate: u64,
    /// Nanoseconds, at least 1.
    period: u64,
    /// Tokens, at least 1.
    capacity: u64,
}

/// Tokens per nanosecond: 10¹² per second. A clock of whole nanoseconds is too coarse for more.
const MAX_RATE_PER_NANO: u64 = 1_000;

/// The largest burst in tokens.
const MAX_CAPACITY: u64 = 1 << 60;

/// The longest time, in nanoseconds, in which an empty bucket may fill up: 1 000 years of 365.25
/// days. With it a grain of time (see `gcra`) is never longer than 56 ns.
const MAX_REFILL: u128 = 1_000 * 31_557_600 * 1_000_000_000;

const SECOND: u64 = 1_000_000_000;

/// Unwraps in a constant, with the message of the typed error.
macro_rules! expect_quota {
    ($result:expr) => {
        match $result {
            Ok(quota) => quota,
            Err(error) => error.raise(),
        }
    };
}

impl Quota {
    /// Creates a quota of `n` per second, with a burst of `n`.
    ///
    /// # Panics
    ///
    /// If `n` is 0 or more than 10¹². In a constant that is a compile error. [`Quota::new`] returns
    /// an error instead.
    #[must_use]
    #[track_caller]
    pub const fn per_second(n: u64) -> Self {
        expect_quota!(Self::per_nanos(n, SECOND))
    }

    /// Creates a quota of `n` per minute, with a burst of `n`.
    ///
    /// # Panics
    ///
    /// If `n` is 0 or more than 10¹² per second.
    #[must_use]
    #[track_caller]
    pub const fn per_minute(n: u64) -> Self {
        expect_quota!(Self::per_nanos(n, 60 * SECOND))
    }

    /// Creates a quota of `n` per hour, with a burst of `n`.
    ///
    /// # Panics
    ///
    /// If `n` is 0 or more than 10¹² per second.
    #[must_use]
    #[track_caller]
    pub const fn per_hour(n: u64) -> Self {
        expect_quota!(Self::per_nanos(n, 3_600 * SECOND))
    }

    /// Creates a quota of `n` per day of 24 hours, with a burst of `n`.
    ///
    /// # Panics
    ///
    /// If `n` is 0 or more than 10¹² per second.
    #[must_use]
    #[track_caller]
    pub const fn per_day(n: u64) -> Self {
        expect_quota!(Self::per_nanos(n, 86_400 * SECOND))
    }

    /// Creates a quota of `n` per `period`, with a burst of `n`.
    ///
    /// # Errors
    ///
    /// [`QuotaError`] if `n` or `period` is zero, if the period is longer than 584 years, if the
    /// rate is above 10¹² per second, or if a burst of `n` is too large.
    pub const fn new(n: u64, period: Duration) -> Result<Self, QuotaError> {
        let nanos = period.as_nanos();
        if nanos > u64::MAX as u128 {
            return Err(QuotaError::PeriodTooLong);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "larger values are handled above"
        )]
        Self::per_nanos(n, nanos as u64)
    }

    const fn per_nanos(n: u64, period: u64) -> Result<Self, QuotaError> {
        match Self::with_rate(n, period) {
            Ok(quota) => quota.try_burst(n),
            Err(error) => Err(error),
        }
    }

    /// `n` per `period` nanoseconds with the smallest burst, for callers that set the burst next.
    const fn with_rate(n: u64, period: u64) -> Result<Self, QuotaError> {
        if n == 0 {
            return Err(QuotaError::ZeroRate);
        }
        if period == 0 {
            return Err(QuotaError::ZeroPeriod);
        }
        if n as u128 > period as u128 * MAX_RATE_PER_NANO as u128 {
            return Err(QuotaError::RateTooHigh);
        }
        Ok(Self {
            rate: n,
            period,
            capacity: 1,
        })
    }

    /// Returns the same rate with another burst: the bucket holds `capacity` tokens.
    ///
    /// # Panics
    ///
    /// Where [`Quota::try_burst`] returns an error.
    #[must_use]
    #[track_caller]
    pub const fn burst(self, capacity: u64) -> Self {
        expect_quota!(self.try_burst(capacity))
    }

    /// Returns the same rate with another burst: the bucket holds `capacity` tokens.
    ///
    /// # Errors
    ///
    /// [`QuotaError::ZeroBurst`] for 0, which would never admit anything.
    /// [`QuotaError::BurstTooLarge`] above 2⁶⁰ tokens or 1 000 years of refill.
    pub const fn try_burst(self, capacity: u64) -> Result<Self, QuotaError> {
        if capacity == 0 {
            return Err(QuotaError::ZeroBurst);
        }
        let max = self.max_capacity();
        if capacity > max {
            return Err(QuotaError::BurstTooLarge { max });
        }
        Ok(Self { capacity, ..self })
    }

    /// The largest burst for this rate.
    const fn max_capacity(self) -> u64 {
        let max = match MAX_REFILL.checked_mul(self.rate as u128) {
            Some(product) => product / self.period as u128,
            // Only a rate above 2^63 overflows, and it fills any burst within the limit.
            None => MAX_CAPACITY as u128,
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "larger values are handled first"
        )]
        if max > MAX_CAPACITY as u128 {
            MAX_CAPACITY
        } else {
            max as u64
        }
    }

    /// Returns the tokens per [`period`](Self::period).
    #[inline]
    pub const fn rate(self) -> u64 {
        self.rate
    }

    /// Returns the time in which [`rate`](Self::rate) tokens flow in.
    #[inline]
    pub const fn period(self) -> Duration {
        Duration::from_nanos(self.period)
    }

    /// Returns the most tokens that are saved up, which is also the most that one call can take.
    #[inline]
    pub const fn capacity(self) -> u64 {
        self.capacity
    }

    /// Returns the time in which an empty bucket fills up, rounded up to a nanosecond.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::Quota;
    ///
    /// assert_eq!(Quota::per_minute(100).burst(20).refill_time(), Duration::from_secs(12));
    /// assert_eq!(Quota::per_second(3).burst(1).refill_time(), Duration::from_nanos(333_333_334));
    /// ```
    pub const fn refill_time(self) -> Duration {
        if let Some(product) = self.capacity.checked_mul(self.period) {
            // The common case, without a division of 128 bits.
            return Duration::from_nanos(product.div_ceil(self.rate));
        }
        // At most 2^60 times 2^64.
        let nanos = (self.capacity as u128 * self.period as u128).div_ceil(self.rate as u128);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most 1 000 years, and less than a second"
        )]
        Duration::new(
            (nanos / SECOND as u128) as u64,
            (nanos % SECOND as u128) as u32,
        )
    }

    /// The time in which `n` tokens flow in, rounded down.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn refill_time_of(self, n: u128) -> Duration {
        let nanos = n.saturating_mul(self.period_nanos().into()) / u128::from(self.rate());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The period in nanoseconds.
    pub(crate) const fn period_nanos(self) -> u64 {
        self.period
    }
}
