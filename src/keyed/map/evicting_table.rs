//! A hash table that is searched a few buckets at a time for keys to evict.

use core::borrow::Borrow;
use std::sync::{Mutex, PoisonError};

use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;

use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;

/// Buckets that an insertion searches, and searches again while it evicts at least a quarter.
const STEP: usize = 8;
/// The most buckets that one call searches, and the most keys that it evicts. This bounds the pause
/// to half a microsecond where the buckets are cached.
const MOST: usize = 64;
/// Unused keys among which a search for room chooses the one that is unused the longest.
const SAMPLE: usize = 8;

/// A table with fewer buckets is not worth shrinking.
const SMALL: usize = 64;

/// Keys with their values, and where the last search ended.
#[derive(Debug)]
pub(super) struct EvictingTable<K, V> {
    entries: HashTable<(K, V)>,
    search: Mutex<Search>,
    /// No key of the table is unused before this instant, in the unit of
    /// [`find_unused`](Self::find_unused).
    all_used_until: AtomicU64,
}

/// Where searches are on their way around the table.
#[derive(Debug)]
struct Search {
    /// The bucket that was searched last. Only a hint: the table grows and shrinks.
    hand: usize,
    /// Buckets that searches for room have seen in turn, all of them in use.
    seen: usize,
    /// The instant from which the first of those is unused.
    earliest: u64,
}

impl Search {
    const START: Self = Self {
        hand: 0,
        seen: 0,
        earliest: u64::MAX,
    };

    const fn restart(&mut self) {
        *self = Self {
            hand: self.hand,
            ..Self::START
        };
    }
}

impl<K, V> EvictingTable<K, V> {
    pub(super) const fn new() -> Self {
        Self {
            entries: HashTable::new(),
            search: Mutex::new(Search::START),
            all_used_until: AtomicU64::new(0),
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
        // The new key may be unused before the others.
        self.forget_search();
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
    ///
    /// If the table `may_grow` for a new key and has no room for it, this searches all buckets, but
    /// evicts no more keys at once. Few unused keys do not spare the table its growth: otherwise
    /// each of the next insertions would search all buckets for few again.
    pub(super) fn evict_some(
        &mut self,
        may_grow: bool,
        is_unused: impl Fn(&V) -> bool,
        hasher: impl Fn(&K) -> u64,
    ) -> u64 {
        let search = self.search.get_mut();
        let search = search.unwrap_or_else(PoisonError::into_inner);
        let entries = &mut self.entries;
        let buckets = entries.num_buckets();
        let grows = may_grow && entries.len() == entries.capacity();
        let most = if grows { buckets } else { MOST.min(buckets) };
        let mut bucket = search.hand;
        let (mut searched, mut evicted) = (0, 0);
        while searched < most && evicted < MOST {
            let before = evicted;
            for _ in 0..STEP.min(most - searched) {
                bucket = following(bucket, buckets);
                searched += 1;
                let value = entries.get_bucket(bucket).map(|(_, value)| value);
                if value.is_some_and(&is_unused) {
                    evicted += usize::from(remove_bucket(entries, bucket));
                }
            }
            if !grows && (evicted - before) * 4 < STEP {
                break;
            }
        }
        search.hand = bucket;
        // The next search for room has not seen the buckets that this one has passed.
        search.restart();
        if grows && evicted * 8 < searched {
            let beyond = entries.capacity() + 1 - entries.len();
            entries.reserve(beyond, |(key, _)| hasher(key));
        }
        evicted as u64
    }

    /// Searches the next few buckets for an unused key, and returns its bucket. Of several unused
    /// keys, it is the one that is unused the longest.
    ///
    /// `unused_from` is the instant from which a key is unused if no call comes, in any unit, and
    /// `as_of` is the current instant. Once searches have gone around the table and have found all
    /// keys in use, the next ones know until when, and return at once. They know it at most until
    /// `certain`.
    pub(super) fn find_unused(
        &self,
        as_of: u64,
        certain: u64,
        unused_from: impl Fn(&V) -> u64,
    ) -> Option<usize> {
        // Relaxed: it guards no memory. An older value is lower, and costs a search.
        if as_of < self.all_used_until.load(Relaxed) {
            return None;
        }
        let mut search = self.search.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = self.entries.num_buckets();
        let (mut found, mut longest) = (0, None);
        for _ in 0..MOST.min(buckets) {
            let bucket = following(search.hand, buckets);
            search.hand = bucket;
            search.seen += 1;
            let Some((_, value)) = self.entries.get_bucket(bucket) else {
                continue;
            };
            let from = unused_from(value);
            if from > as_of {
                search.earliest = search.earliest.min(from);
                continue;
            }
            if longest.is_none_or(|(first, _)| from < first) {
                longest = Some((from, bucket));
            }
            found += 1;
            if found == SAMPLE {
                break;
            }
        }
        if longest.is_some() {
            search.restart();
        } else if search.seen >= buckets {
            // Relaxed: as above.
            self.all_used_until
                .store(search.earliest.min(certain), Relaxed);
            search.restart();
        }
        longest.map(|(_, bucket)| bucket)
    }

    /// Evicts the key of a bucket that a search has found, if it is still unused.
    pub(super) fn evict_found(&mut self, bucket: usize, is_unused: impl Fn(&V) -> bool) -> bool {
        // The table may have fewer buckets by now.
        let entry = self.entries.get_bucket(bucket);
        entry.is_some_and(|(_, value)| is_unused(value)) && remove_bucket(&mut self.entries, bucket)
    }

    pub(super) fn evict_all(&mut self, is_unused: impl Fn(&V) -> bool) {
        self.entries.retain(|(_, value)| !is_unused(value));
    }

    /// The entries with the numbers of their buckets, which hold until the table is written to.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (usize, &(K, V))> {
        let entry = |bucket| Some((bucket, self.entries.get_bucket(bucket)?));
        (0..self.entries.num_buckets()).filter_map(entry)
    }

    pub(super) fn in_bucket(&self, bucket: usize) -> Option<&V> {
        self.entries.get_bucket(bucket).map(|(_, value)| value)
    }

    /// Takes out the entry of a bucket. The others stay in theirs.
    pub(super) fn take_bucket(&mut self, bucket: usize) -> Option<(K, V)> {
        let entry = self.entries.get_bucket_entry(bucket).ok()?;
        Some(entry.remove().0)
    }

    pub(super) fn get_mut<Q: Eq + ?Sized>(&mut self, hash: u64, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let found = self
            .entries
            .find_mut(hash, |(known, _)| known.borrow() == key);
        found.map(|(_, value)| value)
    }

    /// Takes out a key.
    pub(super) fn take<Q: Eq + ?Sized>(&mut self, hash: u64, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
    {
        let entry = self
            .entries
            .find_entry(hash, |(known, _)| known.borrow() == key);
        entry.ok().map(|entry| entry.remove().0)
    }

    /// Shrinks a mostly empty table to twice what it holds, so that it does not grow again at once.
    pub(super) fn shrink(&mut self, hasher: impl Fn(&K) -> u64) {
        let entries = &mut self.entries;
        if entries.num_buckets() > SMALL && entries.len() * 8 < entries.num_buckets() {
            entries.shrink_to(entries.len() * 2, |(key, _)| hasher(key));
            // Keys have moved to buckets that a search has passed.
            self.forget_search();
        }
    }

    /// Forgets what searches have seen, because it no longer holds.
    fn forget_search(&mut self) {
        let search = self.search.get_mut();
        search.unwrap_or_else(PoisonError::into_inner).restart();
        *self.all_used_until.get_mut() = 0;
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
