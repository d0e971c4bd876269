//! The required burst of a key: the smallest burst with which a bucket refuses none of its
//! requests.
//!
//! If all requests are admitted, a bucket's debt grows by one token with each request and shrinks
//! with time, but not below zero. The debt is what the bucket lacks to be full. A burst refuses no
//! request if and only if the debt never exceeds it, the request's own token included. So the
//! required burst is the largest debt, rounded up to a whole token.
//!
//! Nothing else is rounded. With a token every `p/n` nanoseconds in lowest terms, debts are counted
//! in units: a token is `p` units, and each nanosecond pays `n` units.

use serde::Serialize;
use tidegate::Quota;

/// The time between two tokens in nanoseconds, as a fraction in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EmissionInterval {
    /// The numerator.
    pub nanos: u64,
    /// The denominator.
    pub divisor: u64,
}

impl EmissionInterval {
    /// The emission interval of a quota.
    pub fn new(quota: Quota) -> Self {
        let period = u64::try_from(quota.period().as_nanos()).unwrap_or(u64::MAX);
        let (mut a, mut b) = (quota.rate(), period);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Self {
            nanos: period / a.max(1),
            divisor: quota.rate() / a.max(1),
        }
    }
}

/// The debt of a key.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequiredBurst {
    debt: u128,
    max_debt: u128,
    last: u64,
}

impl RequiredBurst {
    /// Adds a request at a time that is not before the last.
    #[inline]
    pub fn add_request(&mut self, interval: EmissionInterval, time: u64) {
        // Neither overflows: a debt is at most 2^64 tokens of 2^64 units, and the payment of 584
        // years is below 2^128.
        let paid = u128::from(time - self.last) * u128::from(interval.divisor);
        let debt = self.debt.saturating_sub(paid);
        self.debt = debt.saturating_add(interval.nanos.into());
        self.max_debt = self.max_debt.max(self.debt);
        self.last = time;
    }

    /// Whether the debt is zero at a time that is not before the last request.
    pub fn is_paid(&self, interval: EmissionInterval, now: u64) -> bool {
        u128::from(now - self.last) * u128::from(interval.divisor) >= self.debt
    }

    /// The required burst; 0 without requests.
    pub fn burst(&self, interval: EmissionInterval) -> u64 {
        let tokens = self.max_debt.div_ceil(u128::from(interval.nanos).max(1));
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_tokens_are_rounded_up() {
        let interval = EmissionInterval::new(Quota::per_second(3));
        let mut required = RequiredBurst::default();
        assert_eq!(required.burst(interval), 0);
        for time in [0, 333_333_334, 666_666_668] {
            required.add_request(interval, time);
            assert_eq!(required.burst(interval), 1);
        }
        required.add_request(interval, 1_000_000_001);
        assert_eq!(required.burst(interval), 2, "a third of a nanosecond early");
    }
}
