//! A part of the keys, behind one lock.
//!
//! Every insertion searches a few buckets, from where the last search ended, and evicts unused
//! keys. So searches go around the table without ever walking all of it at once. A search that
//! evicts many keys goes on, up to a bound. A table that became too large for its keys shrinks.

use alloc::boxed::Box;
use core::borrow::Borrow;

use super::evicting_table::EvictingTable;
use super::key_limiter::{KeyLimiter, KeyTat, StoredLimiter};
use crate::gcra::WordGcra;
use crate::limiter::Limiter;
use crate::time::Timestamp;

/// Some of the keys, in two tables, so that keys of the common kind take no more than they need.
///
/// The first quota is not stored here, so methods take its [`WordGcra`] as `first`. It is `None` if
/// the first limiter is kept whole, and then there are no buckets.
#[derive(Debug)]
pub(super) struct KeyShard<K, L> {
    /// Keys that have the first quota.
    buckets: EvictingTable<K, KeyTat>,
    /// All other keys. Boxed, so that a shard without such keys fits two cache lines.
    others: Option<Box<EvictingTable<K, StoredLimiter<L>>>>,
    /// The latest instant as of which a key was evicted. New keys are clamped to it: one of them
    /// may be the evicted key, with a caller whose clock reading is older.
    evicted_at: Timestamp,
    created: u64,
    evicted: u64,
}

/// The limiter of a key that is about to be inserted.
#[derive(Debug)]
pub(super) enum NewLimiter<'a, L> {
    /// A bucket of the first quota.
    Bucket(KeyTat, &'a WordGcra),
    Other(StoredLimiter<L>),
}

impl<L> NewLimiter<'_, L> {
    pub(super) fn limiter(&self) -> KeyLimiter<'_, L> {
        match self {
            Self::Bucket(tat, gcra) => KeyLimiter::Bucket(tat, gcra),
            Self::Other(other) => other.limiter(),
        }
    }
}

impl<K, L> KeyShard<K, L> {
    pub(super) const fn new() -> Self {
        Self {
            buckets: EvictingTable::new(),
            others: None,
            evicted_at: Timestamp::ZERO,
            created: 0,
            evicted: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.buckets.len() + self.others.as_ref().map_or(0, |others| others.len())
    }

    pub(super) const fn created(&self) -> u64 {
        self.created
    }

    pub(super) const fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(super) const fn evicted_at(&self) -> Timestamp {
        self.evicted_at
    }

    pub(super) fn iter<'a>(
        &'a self,
        first: Option<&'a WordGcra>,
    ) -> impl Iterator<Item = (&'a K, KeyLimiter<'a, L>)> {
        let buckets = first.into_iter().flat_map(|gcra| {
            let limiter = move |(key, tat): &'a (K, KeyTat)| (key, KeyLimiter::Bucket(tat, gcra));
            self.buckets.iter().map(limiter)
        });
        let others = self.others.iter().flat_map(|others| others.iter());
        buckets.chain(others.map(|(key, other)| (key, other.limiter())))
    }

    /// Returns the bucket of a key that has the first quota.
    #[expect(clippy::inline_always, reason = "as `EvictingTable::get`")]
    #[inline(always)]
    pub(super) fn bucket<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<&KeyTat>
    where
        K: Borrow<Q>,
    {
        self.buckets.get(hash, key)
    }

    /// Returns the limiter of any other key.
    pub(super) fn other<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<KeyLimiter<'_, L>>
    where
        K: Borrow<Q>,
    {
        let other = self.others.as_ref()?.get(hash, key);
        other.map(StoredLimiter::limiter)
    }

