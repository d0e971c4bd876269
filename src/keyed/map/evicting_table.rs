//! A hash table that is searched a few buckets at a time for keys to evict.

use core::borrow::Borrow;

use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;

use crate::sync::AtomicUsize;
use crate::sync::Ordering::Relaxed;

/// Buckets that an insertion searches, and searches again while it evicts at least a quarter.
const STEP: usize = 8;
/// The most buckets that one call searches. This bounds the pause to half a microsecond where the
/// buckets are cached.
const MOST: usize = 64;

/// A table with fewer buckets is not worth shrinking.
const SMALL: usize = 64;

/// Keys with their values, and where the last search ended.
#[derive(Debug)]
pub(super) struct EvictingTable<K, V> {
    entries: HashTable<(K, V)>,
    /// The bucket that was searched last. Only a hint: the table grows and shrinks, and several
    /// searches may run at once.
    hand: AtomicUsize,
}

impl<K, V> EvictingTable<K, V> {
    pub(super) const fn new() -> Self {
        Self {
            entries: HashTable::new(),
            hand: AtomicUsize::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.entries.iter()
    }

    #[expect(
        clippy::inline_always,
        reason = "a call and its frame are a tenth of the whole decision"
    )]
    #[inline(always)]
    pub(super) fn get<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let found = self.entries.find(hash, |(known, _)| known.borrow() == key);
        found.map(|(_, value)| value)
    }

    /// Adds a key that the table does not hold.
    pub(super) fn insert(&mut self, hash: u64, key: K, value: V, hasher: impl Fn(&K) -> u64) {
        self.entries
            .insert_unique(hash, (key, value), |(key, _)| hasher(key));
    }

    pub(super) fn remove<Q: Eq + ?Sized>(&mut self, hash: u64, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        let entry = self
            .entries
            .find_entry(hash, |(known, _)| known.borrow() == key);
        entry.map(OccupiedEntry::remove).is_ok()
    }

    /// Evicts unused keys from the next few buckets, and returns how many.
    pub(super) fn evict_some(&mut self, is_unused: impl Fn(&V) -> bool) -> u64 {
        let entries = &mut self.entries;
        let buckets = entries.num_buckets();
        let mut bucket = *self.hand.get_mut();
        let most = MOST.min(buckets);
        let (mut searched, mut evicted) = (0, 0);
        while searched < most {
            let before = evicted;
            for _ in 0..STEP.min(most - searched) {
                bucket = following(bucket, buckets);
                searched += 1;
                let value = entries.get_bucket(bucket).map(|(_, value)| value);
                if value.is_some_and(&is_unused) {
                    evicted += u64::from(remove_bucket(entries, bucket));
                }
            }
            if (evicted - before) * 4 < STEP as u64 {
                break;
            }
        }
        *self.hand.get_mut() = bucket;
        evicted
    }

    /// Searches the next few buckets for an unused key, and returns its bucket.
    ///
    /// The next search begins with that bucket, or behind the searched ones if all are in use.
    pub(super) fn find_unused(&self, is_unused: impl Fn(&V) -> bool) -> Option<usize> {
        let buckets = self.entries.num_buckets();
        // Relaxed: a hint that guards no memory.
        let mut searched = self.hand.load(Relaxed);
        let mut found = None;
        for _ in 0..MOST.min(buckets) {
            let bucket = following(searched, buckets);
            let value = self.entries.get_bucket(bucket).map(|(_, value)| value);
            if value.is_some_and(&is_unused) {
                found = Some(bucket);
                break;
            }
            searched = bucket;
        }
        // Relaxed: as above. Of searches that run at once, the last one's end is kept.
        self.hand.store(searched, Relaxed);
        found
    }

    /// Evicts the first unused key of the next few buckets.
    pub(super) fn evict_one(&mut self, is_unused: impl Fn(&V) -> bool) -> bool {
        let found = self.find_unused(is_unused);
        found.is_some_and(|bucket| remove_bucket(&mut self.entries, bucket))
    }

    pub(super) fn evict_all(&mut self, is_unused: impl Fn(&V) -> bool) {
        self.entries.retain(|(_, value)| !is_unused(value));
    }

    /// Shrinks a mostly empty table to twice what it holds, so that it does not grow again at once.
    pub(super) fn shrink(&mut self, hasher: impl Fn(&K) -> u64) {
        let entries = &mut self.entries;
        if entries.num_buckets() > SMALL && entries.len() * 8 < entries.num_buckets() {
            entries.shrink_to(entries.len() * 2, |(key, _)| hasher(key));
        }
    }
}

/// The bucket that follows, with the first one after the last.
const fn following(bucket: usize, buckets: usize) -> usize {
    if bucket + 1 < buckets { bucket + 1 } else { 0 }
}

fn remove_bucket<T>(table: &mut HashTable<T>, bucket: usize) -> bool {
    table
        .get_bucket_entry(bucket)
        .map(OccupiedEntry::remove)
        .is_ok()
}
