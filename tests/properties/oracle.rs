//! Slow and obvious limiters in exact integers, to judge the fast ones by.

use alloc::collections::VecDeque;
use core::time::Duration;

use tidegate::Quota;

/// A token bucket in exact rationals: its theoretical arrival time is counted in units of 1/rate nanoseconds, so that a token
/// is `period` units and a nanosecond is `rate` units.
#[derive(Clone, Debug)]
pub(crate) struct IdealBucket {
    rate: u128,
    period: u128,
    capacity: u128,
    tat: u128,
}

impl IdealBucket {
    pub(crate) fn new(quota: Quota) -> Self {
        Self {
            rate: quota.rate().into(),
            period: quota.period().as_nanos(),
            capacity: quota.capacity().into(),
            tat: 0,
        }
    }

    /// Whether `n` tokens are there at `nanos`.
    pub(crate) fn admits(&self, n: u64, nanos: u64) -> bool {
        let now = u128::from(nanos) * self.rate;
        self.tat.max(now) + u128::from(n) * self.period <= now + self.capacity * self.period
    }

    /// Charges `n`, whether or not they are there.
    pub(crate) fn charge(&mut self, n: u64, nanos: u64) {
        let now = u128::from(nanos) * self.rate;
        self.tat = self.tat.max(now) + u128::from(n) * self.period;
    }

    /// Gives `n` back, up to a full bucket.
    pub(crate) fn credit(&mut self, n: u64, nanos: u64) {
        let now = u128::from(nanos) * self.rate;
        if self.tat > now {
            self.tat = self
                .tat
                .saturating_sub(u128::from(n) * self.period)
                .max(now);
        }
    }

    /// Whole tokens at `nanos`.
    pub(crate) fn available(&self, nanos: u64) -> u64 {
        let now = u128::from(nanos) * self.rate;
        let missing = self.tat.max(now) - now;
        let level = (self.capacity * self.period).saturating_sub(missing);
        u64::try_from(level / self.period).expect("at most the capacity")
    }
}

/// How late a bucket of this quota may be, in nanoseconds: what the docs of `TokenBucket` promise.
pub(crate) fn lateness(quota: Quota) -> u64 {
    const YEAR: u128 = 31_557_600_000_000_000;
    let (rate, period) = (quota.rate(), quota.period().as_nanos());
    let divisor = gcd(rate.into(), period);
    let refill = u128::from(quota.capacity()) * period / u128::from(rate);
    let grains = u128::from(quota.capacity()) * (period / divisor);
    if u128::from(rate) / divisor <= 1 << 17 && grains <= 1 << 60 {
        0
    } else if refill <= 9 * YEAR {
        2
    } else {
        170
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Asserts G1 on a whole history of (time, tokens), in any order: over every interval, both ends included, at most
/// capacity + rate * length.
pub(crate) fn assert_bound(quota: Quota, history: &[(u64, u64)]) {
    let rate = u128::from(quota.rate());
    let period = quota.period().as_nanos();
    let mut history = history.to_vec();
    history.sort_unstable();
    for (i, &(start, _)) in history.iter().enumerate() {
        let mut admitted: u128 = 0;
        for &(end, n) in &history[i..] {
            admitted += u128::from(n);
            // admitted <= capacity + rate * (end - start) / period, without the division.
            assert!(
                admitted * period
                    <= u128::from(quota.capacity()) * period + u128::from(end - start) * rate,
                "{quota}: {admitted} admitted in [{start}, {end}]"
            );
        }
    }
}

/// Every admission of a sliding window, with its decision time.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdealWindow {
    admitted: VecDeque<(u64, u64)>,
}

impl IdealWindow {
    /// How many were admitted at `start` or later.
    pub(crate) fn count_since(&self, start: u64) -> u128 {
        self.admitted
            .iter()
            .filter(|&&(at, _)| at >= start)
            .map(|&(_, n)| u128::from(n))
            .sum()
    }

    /// Records an admission, which is not before any other.
    pub(crate) fn admit(&mut self, n: u64, nanos: u64) {
        self.admitted.push_back((nanos, n));
    }

    /// Asserts G5 for the intervals that end with the newest admission; called after each, that covers all.
    pub(crate) fn assert_bound(&self, limit: u64, length: Duration) {
        let length = u64::try_from(length.as_nanos()).expect("windows fit");
        if let Some(&(newest, _)) = self.admitted.back() {
            let count = self.count_since(newest.saturating_sub(length));
            assert!(
                count <= limit.into(),
                "{count} of {limit} in {length} ns up to {newest}"
            );
        }
    }
}
