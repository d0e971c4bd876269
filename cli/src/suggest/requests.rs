//! The requests of a log, in four bytes each while all times are whole seconds.

use std::cmp::Reverse;
use std::ops::Range;

use tidegate::{Quota, Timestamp};

use crate::log::Event;
use crate::replay::limiters::Limiters;
use crate::replay::limits::Limits;
use crate::replay::required_burst::{Lateness, RequiredBurst};

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
    /// Empty while each request asks for one permit.
    costs: Vec<u32>,
}

impl Default for RequestList {
    fn default() -> Self {
        Self {
            origin: None,
            times: Times::Seconds(Vec::new()),
            keys: Vec::new(),
            costs: Vec::new(),
        }
    }
}

impl RequestList {
    /// Adds a request, which must not be before the last.
    pub fn push(&mut self, event: Event) {
        let origin = *self.origin.get_or_insert(event.time - event.time % DAY);
        self.times.push(event.time - origin);
        if event.cost != 1 && self.costs.is_empty() {
            self.costs = vec![1; self.keys.len()];
        }
        if event.cost != 1 || !self.costs.is_empty() {
            self.costs.push(event.cost);
        }
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
        let costs = match self.costs.as_slice() {
            [] => Vec::new(),
            costs => group(costs, &keys, &mut starts.clone()),
        };
        let times = match self.times {
            Times::Seconds(seconds) => Times::Seconds(group(&seconds, &keys, &mut starts)),
            Times::Nanos(nanos) => Times::Nanos(group(&nanos, &keys, &mut starts)),
        };
        drop(keys);
        let mut requests = RequestsByKey {
            times,
            costs,
            starts,
            order: Vec::new(),
        };
        // A key whose requests do not count has a number, too.
        let keys = (0_u32..).take(count);
        let mut order: Vec<u32> = keys.filter(|key| requests.of(*key) > 0).collect();
        order.sort_unstable_by_key(|key| (Reverse(requests.demand(*key)), *key));
        requests.order = order;
        requests
    }
}

/// Moves the values of each key in front of the key's end, the latest first. Each end becomes the
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
    /// The cost of each request; empty if all are 1.
    costs: Vec<u32>,
    /// The index of each key's first time, and the number of all times.
    starts: Vec<usize>,
    /// The keys in descending order of what they ask for.
    order: Vec<u32>,
}

impl RequestsByKey {
    /// The number of requests of a key.
    pub fn of(&self, key: u32) -> u64 {
        self.range(key).len() as u64
    }

    fn range(&self, key: u32) -> Range<usize> {
        let key = key as usize;
        self.starts[key]..self.starts[key + 1]
    }

    /// What all requests of a key ask for together.
    fn demand(&self, key: u32) -> u64 {
        match self.costs.get(self.range(key)) {
            Some(costs) if !self.costs.is_empty() => {
                costs.iter().map(|cost| u64::from(*cost)).sum()
            }
            _ => self.of(key),
        }
    }

    /// The time and the cost of each request of a key.
    fn requests(&self, key: u32) -> impl Iterator<Item = (u64, u32)> {
        let cost = |index: usize| self.costs.get(index).copied().unwrap_or(1);
        self.range(key)
            .map(move |index| (self.times.get(index), cost(index)))
    }

    /// The keys that are in a group.
    pub fn group(&self, is_in: impl Fn(u32) -> bool) -> KeyGroup<'_> {
        let keys = self.order.iter().copied();
        let order: Vec<u32> = keys.filter(|key| is_in(*key)).collect();
        KeyGroup {
            requests: order.iter().map(|key| self.of(*key)).sum(),
            all: self,
            order,
        }
    }
}

/// Some keys of a log, or all of them.
#[derive(Debug)]
pub struct KeyGroup<'a> {
    all: &'a RequestsByKey,
    /// The keys in descending order of what they ask for.
    order: Vec<u32>,
    requests: u64,
}

/// What limits refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// The number of refused requests.
    pub requests: u64,
    /// The number of keys with a refused request.
    pub keys: u64,
}

impl KeyGroup<'_> {
    /// The number of requests.
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// The number of keys.
    pub const fn keys(&self) -> u64 {
        self.order.len() as u64
    }

    /// What all requests of a key ask for at most.
    pub fn max_per_key(&self) -> u64 {
        self.order.first().map_or(0, |key| self.all.demand(*key))
    }

    /// The keys that limits refuse, in descending order of what they ask for, with the number of
    /// their refused requests.
    pub fn refused_by_key(&self, limits: &Limits) -> impl Iterator<Item = (u32, u64)> {
        // A key that asks for no more than fits at once is not refused.
        let least = limits.least_capacity();
        let large = move |key: &u32| self.all.demand(*key) > least;
        let keys = self.order.iter().copied().take_while(large);
        let counts = keys.map(move |key| {
            let mut limiters = Limiters::new(limits);
            let refused = self.all.requests(key).filter(|(time, cost)| {
                let now = Timestamp::from_nanos(*time);
                limiters.decide(0, *cost, now).is_err()
            });
            (key, refused.count() as u64)
        });
        counts.filter(|(_, refused)| *refused > 0)
    }

    /// What limits refuse.
    pub fn refusals(&self, limits: &Limits) -> Refusals {
        let by_key = self.refused_by_key(limits);
        by_key.fold(Refusals::default(), |sum, (_, refused)| Refusals {
            requests: sum.requests + refused,
            keys: sum.keys + 1,
        })
    }

    /// Whether limits refuse at most as much. Ends as soon as they refuse more.
    pub fn refuses_at_most(&self, limits: &Limits, most: Refusals) -> bool {
        let mut sum = Refusals::default();
        self.refused_by_key(limits).all(|(_, refused)| {
            sum.requests += refused;
            sum.keys += 1;
            sum.requests <= most.requests && sum.keys <= most.keys
        })
    }

    /// The smallest burst with which the rate of a quota refuses no request.
    pub fn required_burst(&self, quota: Quota) -> u64 {
        let rate = Lateness::new(quota);
        let mut max = 0;
        for key in &self.order {
            // No key requires more than it asks for.
            if self.all.demand(*key) <= max {
                break;
            }
            let mut required = RequiredBurst::default();
            for (time, cost) in self.all.requests(*key) {
                required.add_request(rate, cost, time);
            }
            max = max.max(required.burst(rate));
        }
        // At a rate that the crate rounds, one token less may do.
        let is_enough = |burst: u64| {
            let limits = quota.try_burst(burst).map(Limits::from);
            limits.is_ok_and(|limits| self.refuses_at_most(&limits, Refusals::default()))
        };
        while !rate.is_smallest(max) && max > 1 && is_enough(max - 1) {
            max -= 1;
        }
        max
    }
}
