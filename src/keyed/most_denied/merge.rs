//! Merges sketches into one list.
//!
//! A key may have counters in several sketches. Its bounds are the sums of the bounds in each
//! sketch. In a sketch without a counter for it they are 0 and the sketch's smallest count. That is
//! at most m / c of the sketch's m refusals, so the sum over all sketches is at most M / c.
//!
//! A key with more than M / c + M / n refusals has an `at_least` above M / n. Fewer than n keys can
//! have that many, so it is among the first n.

use alloc::vec::Vec;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::space_saving::{DenialCounter, SpaceSaving};

/// Keys with the most refusals: see [`MostDenied`](crate::MostDenied).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeniedKeys<K> {
    /// The keys with the most refusals first, by [`at_least`](DeniedKey::at_least).
    pub keys: Vec<DeniedKey<K>>,
    /// How many refusals were counted, of all keys.
    pub counted: u64,
    /// How many refusals were not counted, because other calls were counting at that moment. Bounds
    /// are those of counted refusals.
    pub skipped: u64,
    /// The most refusals of a key that no sketch has a counter for: at most `counted` divided by
    /// the number of counters.
    pub most_of_others: u64,
}

/// A key, and how often it was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeniedKey<K> {
    /// The key.
    pub key: K,
    /// It was refused at least so often.
    pub at_least: u64,
    /// It was refused at most so often.
    pub at_most: u64,
}

/// What is merged of a sketch.
pub(super) struct Part<K> {
    counters: Vec<DenialCounter<K>>,
    total: u64,
    most_of_others: u64,
    skipped: u64,
}

impl<K> Part<K> {
    pub(super) fn new(sketch: &SpaceSaving<K>, capacity: usize, skipped: u64) -> Self
    where
        K: Clone,
    {
        Self {
            counters: sketch.counters().to_vec(),
            total: sketch.total(),
            most_of_others: sketch.most_of_others(capacity),
            skipped,
        }
    }

    pub(super) fn from_sketch(sketch: SpaceSaving<K>, capacity: usize, skipped: u64) -> Self {
        Self {
            total: sketch.total(),
            most_of_others: sketch.most_of_others(capacity),
            counters: sketch.into_counters(),
            skipped,
        }
    }
}

struct Merged<K> {
    hash: u64,
    denied: DeniedKey<K>,
    /// The smallest counts of the sketches that have a counter for the key.
    known: u64,
}

pub(super) fn merge<K: Eq>(parts: Vec<Part<K>>, n: usize) -> DeniedKeys<K> {
    let sum = |part: &dyn Fn(&Part<K>) -> u64| parts.iter().map(part).fold(0, u64::saturating_add);
    let counted = sum(&|part| part.total);
    let skipped = sum(&|part| part.skipped);
    let most_of_others = sum(&|part| part.most_of_others);

    let mut merged = HashTable::<Merged<K>>::new();
    for part in parts {
        for counter in part.counters {
            let is_same = |it: &Merged<K>| it.hash == counter.hash && it.denied.key == counter.key;
            let (at_least, at_most) = (counter.count - counter.error, counter.count);
            match merged.entry(counter.hash, is_same, |it| it.hash) {
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    known.denied.at_least = known.denied.at_least.saturating_add(at_least);
                    known.denied.at_most = known.denied.at_most.saturating_add(at_most);
                    known.known = known.known.saturating_add(part.most_of_others);
                }
                Entry::Vacant(free) => {
                    let denied = DeniedKey {
                        key: counter.key,
                        at_least,
                        at_most,
                    };
                    free.insert(Merged {
                        hash: counter.hash,
                        denied,
                        known: part.most_of_others,
                    });
                }
            }
        }
    }
    let mut keys: Vec<_> = merged
        .into_iter()
        .map(|mut it| {
            let elsewhere = most_of_others.saturating_sub(it.known);
            it.denied.at_most = it.denied.at_most.saturating_add(elsewhere);
            it.denied
        })
        .collect();
    keys.sort_unstable_by_key(|it| core::cmp::Reverse((it.at_least, it.at_most)));
    keys.truncate(n);
    DeniedKeys {
        keys,
        counted,
        skipped,
        most_of_others,
    }
}