    /// Returns the limiter of a key, in whichever table it is.
    pub(super) fn find<'a, Q: Eq + ?Sized>(
        &'a self,
        first: Option<&'a WordGcra>,
        hash: u64,
        key: &Q,
    ) -> Option<KeyLimiter<'a, L>>
    where
        K: Borrow<Q>,
    {
        let bucket = first.and_then(|gcra| {
            let tat = self.bucket(hash, key)?;
            Some(KeyLimiter::Bucket(tat, gcra))
        });
        bucket.or_else(|| self.other(hash, key))
    }

    /// Adds a key that the shard does not hold.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        key: K,
        new: NewLimiter<'_, L>,
        hasher: impl Fn(&K) -> u64,
    ) {
        self.created += 1;
        match new {
            NewLimiter::Bucket(tat, _) => self.buckets.insert(hash, key, tat, hasher),
            NewLimiter::Other(other) => {
                let others = self
                    .others
                    .get_or_insert_with(|| Box::new(EvictingTable::new()));
                others.insert(hash, key, other, hasher);
            }
        }
    }

    /// Removes a key, used or not.
    pub(super) fn remove<Q: Eq + ?Sized>(
        &mut self,
        hash: u64,
        key: &Q,
        hasher: impl Fn(&K) -> u64,
    ) -> bool
    where
        K: Borrow<Q>,
    {
        let others = self.others.as_mut();
        let removed =
            self.buckets.remove(hash, key) || others.is_some_and(|others| others.remove(hash, key));
        self.shrink(hasher);
        removed
    }

    fn shrink(&mut self, hasher: impl Fn(&K) -> u64) {
        self.buckets.shrink(&hasher);
        if let Some(others) = &mut self.others {
            others.shrink(hasher);
        }
    }
}

/// Evictions. Each returns how many keys it evicted.
impl<K, L: Limiter> KeyShard<K, L> {
    /// Evicts unused keys from a few buckets of each table, and from more while they hold many.
    pub(super) fn evict_some(
        &mut self,
        first: Option<&WordGcra>,
        now: Timestamp,
        hasher: impl Fn(&K) -> u64,
    ) -> u64 {
        let mut evicted = 0;
        if let Some(gcra) = first {
            let as_of = gcra.now(now.as_nanos());
            evicted += self.buckets.evict_some(|tat| tat.is_full(as_of));
        }
        if let Some(others) = &mut self.others {
            evicted += others.evict_some(|other| other.limiter().is_unused_at(now));
        }
        self.note_evicted(evicted, now, hasher);
        evicted
    }

    /// Whether one of a few buckets holds an unused key, which [`evict_one`](Self::evict_one)
    /// finds.
    pub(super) fn has_unused(&self, first: Option<&WordGcra>, now: Timestamp) -> bool {
        let bucket = first.and_then(|gcra| {
            let as_of = gcra.now(now.as_nanos());
            self.buckets.find_unused(|tat| tat.is_full(as_of))
        });
        let others = self.others.as_ref();
        bucket.is_some()
            || others.is_some_and(|others| {
                let found = others.find_unused(|other| other.limiter().is_unused_at(now));
                found.is_some()
            })
    }

    /// Evicts one unused key of a few buckets.
    pub(super) fn evict_one(
        &mut self,
        first: Option<&WordGcra>,
        now: Timestamp,
        hasher: impl Fn(&K) -> u64,
    ) -> u64 {
        let from_buckets = first.is_some_and(|gcra| {
            let as_of = gcra.now(now.as_nanos());
            self.buckets.evict_one(|tat| tat.is_full(as_of))
        });
        let others = self.others.as_mut();
        let evicted = from_buckets
            || others
                .is_some_and(|others| others.evict_one(|other| other.limiter().is_unused_at(now)));
        self.note_evicted(u64::from(evicted), now, hasher);
        u64::from(evicted)
    }

    /// Evicts all unused keys.
    pub(super) fn evict_all(
        &mut self,
        first: Option<&WordGcra>,
        now: Timestamp,
        hasher: impl Fn(&K) -> u64,
    ) -> u64 {
        let before = self.len();
        if let Some(gcra) = first {
            let as_of = gcra.now(now.as_nanos());
            self.buckets.evict_all(|tat| tat.is_full(as_of));
        }
        if let Some(others) = &mut self.others {
            others.evict_all(|other| other.limiter().is_unused_at(now));
        }
        let evicted = (before - self.len()) as u64;
        self.note_evicted(evicted, now, hasher);
        evicted
    }

    fn note_evicted(&mut self, evicted: u64, now: Timestamp, hasher: impl Fn(&K) -> u64) {
        if evicted == 0 {
            return;
        }
        self.evicted += evicted;
        self.evicted_at = self.evicted_at.max(now);
        self.shrink(hasher);
    }
}
