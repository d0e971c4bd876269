//! All requests of a log in little memory: 8 bytes each where times are whole seconds, 12 otherwise.

use std::cmp::Reverse;

use tidegate::{Quota, Timestamp, TokenBucket};

use crate::log::Event;
use crate::replay::gates::LogTime;
use crate::replay::need::{Need, Rate};

const SECOND: u64 = 1_000_000_000;

/// A day in nanoseconds.
const DAY: u64 = 86_400 * SECOND;

/// Times after the origin.
#[derive(Debug)]
enum Times {
    /// As long as all are whole seconds, and within 136 years.
    Seconds(Vec<u32>),
    /// From the first that is not.
    Nanos(Vec<u64>),
}

impl Times {
    fn push(&mut self, time: u64) {
        if let Self::Seconds(seconds) = self {
            if time.is_multiple_of(SECOND)
                && let Ok(second) = u32::try_from(time / SECOND)
            {
                seconds.push(second);
                return;
            }
            let nanos = seconds.iter().map(|second| u64::from(*second) * SECOND);
            *self = Self::Nanos(nanos.collect());
        }
        if let Self::Nanos(nanos) = self {
            nanos.push(time);
        }
    }

    #[inline]
    fn at(&self, index: usize) -> u64 {
        match self {
            Self::Seconds(seconds) => u64::from(seconds[index]) * SECOND,
            Self::Nanos(nanos) => nanos[index],
        }
    }

    /// The same in another order: `order(i)` is where the `i`-th goes.
    fn placed(self, order: impl FnMut(usize) -> usize) -> Self {
        fn place<T: Copy + Default>(values: &[T], order: impl FnMut(usize) -> usize) -> Vec<T> {
            let mut placed = vec![T::default(); values.len()];
            for (value, place) in values.iter().zip((0..values.len()).map(order)) {
                placed[place] = *value;
            }
            placed
        }
        match self {
            Self::Seconds(seconds) => Self::Seconds(place(&seconds, order)),
            Self::Nanos(nanos) => Self::Nanos(place(&nanos, order)),
        }
    }
}

/// Requests in the order in which they come.
#[derive(Debug)]
pub struct Collected {
    origin: Option<u64>,
    times: Times,
    keys: Vec<u32>,
}

impl Default for Collected {
    fn default() -> Self {
        Self {
            origin: None,
            times: Times::Seconds(Vec::new()),
            keys: Vec::new(),
        }
    }
}

impl Collected {
    /// Another one, not before the last.
    pub fn push(&mut self, event: Event) {
        // As a replay counts.
        let origin = *self.origin.get_or_insert(event.time - event.time % DAY);
        self.times.push(event.time - origin);
        self.keys.push(event.key);
    }
}

/// Requests by key.
#[derive(Debug)]
pub struct Events {
    times: Times,
    /// Where the requests of each key begin, and a last one behind the end.
    starts: Vec<usize>,
    /// The keys, those with most requests first.
    order: Vec<u32>,
}

/// What a quota refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Requests.
    pub refused: u64,
    /// Keys.
    pub keys: u64,
    /// The key that is refused most, and how much.
    pub worst: Option<(u32, u64)>,
}

impl Events {
    /// Puts requests together by their keys.
    pub fn new(collected: Collected) -> Self {
        let Collected { times, keys, .. } = collected;
        let count = keys.iter().max().map_or(0, |most| *most as usize + 1);
        let mut starts = vec![0_usize; count + 1];
        for key in &keys {
            starts[*key as usize + 1] += 1;
        }
        for key in 0..count {
            starts[key + 1] += starts[key];
        }
        let mut next = starts.clone();
        let times = times.placed(|index| {
            let place = &mut next[keys[index] as usize];
            *place += 1;
            *place - 1
        });
        let mut order: Vec<u32> = (0_u32..).take(count).collect();
        order.sort_by_key(|key| {
            let key = *key as usize;
            Reverse(starts[key + 1] - starts[key])
        });
        Self {
            times,
            starts,
            order,
        }
    }

    /// How many there are.
    pub fn requests(&self) -> u64 {
        self.starts.last().map_or(0, |end| *end as u64)
    }

    /// How many there are of a key.
    pub fn of(&self, key: u32) -> u64 {
        let key = key as usize;
        (self.starts[key + 1] - self.starts[key]) as u64
    }

    /// The most that there are of one key.
    pub fn most(&self) -> u64 {
        self.order.first().map_or(0, |key| self.of(*key))
    }

    fn times(&self, key: u32) -> impl Iterator<Item = u64> + '_ {
        let key = key as usize;
        (self.starts[key]..self.starts[key + 1]).map(|index| self.times.at(index))
    }

    /// Asks `each` about the refusals of all keys that may have some, until it has heard enough.
    fn ask(&self, quota: Quota, mut each: impl FnMut(u32, u64) -> bool) {
        for key in &self.order {
            // Whoever has no more requests than the burst is refused none, and neither are those after it.
            if self.of(*key) <= quota.capacity() {
                return;
            }
            let bucket = TokenBucket::with_clock(quota, LogTime);
            let refused = self
                .times(*key)
                .filter(|time| {
                    let time = Timestamp::from_nanos(*time);
                    bucket.try_acquire_at(1, time).is_err()
                })
                .count() as u64;
            if refused > 0 && !each(*key, refused) {
                return;
            }
        }
    }

    /// Whether a quota refuses no more than `target`.
    pub fn meets(&self, quota: Quota, target: u64) -> bool {
        let mut sum = 0;
        self.ask(quota, |_, refused| {
            sum += refused;
            sum <= target
        });
        sum <= target
    }

    /// What a quota refuses.
    pub fn refusals(&self, quota: Quota) -> Refusals {
        let mut sum = Refusals::default();
        self.ask(quota, |key, refused| {
            sum.refused += refused;
            sum.keys += 1;
            if sum.worst.is_none_or(|(_, most)| refused > most) {
                sum.worst = Some((key, refused));
            }
            true
        });
        sum
    }

    /// The burst with which a rate refuses nothing.
    pub fn burst_needed(&self, quota: Quota) -> u64 {
        let rate = Rate::new(quota);
        let mut most = 0;
        for key in &self.order {
            // No key needs more than it has requests.
            if self.of(*key) <= most {
                break;
            }
            let mut need = Need::default();
            self.times(*key).for_each(|time| need.request(rate, time));
            most = most.max(need.burst(rate));
        }
        most
    }
}
