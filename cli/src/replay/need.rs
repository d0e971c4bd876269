//! The burst that a key would need: what a bucket of the same rate must hold to refuse it nothing.
//!
//! If all requests are let through, a bucket's debt against being full grows by a token with each and shrinks with time, not
//! below zero. A capacity refuses nothing if and only if the debt, the request's own token included, never exceeds it. So the
//! smallest is the largest debt, rounded up to a whole token. Debts are counted in whole grains: with a token every `p/n`
//! nanoseconds in lowest terms, a token is `p` grains and a nanosecond takes `n` of them. Nothing is rounded.

use tidegate::Quota;

/// A rate in grains.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    per_token: u128,
    per_nano: u128,
}

impl Rate {
    /// The rate of a quota.
    pub fn new(quota: Quota) -> Self {
        let (tokens, nanos) = (u128::from(quota.rate()), quota.period().as_nanos());
        let (mut a, mut b) = (tokens, nanos);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Self {
            per_token: nanos / a.max(1),
            per_nano: tokens / a.max(1),
        }
    }
}

impl Rate {
    /// Whether the crate's buckets meter this rate without any rounding: see [`tidegate::TokenBucket`].
    pub const fn is_exact(&self) -> bool {
        self.per_nano <= 1 << 17
    }
}

/// One key's debt.
#[derive(Clone, Copy, Debug, Default)]
pub struct Need {
    debt: u128,
    most: u128,
    last: u64,
}

impl Need {
    /// A request at a time that is not before the last.
    #[inline]
    pub fn request(&mut self, rate: Rate, time: u64) {
        // A debt is at most 2^64 tokens of 2^64 grains; what flows off in 584 years is less than 2^128.
        let paid = u128::from(time - self.last) * rate.per_nano;
        self.debt = self
            .debt
            .saturating_sub(paid)
            .saturating_add(rate.per_token);
        self.most = self.most.max(self.debt);
        self.last = time;
    }

    /// The smallest burst that refuses none of the requests; 0 if there were none.
    pub fn burst(&self, rate: Rate) -> u64 {
        u64::try_from(self.most.div_ceil(rate.per_token)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_token_is_a_whole_one() {
        let rate = Rate::new(Quota::per_second(3));
        let mut need = Need::default();
        assert_eq!(need.burst(rate), 0);
        need.request(rate, 0);
        assert_eq!(need.burst(rate), 1);
        need.request(rate, 333_333_334);
        assert_eq!(need.burst(rate), 1);
        need.request(rate, 666_666_668);
        assert_eq!(need.burst(rate), 1);
        need.request(rate, 1_000_000_001);
        assert_eq!(need.burst(rate), 2, "a third of a nanosecond early");
    }
}
