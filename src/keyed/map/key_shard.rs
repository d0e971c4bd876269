//! A part of the keys, behind one lock.
//!
//! Every insertion searches a few buckets, from where the last search ended, and evicts keys that
//! have been unused for a while. So searches go around the table. A search that evicts many keys
//! goes on, up to a bound. Before the table would grow, the search goes around all of it, which
//! takes a fraction of the growth. A table that became too large for its keys shrinks.
//!
//! For how long a key has been unused costs no memory: the TAT of a bucket says since when it is
//! full, and a charge moves it to the present at least. Growth evicts no other keys. Keys that
//! come back at intervals look like keys that never do until they are back. A table that evicted
//! them to stay small would make them again at each visit, and would never grow to hold them.
//!
//! Only the bound on the number of all keys evicts keys that were used just now.

use alloc::boxed::Box;
use core::borrow::Borrow;
use core::time::Duration;

use super::evicting_table::EvictingTable;
use super::key_limiter::{KeyLimiter, KeyTat, NewLimiter, StoredLimiter};
use crate::gcra::WordGcra;
use crate::keyed::key_charge::Origin;
use crate::limiter::Limiter;
use crate::time::Timestamp;

/// Some of the keys, in two tables, so that keys of the common kind take no more than they need.
///
/// The first quota is not stored here, so methods take its [`WordGcra`] as `first`. It is `None` if
/// the first limiter is kept whole, and then there are no buckets.
#[derive(Debug)]
pub(super) struct KeyShard<K, L> {
    /// Keys that have the first quota.
    pub(super) buckets: EvictingTable<K, KeyTat>,
    /// All other keys. Boxed, so that a shard without such keys fits two cache lines.
    pub(super) others: Option<Box<EvictingTable<K, StoredLimiter<L>>>>,
    /// The latest instant as of which a key was evicted or all were changed. New keys are clamped
    /// to it: one of them may be the evicted key, with a caller whose clock reading is older. So
    /// are later changes, because each quota counts from where the one before has ended.
    not_before: Timestamp,
    evicted: u64,
    /// Keys that were removed although they may have been in use, or whose limiter was replaced.
    pub(super) removals: u64,
    /// Those of `evicted` that made room at the bound on the number of keys.
    evicted_for_room: u64,
}

/// Where a search has found an unused key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    Bucket(usize),
    Other(usize),
}

/// For how long a search remembers that it has found nothing. A refusal advises to retry after a
/// second, and a limiter may become unused earlier than it would by itself.
const CERTAIN: Duration = Duration::from_secs(1);

