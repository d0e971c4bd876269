//! Counts the requests of each key.
//!
//! A key has a **record** to the end: its numbers of requests, and its refusals if it has any. What
//! decides about its next request is its **state**: the limiter in the same slot, the current
//! streak, the debt. A log has many keys and few at a time, so states are evicted.
//!
//! A state is evicted only if a new one would decide the same: its bucket is full, its windows are
//! empty, and its debt is paid. Then the next request is admitted, which ends any streak. So no
//! count depends on evictions. States are examined after as many requests as there are states, so
//! an eviction costs a constant time per request.

use super::required_burst::{Lateness, RequiredBurst};
use crate::log::Event;

/// Fewer requests than this between two evictions would save little memory.
const MIN_REQUESTS: usize = 4_096;
/// The index of something that does not exist.
const NONE: u32 = u32::MAX;

/// The counts of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyTally {
    /// Its requests.
    pub requests: u64,
    /// Its refused requests.
    pub refused: u64,
    /// The time of the first refusal.
    pub first_refused: Option<u64>,
    /// The length of its longest streak of refusals.
    pub longest_streak: u64,
    /// Its required burst; 0 without a rate.
    pub required_burst: u64,
}

/// What is kept of each key.
#[derive(Clone, Copy, Debug)]
struct Record {
    requests: u64,
    /// The required burst of evicted states.
    required_burst: u64,
    /// The index of its state.
    slot: u32,
    /// The index of its refusals.
    refusals: u32,
}

/// What is kept of each key with a refusal.
#[derive(Clone, Copy, Debug)]
struct Refusals {
    refused: u64,
    first: u64,
    longest_streak: u64,
}

/// What is kept of a key in use, beside its limiter.
#[derive(Clone, Copy, Debug)]
struct State {
    key: u32,
    /// The time of the last request.
    last: u64,
    /// The length of the current streak, and the time when it began.
    current_streak: u64,
    streak_start: u64,
    required_burst: RequiredBurst,
}

/// A streak of refusals of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusalStreak {
    /// The key.
    pub key: u32,
    /// The number of refusals.
    pub refusals: u64,
    /// The time of the first.
    pub from: u64,
    /// The time of the last.
    pub to: u64,
}

/// The slot of a key's state and limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its index.
    pub index: u32,
    /// Whether the key was not in use, so that its limiter must be new.
    pub is_new: bool,
}

/// The counts of all keys.
#[derive(Debug)]
pub struct KeyTallies {
    /// By the number of the key.
    records: Vec<Record>,
    refusals: Vec<Refusals>,
    states: Vec<State>,
    /// Slots that are not in use.
    free: Vec<u32>,
    /// A limiter that was not used for this long is as good as new.
    idle: u64,
    rate: Option<Lateness>,
    /// The number of requests until the next eviction.
    until_eviction: usize,
    /// The longest streak of all keys. Of equally long streaks, the one that reached that length
    /// first.
    pub longest_streak: Option<RefusalStreak>,
}

impl KeyTallies {
    /// Counts requests whose limiters are as good as new after `idle` nanoseconds. With a
    /// rate, required bursts are computed.
    pub const fn new(idle: u64, rate: Option<Lateness>) -> Self {
        Self {
            records: Vec::new(),
            refusals: Vec::new(),
            states: Vec::new(),
            free: Vec::new(),
            idle,
            rate,
            until_eviction: MIN_REQUESTS,
            longest_streak: None,
        }
    }

    /// The largest number of keys that had a state at the same time.
    pub const fn max_states(&self) -> usize {
        self.states.len()
    }

    /// Returns the slot of a key that has a request at a time, which never decreases.
    #[inline]
    pub fn slot(&mut self, key: u32, time: u64) -> Slot {
        self.until_eviction -= 1;
        if self.until_eviction == 0 {
            self.evict(time);
        }
        let index = key as usize;
        while self.records.len() <= index {
            self.records.push(Record {
                requests: 0,
                required_burst: 0,
                slot: NONE,
                refusals: NONE,
            });
        }
        let slot = self.records[index].slot;
        if slot != NONE {
            return Slot {
                index: slot,
                is_new: false,
            };
        }
        Slot {
            index: self.new_state(key, time),
            is_new: true,
        }
    }

