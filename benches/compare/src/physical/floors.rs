//! What no exact limiter can avoid, by itself and together.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use crossbeam_utils::sync::ShardedLock;
use hashbrown::HashTable;
use tidegate::{Clock, DefaultClock, KeyHasher};

use crate::gate::gates;
use crate::keyed::KeyedGate;

type Word = CachePadded<AtomicU64>;

/// Loads a word.
#[derive(Default)]
pub(super) struct Load(Word);

/// Exchanges a word that no other thread uses.
#[derive(Default)]
pub(super) struct Exchange(Word);

/// Reads the clock, and exchanges three words: an admission that three limits charge.
#[derive(Default)]
pub(super) struct ClockAndThree([Word; 3]);

gates! {
    Load => bool, |gate| gate.0.load(Relaxed) == 0;
    Exchange => Result<u64, u64>, |gate| exchange(&gate.0, 1);
    ClockAndThree => Result<u64, u64>, |gate| {
        let now = DefaultClock.now().as_nanos();
        let [first, second, third] = &gate.0;
        exchange(first, now)?;
        exchange(second, now)?;
        exchange(third, now)
    };
}

#[inline(always)]
fn exchange(word: &AtomicU64, next: u64) -> Result<u64, u64> {
    let seen = word.load(Relaxed);
    word.compare_exchange_weak(seen, next, Relaxed, Relaxed)
}

/// A word of state, in the room that it needs beside the key's digest.
#[derive(Default)]
#[repr(align(16))]
struct Entry(AtomicU64);

fn entries(count: usize) -> Box<[Entry]> {
    let count = count.next_power_of_two();
    (0..count).map(|_| Entry::default()).collect()
}

/// Loads a random word of a table. Each address depends on the word before, so the loads do not
/// overlap.
pub(super) struct Miss {
    entries: Box<[Entry]>,
    last: AtomicU64,
}

impl Miss {
    pub(super) fn among(count: usize) -> Self {
        Self {
            entries: entries(count),
            last: AtomicU64::new(1),
        }
    }
}

gates! {
    Miss => bool, |gate| {
        let last = gate.last.load(Relaxed);
        // Knuth's generator for 64 bits, whose upper bits are random.
        let next = last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = (next >> 32) as usize & (gate.entries.len() - 1);
        let seen = gate.entries[at].0.load(Relaxed);
        gate.last.store(next + seen, Relaxed);
        seen == 0
    };
}

/// Hashes the key with tidegate's hash function.
pub(super) struct Hash(KeyHasher);

impl Hash {
    pub(super) fn new() -> Self {
        Self(KeyHasher::new())
    }
}

impl KeyedGate<String> for Hash {
    type Decision = Result<u64, u64>;

    #[inline(always)]
    fn decide(&self, key: &String) -> Self::Decision {
        Ok(self.0.hash_one(key.as_str()))
    }

    fn spend(&self, _: &String, _: u32) -> bool {
        true
    }
}

/// Parts of a table of keys, as many as a `Keyed` has on a small machine.
const PARTS: usize = 64;

/// Hashes the key, and looks it up under the shared lock of a part of the keys.
pub(super) struct Lookup {
    hasher: KeyHasher,
    parts: Box<[CachePadded<ShardedLock<HashTable<String>>>]>,
}

impl Lookup {
    pub(super) fn new() -> Self {
        Self {
            hasher: KeyHasher::new(),
            parts: (0..PARTS).map(|_| CachePadded::default()).collect(),
        }
    }

    fn part(&self, hash: u64) -> &ShardedLock<HashTable<String>> {
        // A table of hashes uses the low bits and the top ones.
        &self.parts[(hash >> 45) as usize % PARTS]
    }
}

impl KeyedGate<String> for Lookup {
    type Decision = bool;

    #[inline(always)]
    fn decide(&self, key: &String) -> Self::Decision {
        let hash = self.hasher.hash_one(key.as_str());
        let part = self.part(hash).read().expect("not poisoned");
        part.find(hash, |known| known == key).is_some()
    }

    fn spend(&self, key: &String, _: u32) -> bool {
        let hash = self.hasher.hash_one(key.as_str());
        let mut part = self.part(hash).write().expect("not poisoned");
        part.insert_unique(hash, key.clone(), |known| {
            self.hasher.hash_one(known.as_str())
        });
        true
    }
}

/// Hashes the key, and takes the shared lock of its part alone.
pub(super) struct Locked(Lookup);

impl Locked {
    pub(super) fn new() -> Self {
        Self(Lookup::new())
    }
}

impl KeyedGate<String> for Locked {
    type Decision = Result<usize, ()>;

    #[inline(always)]
    fn decide(&self, key: &String) -> Self::Decision {
        let hash = self.0.hasher.hash_one(key.as_str());
        let part = self.0.part(hash).read().expect("not poisoned");
        Ok(part.len())
    }

    fn spend(&self, _: &String, _: u32) -> bool {
        true
    }
}

/// Reads the clock, hashes the key, and exchanges the word of that hash: an admission of a key,
/// without comparing keys.
pub(super) struct KeyWords {
    hasher: KeyHasher,
    entries: Box<[Entry]>,
}

impl KeyWords {
    pub(super) fn among(count: usize) -> Self {
        Self {
            hasher: KeyHasher::new(),
            entries: entries(count),
        }
    }
}

impl KeyedGate<String> for KeyWords {
    type Decision = Result<u64, u64>;

    #[inline(always)]
    fn decide(&self, key: &String) -> Self::Decision {
        let now = DefaultClock.now().as_nanos();
        let at = self.hasher.hash_one(key.as_str()) as usize & (self.entries.len() - 1);
        exchange(&self.entries[at].0, now)
    }

    fn spend(&self, _: &String, _: u32) -> bool {
        true
    }
}
