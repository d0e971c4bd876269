//! A quota in the server's units: exact fractions of a microsecond. No I/O, no clock.
//!
//! A token lasts `p / q` microseconds in lowest terms. Costs and capacities are kept as `us + num / q`, which the scripts add, subtract
//! and compare without ever dividing, so that every rate is exact: what a float of seconds or a whole number of microseconds is not.

use core::fmt;
use core::time::Duration;

use tidegate::Quota;

/// A quota that the scripts cannot count in: their numbers are doubles, exact up to 2⁵³.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScaleError {
    /// An empty bucket would take longer than 50 years to fill up.
    RefillTooLong,
    /// The rate in lowest terms has too many digits: a token lasts `p / q` microseconds with `q` above 2⁵⁰. It can only be one above
    /// 10¹² per period.
    RateTooFine,
}

impl fmt::Display for ScaleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RefillTooLong => "the bucket would take longer than 50 years to fill up",
            Self::RateTooFine => "the rate has too many digits for the server's numbers",
        })
    }
}

impl core::error::Error for ScaleError {}

/// The longest refill, and the deepest debt: 50 years of microseconds. The server's clock, a full bucket and as much debt are
/// together below 2⁵³ until the year 2105.
pub(crate) const MOST_US: u64 = 50 * 31_557_600 * 1_000_000;

const FINEST: u64 = 1 << 50;

/// A time of the server: `us + num / den` microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) us: u64,
    pub(crate) num: u64,
}

/// A quota, prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScaledQuota {
    /// Numerators that a token lasts.
    token: u64,
    den: u64,
    capacity: u64,
    full: Amount,
}

const fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl ScaledQuota {
    pub(crate) fn new(quota: Quota) -> Result<Self, ScaleError> {
        let nanos = quota.period().as_nanos();
        let per_micro = u128::from(quota.rate()) * 1_000;
        let divisor = gcd(nanos, per_micro);
        // A quota's period is at most 2^64 ns.
        let token = u64::try_from(nanos / divisor).unwrap_or(u64::MAX);
        let den = u64::try_from(per_micro / divisor)
            .ok()
            .filter(|den| *den <= FINEST)
            .ok_or(ScaleError::RateTooFine)?;
        let mut scale = Self {
            token,
            den,
            capacity: quota.capacity(),
            full: Amount::default(),
        };
        let full = scale.numerators(quota.capacity());
        if full > u128::from(MOST_US) * u128::from(den) {
            return Err(ScaleError::RefillTooLong);
        }
        scale.full = scale.amount(full);
        Ok(scale)
    }

    pub(crate) const fn den(&self) -> u64 {
        self.den
    }

    pub(crate) const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The time in which an empty bucket fills up.
    pub(crate) const fn full(&self) -> Amount {
        self.full
    }

    fn numerators(&self, n: u64) -> u128 {
        u128::from(n) * u128::from(self.token)
    }

    fn amount(&self, numerators: u128) -> Amount {
        let den = u128::from(self.den);
        // The remainder is below `den`, and `us` below the caller's bound.
        Amount {
            us: u64::try_from(numerators / den).unwrap_or(u64::MAX),
            num: u64::try_from(numerators % den).unwrap_or(0),
        }
    }

    /// What `n` tokens cost; more than the deepest debt costs as much as that and a full bucket.
    pub(crate) fn cost(&self, n: u64) -> Amount {
        let most = u128::from(2 * MOST_US) * u128::from(self.den);
        self.amount(self.numerators(n).min(most))
    }

    /// The whole tokens that are there when the TAT is `ahead` of the clock.
    pub(crate) fn available(&self, ahead: Amount) -> u64 {
        let den = u128::from(self.den);
        let numerators = |a: Amount| u128::from(a.us) * den + u128::from(a.num);
        let room = numerators(self.full).saturating_sub(numerators(ahead));
        // At most the capacity.
        u64::try_from(room / u128::from(self.token)).unwrap_or(u64::MAX)
    }

    /// How long until a bucket is full whose TAT is `ahead` of the clock, rounded up to a microsecond.
    pub(crate) const fn until_full(ahead: Amount) -> Duration {
        Duration::from_micros(ahead.us + (ahead.num > 0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(quota: Quota) -> ScaledQuota {
        ScaledQuota::new(quota).unwrap()
    }

    #[test]
    fn thirds_of_a_second_are_exact() {
        let third = scale(Quota::per_second(3));
        assert_eq!((third.token, third.den), (1_000_000, 3));
        assert_eq!(
            third.cost(1),
            Amount {
                us: 333_333,
                num: 1
            }
        );
        assert_eq!(
            third.cost(3),
            Amount {
                us: 1_000_000,
                num: 0
            }
        );
        assert_eq!(third.full(), third.cost(3));
    }

    #[test]
    fn more_than_a_token_per_microsecond_is_exact() {
        let fast = scale(Quota::per_second(600_000_000));
        assert_eq!(fast.cost(1), Amount { us: 0, num: 1 });
        assert_eq!(fast.cost(600), Amount { us: 1, num: 0 });
    }

    #[test]
    fn what_is_there_is_rounded_down() {
        let third = scale(Quota::per_second(3));
        assert_eq!(third.available(Amount::default()), 3);
        assert_eq!(third.available(Amount { us: 0, num: 1 }), 2);
        assert_eq!(third.available(third.cost(1)), 2);
        assert_eq!(third.available(third.cost(4)), 0);
    }

    #[test]
    fn bounds_are_errors() {
        let year = Duration::from_secs(31_557_600);
        let slow = |years: u32| Quota::new(1, year * years).unwrap();
        assert!(ScaledQuota::new(slow(50)).is_ok());
        assert_eq!(ScaledQuota::new(slow(51)), Err(ScaleError::RefillTooLong));
        let fine = Quota::new((1 << 53) + 1, year * 2).unwrap().burst(1);
        assert_eq!(ScaledQuota::new(fine), Err(ScaleError::RateTooFine));
        assert!(scale(slow(1)).cost(u64::MAX).us <= 2 * MOST_US);
    }
}