    fn new_state(&mut self, key: u32, time: u64) -> u32 {
        let state = State {
            key,
            last: time,
            current_streak: 0,
            streak_start: 0,
            required_burst: RequiredBurst::default(),
        };
        let slot = if let Some(slot) = self.free.pop() {
            self.states[slot as usize] = state;
            slot
        } else {
            self.states.push(state);
            // There are at most as many states as keys.
            u32::try_from(self.states.len() - 1).unwrap_or(NONE)
        };
        self.records[key as usize].slot = slot;
        slot
    }

    /// Counts a request of the key in a slot.
    #[inline]
    pub fn count(&mut self, slot: Slot, event: Event, admitted: bool) {
        let Event { time, cost, .. } = event;
        let state = &mut self.states[slot.index as usize];
        state.last = time;
        if let Some(rate) = self.rate {
            state.required_burst.add_request(rate, cost, time);
        }
        let record = &mut self.records[state.key as usize];
        record.requests += 1;
        if admitted {
            state.current_streak = 0;
            return;
        }
        if state.current_streak == 0 {
            state.streak_start = time;
        }
        state.current_streak += 1;
        if record.refusals == NONE {
            record.refusals = u32::try_from(self.refusals.len()).unwrap_or(NONE);
            self.refusals.push(Refusals {
                refused: 0,
                first: time,
                longest_streak: 0,
            });
        }
        let streak = state.current_streak;
        let refusals = &mut self.refusals[record.refusals as usize];
        refusals.refused += 1;
        refusals.longest_streak = refusals.longest_streak.max(streak);
        if self
            .longest_streak
            .is_none_or(|longest| streak > longest.refusals)
        {
            self.longest_streak = Some(RefusalStreak {
                key: state.key,
                refusals: streak,
                from: state.streak_start,
                to: time,
            });
        }
    }

    /// Evicts all states that are as good as new.
    #[cold]
    fn evict(&mut self, now: u64) {
        for (slot, state) in (0_u32..).zip(&mut self.states) {
            if state.key == NONE || now - state.last < self.idle {
                continue;
            }
            if let Some(rate) = self.rate {
                if !state.required_burst.is_paid(rate, now) {
                    continue;
                }
                let record = &mut self.records[state.key as usize];
                let burst = state.required_burst.burst(rate);
                record.required_burst = record.required_burst.max(burst);
            }
            self.records[state.key as usize].slot = NONE;
            state.key = NONE;
            self.free.push(slot);
        }
        let in_use = self.states.len() - self.free.len();
        self.until_eviction = in_use.max(MIN_REQUESTS);
    }

    /// The counts of a key.
    ///
    /// # Panics
    ///
    /// If the key has no requests.
    pub fn tally(&self, key: u32) -> KeyTally {
        let record = &self.records[key as usize];
        let state = self.states.get(record.slot as usize);
        let current = state.zip(self.rate);
        let current = current.map_or(0, |(state, rate)| state.required_burst.burst(rate));
        let refusals = self.refusals.get(record.refusals as usize);
        KeyTally {
            requests: record.requests,
            refused: refusals.map_or(0, |refusals| refusals.refused),
            first_refused: refusals.map(|refusals| refusals.first),
            longest_streak: refusals.map_or(0, |refusals| refusals.longest_streak),
            required_burst: record.required_burst.max(current),
        }
    }

    /// The counts of all keys with a request, by their numbers.
    pub fn tallies(&self) -> impl Iterator<Item = (u32, KeyTally)> {
        let records = (0_u32..).zip(&self.records);
        let used = records.filter(|(_, record)| record.requests > 0);
        used.map(|(key, _)| (key, self.tally(key)))
    }
}
