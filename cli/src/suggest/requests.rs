//! The requests of a log by key.

use std::cmp::Reverse;

use tidegate::{Quota, Timestamp, TokenBucket};

use crate::log::Event;
use crate::replay::limits::LogClock;
use crate::replay::required_burst::{EmissionInterval, RequiredBurst};

/// A day in nanoseconds.
const DAY: u64 = 86_400_000_000_000;

/// The requests of a log by key.
#[derive(Debug, Default)]
pub struct RequestsByKey {
    /// The beginning of the day (UTC) of the first request, as in a replay.
    origin: Option<u64>,
    /// The times after the origin, by the number of the key.
    times: Vec<Vec<u64>>,
    /// The keys in descending order of their requests.
    order: Vec<u32>,
    total: u64,
}

impl RequestsByKey {
    /// Adds a request, which must not be before the last.
    pub fn push(&mut self, event: Event) {
        let origin = *self.origin.get_or_insert(event.time - event.time % DAY);
        let key = event.key as usize;
        if self.times.len() <= key {
            self.times.resize_with(key + 1, Vec::new);
        }
        self.times[key].push(event.time - origin);
        self.total += 1;
    }

    /// Sorts the keys. Must be called after the last request.
    pub fn sort(&mut self) {
        self.order = (0_u32..).take(self.times.len()).collect();
        self.order
            .sort_by_key(|key| Reverse(self.times[*key as usize].len()));
    }

    /// The number of requests.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The number of requests of a key.
    pub fn of(&self, key: u32) -> u64 {
        self.times[key as usize].len() as u64
    }

    /// The number of requests of the largest key.
    pub fn max_per_key(&self) -> u64 {
        self.order.first().map_or(0, |key| self.of(*key))
    }

    /// The keys that a quota refuses, in descending order of their requests, with the number of
    /// their refused requests.
    pub fn refused_by_key(&self, quota: Quota) -> impl Iterator<Item = (u32, u64)> {
        // A key with no more requests than the burst is not refused.
        let large = move |key: &u32| self.of(*key) > quota.capacity();
        let keys = self.order.iter().copied().take_while(large);
        let counts = keys.map(move |key| {
            let bucket = TokenBucket::with_clock(quota, LogClock);
            let admit = |time: u64| {
                bucket
                    .try_acquire_at(1, Timestamp::from_nanos(time))
                    .is_ok()
            };
            let times = self.times[key as usize].iter();
            (key, times.filter(|time| !admit(**time)).count() as u64)
        });
        counts.filter(|(_, refused)| *refused > 0)
    }

    /// Whether a quota refuses at most `target`.
    pub fn meets(&self, quota: Quota, target: u64) -> bool {
        let mut sum = 0;
        self.refused_by_key(quota).all(|(_, refused)| {
            sum += refused;
            sum <= target
        })
    }

    /// The burst with which the rate of a quota refuses no request.
    pub fn required_burst(&self, quota: Quota) -> u64 {
        let interval = EmissionInterval::new(quota);
        let mut max = 0;
        for key in &self.order {
            // No key requires more than the number of its requests.
            if self.of(*key) <= max {
                break;
            }
            let mut required = RequiredBurst::default();
            for time in &self.times[*key as usize] {
                required.add_request(interval, *time);
            }
            max = max.max(required.burst(interval));
        }
        max
    }
}
