//! New keys: how the table makes room for them, what it stores, and what happens without room.

use alloc::borrow::ToOwned;
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};
use std::sync::PoisonError;

use crossbeam_utils::sync::ShardedLock;

use super::key_limiter::{CommonQuota, KeyLimiter, KeyTat, NewLimiter, StoredLimiter};
use super::key_shard::KeyShard;
use super::{FirstLimiter, Keyed, read, write};
use crate::denied::Denied;
use crate::keyed::key_charge::Origin;
use crate::keyed::overflow::{NO_ROOM, Overflow};
use crate::limiter::Limiter;
use crate::sync::Ordering::Relaxed;
use crate::sync::add_saturating;
use crate::time::Timestamp;

/// Quotas that are recognized when they come again. Buckets with further quotas are kept whole, so
/// that quotas which are never used again do not add up.
const MAX_COMMON_QUOTAS: usize = 64;

impl<K, L, S> Keyed<K, L, S> {
    /// The instant since which a key must be unused to be evicted without need.
    fn unused_since(&self, now: Timestamp) -> Option<Timestamp> {
        let since = now.as_nanos().checked_sub(self.idle_timeout);
        since.map(Timestamp::from_nanos)
    }

    fn has_room(&self) -> bool {
        // Relaxed: the number guards nothing, and `take_room` decides.
        self.keys.load(Relaxed) < self.max_keys
    }