impl<K, L> KeyShard<K, L> {
    pub(super) const fn new() -> Self {
        Self {
            buckets: EvictingTable::new(),
            others: None,
            not_before: Timestamp::ZERO,
            evicted: 0,
            removals: 0,
            evicted_for_room: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.buckets.len() + self.others.as_ref().map_or(0, |others| others.len())
    }

    /// Keys that were added. All of them are still there, evicted or removed. A key that was taken
    /// out again counts as never added.
    pub(super) fn created(&self) -> u64 {
        self.len() as u64 + self.evicted + self.removals
    }

    pub(super) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// What a charge must remember. A charge from before a removal or a change is not undone,
    /// because the limiter may be another one.
    pub(super) const fn origin(&self, is_new: bool) -> Origin {
        let removals = self.removals;
        Origin { removals, is_new }
    }

    pub(super) const fn evicted_for_room(&self) -> u64 {
        self.evicted_for_room
    }

    pub(super) const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Clamps an instant of a change, and later ones to it.
    pub(super) fn advance_to(&mut self, now: Timestamp) -> Timestamp {
        self.not_before = self.not_before.max(now);
        self.not_before
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

    /// Whether the quota of a key was set.
    pub(super) fn is_set<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        let others = self.others.as_ref();
        let other = others.and_then(|others| others.get(hash, key));
        other.is_some_and(StoredLimiter::is_set)
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
        let removed = self.take_out(hash, key, hasher);
        self.removals += u64::from(removed);
        removed
    }

    /// Takes out a key whose limiter is indistinguishable from the one that it would get now.
    pub(super) fn take_out<Q: Eq + ?Sized>(
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

    pub(super) fn shrink(&mut self, hasher: impl Fn(&K) -> u64) {
        self.buckets.shrink(&hasher);
        if let Some(others) = &mut self.others {
            others.shrink(hasher);
        }
    }
}

/// Evictions. Each returns how many keys it evicted.
impl<K, L: Limiter> KeyShard<K, L> {
    /// Evicts keys that have been unused since `since`, from a few buckets of each table, and from
    /// more while they hold many, or where `new` would make a table grow.
    pub(super) fn evict_some(
        &mut self,
        first: Option<&WordGcra>,
        new: &NewLimiter<'_, L>,
        since: Timestamp,
        now: Timestamp,
        hasher: impl Fn(&K) -> u64,
    ) -> u64 {
        let before = self.evicted;
        let grows = matches!(new, NewLimiter::Bucket(..));
        if let Some(gcra) = first {
            let as_of = gcra.now(since.as_nanos());
            let evicted = self
                .buckets
                .evict_some(grows, |tat| tat.is_full(as_of), &hasher);
            self.note_evicted(evicted, since, &hasher);
        }
        if let Some(others) = &mut self.others {
            // A window forgets when it was empty before, so it must be unused at both instants.
            let is_unused =
                |other: &StoredLimiter<L>| other.is_unused_at(since) && other.is_unused_at(now);
            let evicted = others.evict_some(!grows, is_unused, &hasher);
            self.note_evicted(evicted, now, hasher);
        }
        self.evicted - before
    }

    /// Finds an unused key in a few buckets, which [`evict_found`](Self::evict_found) evicts.
    pub(super) fn find_unused(&self, first: Option<&WordGcra>, now: Timestamp) -> Option<Found> {
        let certain = now + CERTAIN;
        let bucket = first.and_then(|gcra| {
            let [as_of, certain] = [now, certain].map(|at| gcra.now(at.as_nanos()).grains());
            let found = self
                .buckets
                .find_unused(as_of, certain, KeyTat::full_from)?;
            Some(Found::Bucket(found))
        });
        bucket.or_else(|| {
            let unused_from = |other: &StoredLimiter<L>| other.unused_from(now);
            let others = self.others.as_ref()?;
            let found = others.find_unused(now.as_nanos(), certain.as_nanos(), unused_from)?;
            Some(Found::Other(found))
        })
    }

    /// Evicts the key that a search has found, or another one of a few buckets if that key is in
    /// use again or gone.
    pub(super) fn evict_found(
        &mut self,
        first: Option<&WordGcra>,
        found: Found,
        now: Timestamp,
        hasher: impl Fn(&K) -> u64,
    ) -> u64 {
        let mut evicted = self.evict_at(first, found, now);
        if !evicted {
            let other = self.find_unused(first, now);
            evicted = other.is_some_and(|found| self.evict_at(first, found, now));
        }
        let evicted = u64::from(evicted);
        self.evicted_for_room += evicted;
        self.note_evicted(evicted, now, hasher);
        evicted
    }

    fn evict_at(&mut self, first: Option<&WordGcra>, found: Found, now: Timestamp) -> bool {
        match found {
            Found::Bucket(bucket) => first.is_some_and(|gcra| {
                let as_of = gcra.now(now.as_nanos());
                self.buckets.evict_found(bucket, |tat| tat.is_full(as_of))
            }),
            Found::Other(bucket) => self
                .others
                .as_mut()
                .is_some_and(|others| others.evict_found(bucket, |other| other.is_unused_at(now))),
        }
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
            others.evict_all(|other| other.is_unused_at(now));
        }
        let evicted = (before - self.len()) as u64;
        self.note_evicted(evicted, now, hasher);
        evicted
    }

    /// Notes evictions of keys that were unused as of `as_of`.
    fn note_evicted(&mut self, evicted: u64, as_of: Timestamp, hasher: impl Fn(&K) -> u64) {
        if evicted == 0 {
            return;
        }
        self.evicted += evicted;
        self.advance_to(as_of);
        self.shrink(hasher);
    }
}
