//! What limiters may admit: slow and exact.

use alloc::collections::VecDeque;

use crate::NANOS;
use crate::record::Service;

/// What a bucket states.
#[derive(Clone, Copy)]
pub(crate) struct Stated {
    pub(crate) rate: u64,
    /// Nanoseconds in which as many tokens flow in as `rate` says.
    pub(crate) period: u64,
    pub(crate) capacity: u64,
}

impl Stated {
    pub(crate) const fn per_second(rate: u64, capacity: u64) -> Self {
        Self {
            rate,
            period: NANOS,
            capacity,
        }
    }
}

/// A token bucket in units of a token divided by the nanoseconds of the period.
pub(crate) struct BucketOracle {
    /// Units per nanosecond.
    rate: u128,
    token: u128,
    capacity: u128,
    level: u128,
    at: u64,
}

impl BucketOracle {
    /// Its capacity is what is stated and what flows in within `extra` nanoseconds.
    pub(crate) fn new(stated: Stated, extra: u64) -> Self {
        let (rate, token) = (u128::from(stated.rate), u128::from(stated.period));
        let capacity = u128::from(stated.capacity) * token + rate * u128::from(extra);
        Self {
            rate,
            token,
            capacity,
            level: capacity,
            at: 0,
        }
    }

    /// Returns the earliest instant from `from` on at which it can admit `n`, after all that it has
    /// admitted; and admits it then.
    pub(crate) fn admit_from(&mut self, n: u64, from: u64) -> u64 {
        let from = from.max(self.at);
        self.refill(from);
        let cost = u128::from(n) * self.token;
        let wait = cost.saturating_sub(self.level).div_ceil(self.rate);
        let at = from + u64::try_from(wait).expect("a short wait");
        self.refill(at);
        self.level -= cost;
        at
    }

    fn refill(&mut self, now: u64) {
        let passed = u128::from(now - self.at);
        self.level = self.capacity.min(self.level + self.rate * passed);
        self.at = now;
    }
}

/// Asserts a bucket's bound: there are decision times, each between a call's arrival and its end
/// and at most `slack` before its end, in order, at which an ideal bucket admits all. In real time,
/// an ideal bucket admits all whose capacity is greater by what flows in within the slack.
pub(crate) fn check_bucket(services: &[Service], stated: Stated, slack: u64) {
    let mut ideal = BucketOracle::new(stated, 0);
    let mut in_real_time = BucketOracle::new(stated, slack);
    for service in services {
        let Service { arrived, at, n, .. } = *service;
        // The earliest leaves the most for those behind.
        let due = ideal.admit_from(n, arrived.max(at.saturating_sub(slack)));
        assert!(due <= at, "{service:?} cannot be before {due}");
        let due = in_real_time.admit_from(n, at);
        assert!(due <= at, "{service:?} is before {due} in real time");
    }
}

/// Asserts a window's bound: no interval `[t, t + length]` holds more than `limit`.
pub(crate) fn check_window(services: &[Service], limit: u64, length: u64) {
    let mut held = VecDeque::new();
    let mut sum = 0;
    for service in services {
        held.push_back(service);
        sum += service.n;
        while service.at - held[0].at > length {
            sum -= held.pop_front().expect("not empty").n;
        }
        assert!(
            sum <= limit,
            "{sum} of {limit} in the {length} ns before {}",
            service.at
        );
    }
}

/// The number of permits that were admitted after an instant.
pub(crate) fn admitted_after(services: &[Service], instant: u64) -> u64 {
    let later = services
        .iter()
        .rev()
        .take_while(|service| service.at > instant);
    later.map(|service| service.n).sum()
}