    /// Counts a key that is about to be added, if there is room for it.
    pub(super) fn take_room(&self) -> bool {
        let one_more = |keys| (keys < self.max_keys).then_some(keys + 1);
        // Relaxed: the number guards nothing; the locks publish keys.
        self.keys.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    pub(super) fn give_room(&self, keys: u64) {
        if keys > 0 {
            // Relaxed: as `take_room`.
            self.keys.fetch_sub(keys, Relaxed);
        }
    }
}

impl<K: Hash + Eq, L: Limiter, S: BuildHasher> Keyed<K, L, S> {
    /// Decides in which form to keep a limiter that the factory has made.
    pub(super) fn new_limiter<'a>(
        &self,
        first: &'a FirstLimiter<L>,
        limiter: L,
        now: Timestamp,
    ) -> NewLimiter<'a, L> {
        let whole = |limiter| NewLimiter::Other(StoredLimiter::whole(limiter));
        let bucket = |common| NewLimiter::Other(StoredLimiter::Bucket(KeyTat::full(), common));
        let Some(quota) = limiter.plain_quota_at(now) else {
            return whole(limiter);
        };
        if let FirstLimiter::Bucket(first) = first {
            if first.quota == quota {
                return NewLimiter::Bucket(KeyTat::full(), &first.gcra);
            }
        }
        let quotas = self.common_quotas.lock();
        let mut quotas = quotas.unwrap_or_else(PoisonError::into_inner);
        let mut known = quotas.iter();
        if let Some(known) = known.find(|known| known.quota == quota) {
            return bucket(known.clone());
        }
        if quotas.len() >= MAX_COMMON_QUOTAS {
            // Those that no key has any more. A key takes one only here, under the lock.
            quotas.retain(|known| Arc::strong_count(known) > 1);
        }
        if quotas.len() >= MAX_COMMON_QUOTAS {
            return whole(limiter);
        }
        match CommonQuota::new(limiter, quota) {
            Ok(common) => {
                let common = Arc::new(common);
                quotas.push(common.clone());
                bucket(common)
            }
            Err(limiter) => whole(limiter),
        }
    }

    /// The shards that a call for a new key searches for an unused one: its own, and each in turn.
    fn shards_to_search(&self, hash: u64) -> [&ShardedLock<KeyShard<K, L>>; 2] {
        // Relaxed: any number does.
        let turn = self.cursor.fetch_add(1, Relaxed);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low bits are all that is used"
        )]
        let number = turn as usize & (self.shards.len() - 1);
        [self.shard(hash), &self.shards[number]]
    }

    /// Evicts an unused key, if the search finds one.
    fn make_room(&self, hash: u64, first: &FirstLimiter<L>, now: Timestamp) -> bool {
        let hasher = |key: &K| self.hasher.hash_one(key);
        self.shards_to_search(hash).into_iter().any(|shard| {
            // With the shared lock first, so that a flood of new keys does not keep others out.
            let found = read(shard).find_unused(first.gcra(), now);
            let Some(found) = found else {
                return false;
            };
            let evicted = write(shard).evict_found(first.gcra(), found, now, hasher);
            self.give_room(evicted);
            evicted > 0
        })
    }

    /// Whether a new key would find room. Adds and evicts nothing.
    pub(super) fn would_have_room(
        &self,
        hash: u64,
        first: &FirstLimiter<L>,
        now: Timestamp,
    ) -> bool {
        let has_unused = |shard: &ShardedLock<KeyShard<K, L>>| {
            read(shard).find_unused(first.gcra(), now).is_some()
        };
        self.has_room() || self.shards_to_search(hash).into_iter().any(has_unused)
    }

    /// Whether a new key finds room, after an eviction if need be. Another call may take it first.
    pub(super) fn find_room(&self, hash: u64, first: &FirstLimiter<L>, now: Timestamp) -> bool {
        self.has_room() || self.make_room(hash, first, now)
    }

    /// Decides a call for a key that the table does not hold, and adds the key if it is admitted.
    #[cold]
    #[inline(never)]
    pub(super) fn try_acquire_new<Q>(
        &self,
        hash: u64,
        key: &Q,
        n: u64,
        first: &FirstLimiter<L>,
        now: Timestamp,
    ) -> Result<(), Denied>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.insert(
            hash,
            key,
            first,
            now,
            |limiter, now| limiter.peek_at(n, now),
            |limiter, now, _| limiter.try_acquire_at(n, now),
            || self.try_acquire_without_room(key, n, now),
        )
    }

    /// Adds a key that the table does not hold, and calls `apply` with its limiter, or with that of
    /// another call that has added the key meanwhile.
    ///
    /// The key is not added if `check` or `apply` refuses. `check` has no effect.
    #[expect(
        clippy::too_many_arguments,
        reason = "three of them are closures, for three outcomes"
    )]
    pub(super) fn insert<Q, R>(
        &self,
        hash: u64,
        key: &Q,
        first: &FirstLimiter<L>,
        now: Timestamp,
        check: impl Fn(KeyLimiter<'_, L>, Timestamp) -> Result<(), Denied>,
        apply: impl Fn(KeyLimiter<'_, L>, Timestamp, Origin) -> Result<R, Denied>,
        without_room: impl FnOnce() -> Result<R, Denied>,
    ) -> Result<R, Denied>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let hasher = |key: &K| self.hasher.hash_one(key);
        loop {
            if !self.find_room(hash, first, now) {
                // The last room may have gone to this very key.
                let shard = read(self.shard(hash));
                if let Some(limiter) = shard.find(first.gcra(), hash, key) {
                    return apply(limiter, now, shard.origin(false));
                }
                drop(shard);
                return without_room();
            }
            let owned = key.to_owned();
            let version = self.factory.version();
            let new = self.new_limiter(first, self.factory.make(&owned), now);

            let mut shard = write(self.shard(hash));
            if self.factory.version() != version {
                // A change of all limiters may have passed this shard.
                continue;
            }
            if let Some(limiter) = shard.find(first.gcra(), hash, key) {
                return apply(limiter, now, shard.origin(false));
            }
            if let Some(since) = self.unused_since(now) {
                self.give_room(shard.evict_some(first.gcra(), &new, since, now, hasher));
            }
            let now = now.max(shard.not_before());
            // A call for more than the capacity takes no room, or other keys would be refused
            // meanwhile.
            check(new.limiter(), now)?;
            if !self.take_room() {
                // Other threads were faster. The limiter is dropped without the lock.
                drop(shard);
                continue;
            }
            let decided = apply(new.limiter(), now, shard.origin(true));
            if decided.is_ok() {
                shard.insert(hash, owned, new, hasher);
            } else {
                self.give_room(1);
            }
            return decided;
        }
    }

    #[cold]
    pub(super) fn try_acquire_without_room<Q>(
        &self,
        key: &Q,
        n: u64,
        now: Timestamp,
    ) -> Result<(), Denied>
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        add_saturating(&self.overflowed, 1);
        match self.overflow {
            Overflow::Share => self.shared(key).try_acquire_at(n, now),
            Overflow::Refuse | Overflow::Admit => self.decide_without_limiter(key, n, now),
        }
    }

    /// Applies a policy other than [`Overflow::Share`].
    pub(super) fn decide_without_limiter<Q>(
        &self,
        key: &Q,
        n: u64,
        now: Timestamp,
    ) -> Result<(), Denied>
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        // More than the capacity is refused as such. One permit never is more, so the usual flood
        // is answered without making a limiter.
        if n > 1 {
            let limiter = self.factory.make(&key.to_owned());
            if let Err(never @ Denied::Never { .. }) = limiter.peek_at(n, now) {
                return Err(never);
            }
        }
        match self.overflow {
            Overflow::Admit => Ok(()),
            _ if self.max_keys == 0 => Err(Denied::Never { capacity: 0 }),
            _ => Err(NO_ROOM),
        }
    }

    pub(super) fn shared<Q>(&self, key: &Q) -> &L
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        if let Some(shared) = self.shared.get() {
            return shared;
        }
        // As in `make_first`.
        let limiter = self.factory.make(&key.to_owned());
        self.shared.get_or_init(|| limiter)
    }
}
