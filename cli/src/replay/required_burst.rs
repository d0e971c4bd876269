//! The required burst of a key: the smallest burst with which a bucket refuses none of its
//! requests.
//!
//! If all requests are admitted, a bucket's debt grows with each request by its tokens and shrinks
//! with time, but not below zero. The debt is what the bucket lacks to be full. A burst refuses no
//! request if and only if the debt never exceeds it, the request's own token included. So the
//! required burst is the largest debt, rounded up to a whole token.
//!
//! Nothing else is rounded. With a token every `p/n` nanoseconds in lowest terms, debts are counted
//! in units: a token is `p` units, and each nanosecond pays `n` units.
//!
//! At a rate that the crate rounds, tokens of its buckets may come some nanoseconds late, those of
//! a full bucket after its first, too. There what is paid within that time is added to the debt,
//! so that the burst suffices in any case.

use tidegate::Quota;

use super::emission_interval::EmissionInterval;
use crate::explain::Exactness;

/// A rate, and by how much the crate's bucket may be behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    quota: Quota,
    interval: EmissionInterval,
    /// How many nanoseconds a token is late at most. 0 for most rates.
    nanos: u64,
}

impl Lateness {
    /// The lateness of a quota.
    pub fn new(quota: Quota) -> Self {
        Self {
            quota,
            interval: EmissionInterval::new(quota),
            nanos: Exactness::new(quota).max_late_ns,
        }
    }

    /// The lateness with another burst: a very large one is counted more coarsely.
    fn with_burst(self, burst: u64) -> u64 {
        let quota = self.quota.try_burst(burst);
        quota.map_or(self.nanos, |quota| Exactness::new(quota).max_late_ns)
    }

    /// What is paid in the time by which a token is late.
    fn units(self) -> u128 {
        u128::from(self.nanos) * u128::from(self.interval.divisor)
    }

    /// Whether a required burst is the smallest that refuses nothing, and not one more.
    pub fn is_smallest(self, burst: u64) -> bool {
        self.with_burst(burst) == 0
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
    pub fn add_request(&mut self, rate: Lateness, cost: u32, time: u64) {
        let interval = rate.interval;
        // Neither overflows: a debt is at most 2^64 tokens of 2^64 units, and the payment of 584
        // years is below 2^128.
        let passed = time - self.last;
        let paid = u128::from(passed) * u128::from(interval.divisor);
        // A bucket that has been full for a while is not late for the first request.
        let is_late = rate.nanos > 0 && (self.debt > paid_until(passed, rate) || cost > 1);
        let late = if is_late { rate.units() } else { 0 };
        self.debt = self.debt.saturating_sub(paid);
        let asked = u128::from(cost) * u128::from(interval.nanos);
        self.debt = self.debt.saturating_add(asked);
        self.max_debt = self.max_debt.max(self.debt.saturating_add(late));
        self.last = time;
    }

    /// Whether the debt is zero at a time that is not before the last request, and any delay over.
    pub fn is_paid(&self, rate: Lateness, now: u64) -> bool {
        paid_until(now - self.last, rate) >= self.debt
    }

    /// The required burst; 0 without requests. At a rate that the crate rounds, it may be one more
    /// than the smallest.
    pub fn burst(&self, rate: Lateness) -> u64 {
        let per_token = u128::from(rate.interval.nanos).max(1);
        let tokens = |debt: u128| u64::try_from(debt.div_ceil(per_token)).unwrap_or(u64::MAX);
        let burst = tokens(self.max_debt);
        let nanos = rate.with_burst(burst);
        if nanos <= rate.nanos {
            return burst;
        }
        let late = Lateness { nanos, ..rate }.units();
        tokens(self.max_debt.saturating_add(late))
    }
}

/// What was paid up to the time by which a token is late.
fn paid_until(passed: u64, rate: Lateness) -> u128 {
    u128::from(passed.saturating_sub(rate.nanos)) * u128::from(rate.interval.divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_tokens_are_rounded_up() {
        let rate = Lateness::new(Quota::per_second(3));
        let mut required = RequiredBurst::default();
        assert_eq!(required.burst(rate), 0);
        for time in [0, 333_333_334, 666_666_668] {
            required.add_request(rate, 1, time);
            assert_eq!(required.burst(rate), 1);
        }
        required.add_request(rate, 1, 1_000_000_001);
        assert_eq!(required.burst(rate), 2, "a third of a nanosecond early");
    }

    #[test]
    fn late_tokens_count_as_absent() {
        // Not exact, so tokens may be 2 ns late. A token takes 86 399.74 ns.
        let rate = Lateness::new(Quota::per_day(1_000_003_000));
        assert_eq!(rate.nanos, 2);
        assert!(!rate.is_smallest(2) && Lateness::new(Quota::per_day(1)).is_smallest(13_000));
        let bursts = |times: &[u64]| {
            let mut required = RequiredBurst::default();
            for time in times {
                required.add_request(rate, 1, *time);
            }
            required.burst(rate)
        };
        assert_eq!(bursts(&[5]), 1, "full at the first request");
        assert_eq!(bursts(&[0, 86_400]), 2, "a late token is missing");
        assert_eq!(bursts(&[0, 86_402]), 1);
        assert_eq!(bursts(&[5, 5]), 3, "the second token may be late");
        assert_eq!(bursts(&[0, 86_400, 86_400]), 3);
    }
}
