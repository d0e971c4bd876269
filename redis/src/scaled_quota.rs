//! A quota in the server's units: exact fractions of a microsecond. No I/O, no clock.
//!
//! A token takes `p / q` microseconds to refill, in lowest terms. Costs and capacities are `us +
//! num / q` microseconds. The scripts add, subtract and compare these without dividing, so every
//! rate is exact. Floats of seconds or whole microseconds would round.

use core::fmt;
use core::time::Duration;

use tidegate::Quota;

/// A quota that the scripts cannot represent: their numbers are doubles, exact up to 2⁵³.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScaleError {
    /// An empty bucket would take longer than 50 years to fill up.
    RefillTooLong,
    /// The rate has too many digits: in lowest terms a token takes `p / q` microseconds with `q`
    /// above 2⁵⁰. Only rates above 10¹² per period can have so many.
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

/// The longest refill, and the deepest debt: 50 years in microseconds. The sum of the server's
/// clock, a full bucket and the deepest debt stays below 2⁵³ until the year 2105.
pub(crate) const MAX_REFILL_US: u64 = 50 * 31_557_600 * 1_000_000;

const MAX_DEN: u64 = 1 << 50;

/// A time span of `us + num / den` microseconds, where `den` is that of a [`ScaledQuota`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) us: u64,
    pub(crate) num: u64,
}

impl Amount {
    /// Returns what remains of it after `us` microseconds.
    pub(crate) const fn after(self, us: u64) -> Self {
        match self.us.checked_sub(us) {
            Some(us) => Self { us, num: self.num },
            None => Self { us: 0, num: 0 },
        }
    }
}

/// A quota in the scripts' units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScaledQuota {
    /// How long a token takes, in units of `1 / den` microseconds.
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
            .filter(|den| *den <= MAX_DEN)
            .ok_or(ScaleError::RateTooFine)?;
        let mut scaled = Self {
            token,
            den,
            capacity: quota.capacity(),
            full: Amount::default(),
        };
        let full = scaled.numerators(quota.capacity());
        if full > u128::from(MAX_REFILL_US) * u128::from(den) {
            return Err(ScaleError::RefillTooLong);
        }
        scaled.full = scaled.amount(full);
        Ok(scaled)
    }

    pub(crate) const fn den(&self) -> u64 {
        self.den
    }

    /// Returns how long a token takes, in units of `1 / den` microseconds.
    pub(crate) const fn token(&self) -> u64 {
        self.token
    }

    /// Whether a token takes whole microseconds, and a full bucket less than 2⁴⁰ of them, 12 days.
    pub(crate) const fn is_whole(&self) -> bool {
        self.den == 1 && self.full.us < 1 << 40
    }

    pub(crate) const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Returns the time in which an empty bucket fills up.
    pub(crate) const fn full(&self) -> Amount {
        self.full
    }

    fn numerators(&self, n: u64) -> u128 {
        u128::from(n) * u128::from(self.token)
    }

    /// The amount in units of `1 / den` microseconds.
    fn parts(&self, amount: Amount) -> u128 {
        u128::from(amount.us) * u128::from(self.den) + u128::from(amount.num)
    }

    fn amount(&self, numerators: u128) -> Amount {
        let den = u128::from(self.den);
        // The remainder is below `den`, and `us` below the caller's bound.
        Amount {
            us: u64::try_from(numerators / den).unwrap_or(u64::MAX),
            num: u64::try_from(numerators % den).unwrap_or(0),
        }
    }

    /// Returns the cost of `n` tokens, at most twice [`MAX_REFILL_US`]: the deepest debt and a full
    /// bucket.
    pub(crate) fn cost(&self, n: u64) -> Amount {
        let most = u128::from(2 * MAX_REFILL_US) * u128::from(self.den);
        self.amount(self.numerators(n).min(most))
    }

    /// Returns the whole tokens in a bucket whose TAT is `ahead` of the clock.
    pub(crate) fn available(&self, ahead: Amount) -> u64 {
        let room = self.parts(self.full).saturating_sub(self.parts(ahead));
        // At most the capacity.
        u64::try_from(room / u128::from(self.token)).unwrap_or(u64::MAX)
    }

    /// Returns the time until a bucket whose TAT is `ahead` of the clock has `n` tokens, at most
    /// its capacity, rounded up to a microsecond.
    pub(crate) fn wait(&self, ahead: Amount, n: u64) -> Duration {
        // The tokens are there once the TAT is no further ahead than this.
        let ready = self.parts(self.full).saturating_sub(self.numerators(n));
        let wait = self.parts(ahead).saturating_sub(ready);
        let wait = wait.div_ceil(u128::from(self.den));
        Duration::from_micros(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    /// Returns the time until a bucket whose TAT is `ahead` of the clock has one more token,
    /// rounded up to a microsecond; `None` if it is full.
    #[cfg(feature = "tower")]
    pub(crate) fn next_token_in(&self, ahead: Amount) -> Option<Duration> {
        let available = self.available(ahead);
        if available >= self.capacity {
            return None;
        }
        Some(self.wait(ahead, available + 1))
    }

    /// Returns the refill time of a bucket whose TAT is `ahead` of the clock, rounded up to a
    /// microsecond.
    pub(crate) const fn refill_time(ahead: Amount) -> Duration {
        Duration::from_micros(ahead.us + (ahead.num > 0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(quota: Quota) -> ScaledQuota {
        ScaledQuota::new(quota).unwrap()
    }

    #[test]
    fn thirds_of_a_second_are_exact() {
        let third = scaled(Quota::per_second(3));
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
    fn rates_above_one_per_microsecond_are_exact() {
        let fast = scaled(Quota::per_second(600_000_000));
        assert_eq!(fast.cost(1), Amount { us: 0, num: 1 });
        assert_eq!(fast.cost(600), Amount { us: 1, num: 0 });
    }

    #[test]
    fn available_tokens_are_rounded_down() {
        let third = scaled(Quota::per_second(3));
        assert_eq!(third.available(Amount::default()), 3);
        assert_eq!(third.available(Amount { us: 0, num: 1 }), 2);
        assert_eq!(third.available(third.cost(1)), 2);
        assert_eq!(third.available(third.cost(4)), 0);
    }

    #[cfg(feature = "tower")]
    #[test]
    fn next_token_comes_no_earlier_than_it_is_there() {
        let third = scaled(Quota::per_second(3));
        assert_eq!(third.next_token_in(Amount::default()), None);
        for tokens in 1..=5 {
            let ahead = third.cost(tokens);
            let wait = third.next_token_in(ahead).unwrap().as_micros();
            let wait = u64::try_from(wait).unwrap();
            let available = third.available(ahead);
            assert_eq!(
                third.available(ahead.after(wait)),
                available + 1,
                "{tokens}"
            );
            assert_eq!(
                third.available(ahead.after(wait - 1)),
                available,
                "{tokens}"
            );
        }
    }

    #[test]
    fn unrepresentable_quotas_are_errors() {
        let year = Duration::from_secs(31_557_600);
        let slow = |years: u32| Quota::new(1, year * years).unwrap();
        assert!(ScaledQuota::new(slow(50)).is_ok());
        assert_eq!(ScaledQuota::new(slow(51)), Err(ScaleError::RefillTooLong));
        let fine = Quota::new((1 << 53) + 1, year * 2).unwrap().burst(1);
        assert_eq!(ScaledQuota::new(fine), Err(ScaleError::RateTooFine));
        assert!(scaled(slow(1)).cost(u64::MAX).us <= 2 * MAX_REFILL_US);
    }
}
