//! The Space-Saving sketch: the most frequent keys of a stream in a fixed number of counters
//! (Metwally, Agrawal and El Abbadi, 2005).
//!
//! # Invariants
//!
//! * Counters are sorted, the largest first.
//! * The sum of all counts is `total`. So the smallest of c counters is at most `total` / c.
//! * For a key with a counter, `count - error` ≤ its true count ≤ `count`, and `error` is at most
//!   the smallest count.
//! * For a key without a counter, the true count is at most the smallest count. It is 0 while there
//!   are free counters.
//!
//! A key that is new takes the smallest counter over and adds one, so its count is never too low.
//! The counter's former owner had at most that count, which keeps the last invariant.
//!
//! A panic of the key's own code loses the place of one key in the index, whose counter then only
//! waits to be taken over. It breaks no invariant.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::borrow::Borrow;

use hashbrown::HashTable;

pub(super) struct SpaceSaving<K> {
    /// Sorted by count, the largest first.
    counters: Vec<DenialCounter<K>>,
    /// Positions in `counters`, by the hash of the key there.
    index: HashTable<u32>,
    total: u64,
}

#[derive(Clone)]
pub(super) struct DenialCounter<K> {
    pub(super) key: K,
    pub(super) hash: u64,
    pub(super) count: u64,
    /// By how much the count may be too high.
    pub(super) error: u64,
}

/// The most counters of a sketch.
pub(super) const MAX_COUNTERS: usize = 1 << 20;

/// No counter has this position.
const MOVING: u32 = u32::MAX;

impl<K> SpaceSaving<K> {
    pub(super) const fn new() -> Self {
        Self {
            counters: Vec::new(),
            index: HashTable::new(),
            total: 0,
        }
    }

    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn counters(&self) -> &[DenialCounter<K>] {
        &self.counters
    }

    pub(super) fn into_counters(self) -> Vec<DenialCounter<K>> {
        self.counters
    }

    /// Returns the most that a key without a counter can have been counted.
    pub(super) fn most_of_others(&self, capacity: usize) -> u64 {
        if self.counters.len() < capacity {
            return 0;
        }
        self.counters.last().map_or(0, |least| least.count)
    }

    /// Counts `key` once. Clones the key only if it has no counter yet, into the memory of the key
    /// that loses its counter.
    pub(super) fn record<Q>(&mut self, hash: u64, key: &Q, capacity: usize)
    where
        K: Borrow<Q>,
        Q: Eq + ToOwned<Owned = K> + ?Sized,
    {
        let counters = &self.counters;
        let is_same = |position: &u32| {
            let counter = &counters[*position as usize];
            counter.hash == hash && counter.key.borrow() == key
        };
        let position = match self.index.find(hash, is_same) {
            Some(position) => *position as usize,
            None if self.counters.len() < capacity => self.add(hash, key.to_owned(), capacity),
            None => self.replace_least(hash, key),
        };
        self.raise(position);
        self.total = self.total.saturating_add(1);
    }

    /// Adds a counter with the count 0, which [`raise`](Self::raise) then moves.
    fn add(&mut self, hash: u64, key: K, capacity: usize) -> usize {
        let position = self.counters.len();
        self.counters.push(DenialCounter {
            key,
            hash,
            count: 0,
            error: 0,
        });
        self.insert(hash, position);
        if self.counters.len() == capacity {
            // From now on keys replace others. With twice the room, a hash table clears the marks
            // of those removed in place, and never grows again.
            let counters = &self.counters;
            let hasher = |position: &u32| counters[*position as usize].hash;
            self.index.reserve(capacity, hasher);
        }
        position
    }

    fn replace_least<Q>(&mut self, hash: u64, key: &Q) -> usize
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        let position = self.counters.len() - 1;
        let least = &mut self.counters[position];
        let entry = self
            .index
            .find_entry(least.hash, |other| *other as usize == position);
        if let Ok(entry) = entry {
            entry.remove();
        }
        key.clone_into(&mut least.key);
        least.hash = hash;
        least.error = least.count;
        self.insert(hash, position);
        position
    }

    fn insert(&mut self, hash: u64, position: usize) {
        let counters = &self.counters;
        let hasher = |position: &u32| counters[*position as usize].hash;
        self.index.insert_unique(hash, index(position), hasher);
    }

    /// Adds 1 to the count at `position`. The counter first goes to the front of those with the
    /// same count, so that all stay sorted.
    fn raise(&mut self, position: usize) {
        let count = self.counters[position].count;
        let front = self.counters.partition_point(|it| it.count > count);
        if front != position {
            self.swap(front, position);
        }
        let raised = &mut self.counters[front].count;
        *raised = raised.saturating_add(1);
    }

    fn swap(&mut self, one: usize, other: usize) {
        let (one_hash, other_hash) = (self.counters[one].hash, self.counters[other].hash);
        // In three steps, because two entries with one position could not be told apart.
        self.set_position(one_hash, index(one), MOVING);
        self.set_position(other_hash, index(other), index(one));
        self.set_position(one_hash, MOVING, index(other));
        self.counters.swap(one, other);
    }

    fn set_position(&mut self, hash: u64, from: u32, to: u32) {
        if let Some(position) = self.index.find_mut(hash, |it| *it == from) {
            *position = to;
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "there are at most `MAX_COUNTERS` counters"
)]
const fn index(position: usize) -> u32 {
    position as u32
}
