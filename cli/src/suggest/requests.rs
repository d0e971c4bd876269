//! The requests of a log, in four bytes each while all times are whole seconds.

use std::cmp::Reverse;
use std::ops::Range;

use tidegate::{Quota, Timestamp, TokenBucket};

use crate::log::Event;
use crate::replay::limits::LogClock;
use crate::replay::required_burst::{EmissionInterval, RequiredBurst};

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;

/// Times after an origin.
#[derive(Debug)]
enum Times {
    /// Whole seconds of up to 136 years.
    Seconds(Vec<u32>),
    /// Nanoseconds, from the first other time on.
    Nanos(Vec<u64>),
}

impl Times {
    fn push(&mut self, time: u64) {
        if let Self::Seconds(seconds) = self {
            match u32::try_from(time / SECOND) {
                Ok(second) if time.is_multiple_of(SECOND) => return seconds.push(second),
                _ => *self = Self::Nanos((0..seconds.len()).map(|at| self.get(at)).collect()),
            }
        }
        if let Self::Nanos(nanos) = self {
            nanos.push(time);
        }
    }

    #[inline]
    fn get(&self, index: usize) -> u64 {
        match self {
            Self::Seconds(seconds) => u64::from(seconds[index]) * SECOND,
            Self::Nanos(nanos) => nanos[index],
        }
    }
}

/// The requests of a log in the order of time.
#[derive(Debug)]
pub struct RequestList {
    /// The beginning of the day (UTC) of the first request, as in a replay.
    origin: Option<u64>,
    times: Times,
    keys: Vec<u32>,
}

impl Default for RequestList {
    fn default() -> Self {
        Self {
            origin: None,
            times: Times::Seconds(Vec::new()),
            keys: Vec::new(),
        }
    }
}

impl RequestList {
    /// Adds a request, which must not be before the last.
    pub fn push(&mut self, event: Event) {
        let origin = *self.origin.get_or_insert(event.time - event.time % DAY);
        self.times.push(event.time - origin);
        self.keys.push(event.key);
    }

    /// Groups the requests by key.
    pub fn group_by_key(self) -> RequestsByKey {
        let keys = self.keys;
        let count = keys.iter().max().map_or(0, |last| *last as usize + 1);
        let mut starts = vec![0; count + 1];
        for key in &keys {
            starts[*key as usize] += 1;
        }
        // The sums are the ends of the keys. Grouping turns them into starts.
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let times = match self.times {
            Times::Seconds(seconds) => Times::Seconds(group(&seconds, &keys, &mut starts)),
            Times::Nanos(nanos) => Times::Nanos(group(&nanos, &keys, &mut starts)),
        };
        drop(keys);
        let mut requests = RequestsByKey {
            times,
            starts,
            order: Vec::new(),
        };
        let mut order: Vec<u32> = (0_u32..).take(count).collect();
        order.sort_unstable_by_key(|key| (Reverse(requests.of(*key)), *key));
        requests.order = order;
        requests
    }
}

/// Moves the times of each key in front of the key's end, the latest first. Each end becomes the
/// start of its key.
fn group<T: Copy + Default>(times: &[T], keys: &[u32], ends: &mut [usize]) -> Vec<T> {
    let mut grouped = vec![T::default(); times.len()];
    for (time, key) in times.iter().zip(keys).rev() {
        let end = &mut ends[*key as usize];
        *end -= 1;
        grouped[*end] = *time;
    }
    grouped
}

/// The requests of a log by key.
#[derive(Debug)]
pub struct RequestsByKey {
    times: Times,
    /// The index of each key's first time, and the number of all times.
    starts: Vec<usize>,
    /// The keys in descending order of their requests.
    order: Vec<u32>,
}

impl RequestsByKey {
    /// The number of requests.
    pub fn total(&self) -> u64 {
        self.starts.last().map_or(0, |total| *total as u64)
    }

    /// The number of requests of a key.
    pub fn of(&self, key: u32) -> u64 {
        self.range(key).len() as u64
    }

    fn range(&self, key: u32) -> Range<usize> {
        let key = key as usize;
        self.starts[key]..self.starts[key + 1]
    }

    fn times(&self, key: u32) -> impl Iterator<Item = u64> {
        self.range(key).map(|index| self.times.get(index))
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
            let refused = self.times(key).filter(|time| !admit(*time));
            (key, refused.count() as u64)
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
            for time in self.times(*key) {
                required.add_request(interval, time);
            }
            max = max.max(required.burst(interval));
        }
        max
    }
}
