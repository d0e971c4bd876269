//! Changes of the limiters of keys while the table is used.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};

use super::key_limiter::{CommonQuota, KeyLimiter, KeyTat, NewLimiter, StoredLimiter};
use super::key_shard::KeyShard;
use super::{Keyed, write};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::gcra::WordGcra;
use crate::keyed::overflow::NO_ROOM;
use crate::keyed::table::QuotaTable;
use crate::limiter::Limiter;
use crate::quota::Quota;
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;

impl<K: Hash + Eq, L: Limiter, S: BuildHasher> Keyed<K, L, S> {
    /// Replaces the factory, and changes the limiters of all keys to what the new one makes, while
    /// calls go on. Each key keeps its level.
    ///
    /// For a tier, pass a factory that returns other limits for the keys of the tier only. For one
    /// key, see [`KeyView::set_quota`](crate::KeyView::set_quota). Keys whose quota was set there
    /// keep it.
    ///
    /// # What a key keeps
    ///
    /// * A [`TokenBucket`] keeps its tokens, as in [`TokenBucket::set_quota`]: at most the new
    ///   capacity, and a debt stays a debt. If more than 64 quotas are in use, it may lose a part
    ///   of a token.
    /// * A window remembers what it admitted, as in
    ///   [`SlidingWindow::set_limit`](crate::SlidingWindow::set_limit). A
    ///   [`ShardedTokenBucket`](crate::ShardedTokenBucket), an
    ///   [`ApiRateLimiter`](crate::ApiRateLimiter), and the limits of a
    ///   [`Combined`](crate::Combined) with the same names keep what they keep when they are
    ///   changed by themselves.
    /// * Any other limiter is replaced by a new one.
    ///
    /// Each key changes at one moment during this call, and no key gets a free burst. A key that is
    /// added or comes back afterwards has the new limits. The limiter that keys without room
    /// [share](crate::Overflow::Share) stays as it is. A charge from before the change can no
    /// longer be undone where the limiter is kept as a word.
    ///
    /// # Cost
    ///
    /// Walks all keys, with the exclusive lock of one part of the table after the other. The
    /// factory is called under that lock, so it must not use the table. A part has at most about
    /// 16,384 keys in tables of up to 67 million. A key whose quota is not the first key's takes 8
    /// bytes more.
    ///
    /// ```
    /// use tidegate::{Keyed, ManualClock, Quota, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let limits = |per_minute: [u64; 2], clock: ManualClock| {
    ///     move |user: &String| {
    ///         let tier = usize::from(user.starts_with("pro:"));
    ///         TokenBucket::with_clock(Quota::per_minute(per_minute[tier]), clock.clone())
    ///     }
    /// };
    /// let users = Keyed::new(limits([60, 600], clock.clone()));
    /// users.try_acquire("alice", 50)?;
    /// users.try_acquire("pro:bob", 500)?;
    ///
    /// users.set_factory(limits([60, 1_200], clock)); // the tier of bob
    /// assert_eq!(users.available("alice"), 10);
    /// assert_eq!(users.available("pro:bob"), 100);
    /// assert_eq!(users.at("pro:bob").snapshot().capacity, 1_200);
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub fn set_factory(&self, factory: impl Fn(&K) -> L + Send + Sync + 'static) {
        let now = self.first.get().map(|first| first.limiter().now());
        self.set_factory_at(factory, now.unwrap_or(Timestamp::ZERO));
    }

    /// [`set_factory`](Self::set_factory) as of `now`.
    pub fn set_factory_at(
        &self,
        factory: impl Fn(&K) -> L + Send + Sync + 'static,
        now: Timestamp,
    ) {
        self.factory.replace(Box::new(factory));
        let Some(first) = self.first.get() else {
            return;
        };
        let hasher = |key: &K| self.hasher.hash_one(key);
        for lock in &self.shards {
            let mut shard = write(lock);
            let now = now.max(shard.evicted_at());
            let changed = shard.change_all(
                first.gcra(),
                now,
                |key| self.factory.make(key),
                |limiter| self.new_limiter(first, limiter, now),
                hasher,
            );
            drop(shard);
            if self.waits.waiting() > 0 {
                for hash in changed {
                    self.waits.wake(hash);
                }
            }
        }
    }
}

impl<K: Hash + Eq, L: Limiter> KeyShard<K, L> {
    /// Changes all limiters to what `make` makes, and returns the hashes of keys that were changed.
    fn change_all<'a>(
        &mut self,
        first: Option<&WordGcra>,
        now: Timestamp,
        make: impl Fn(&K) -> L,
        store: impl Fn(L) -> NewLimiter<'a, L>,
        hasher: impl Fn(&K) -> u64,
    ) -> Vec<u64>
    where
        L: 'a,
    {
        let mut replaced = Vec::new();
        let mut changed = Vec::new();
        if let Some(gcra) = first {
            let mut limiters = Vec::new();
            let entries = self.buckets.take_out(|(key, tat)| {
                match store(make(key)) {
                    // It has this quota.
                    NewLimiter::Bucket(..) => false,
                    new @ NewLimiter::Other(_) => {
                        limiters.push(KeyLimiter::Bucket(tat, gcra).hand_over_at(new, now));
                        true
                    }
                }
            });
            let keys = entries.into_iter().map(|(key, _)| key);
            replaced.extend(keys.zip(limiters));
        }
        if let Some(others) = &mut self.others {
            let mut limiters = Vec::new();
            let entries = others.take_out(|(key, old)| {
                if old.is_set() {
                    return false;
                }
                let fresh = make(key);
                if old.change_to_at(&fresh, now) {
                    changed.push(hasher(key));
                    return false;
                }
                limiters.push(old.limiter().hand_over_at(store(fresh), now));
                true
            });
            let keys = entries.into_iter().map(|(key, _)| key);
            replaced.extend(keys.zip(limiters));
        }
        for (key, new) in replaced {
            let hash = hasher(&key);
            changed.push(hash);
            self.replace(hash, key, new, &hasher);
        }
        changed
    }

    /// Adds a key that was taken out, with another limiter.
    fn replace(&mut self, hash: u64, key: K, new: NewLimiter<'_, L>, hasher: impl Fn(&K) -> u64) {
        self.removals += 1;
        self.insert(hash, key, new, hasher);
    }
}

impl<K, C, S, Q> QuotaTable<Q> for Keyed<K, TokenBucket<C>, S>
where
    K: Borrow<Q> + Hash + Eq,
    C: Clock,
    S: BuildHasher,
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
{
    fn set_quota_for(&self, key: &Q, quota: Quota, now: Timestamp) -> Result<(), Denied> {
        let first = self.first(key);
        let hash = self.hasher.hash_one(key);
        let hasher = |key: &K| self.hasher.hash_one(key);
        loop {
            let bucket = self.factory.make(&key.to_owned());
            // Full again, so that it is as the table's own are.
            bucket.set_quota_at(quota, now);
            bucket.reset_at(now);
            let new = match CommonQuota::new(bucket, quota) {
                Ok(common) => {
                    let common = CommonQuota {
                        is_set: true,
                        ..common
                    };
                    StoredLimiter::Bucket(KeyTat::full(), Arc::new(common))
                }
                Err(bucket) => StoredLimiter::Whole(Box::new(bucket)),
            };
            let mut shard = write(self.shard(hash));
            let now = now.max(shard.evicted_at());
            if let Some((key, new)) = shard.take_for(first.gcra(), hash, key, new, now) {
                shard.replace(hash, key, new, hasher);
                drop(shard);
                self.waits.wake(hash);
                return Ok(());
            }
            drop(shard);
            let add = |_: KeyLimiter<'_, _>, _, _| Ok(());
            self.insert(hash, key, first, now, |_, _| Ok(()), add, || Err(NO_ROOM))?;
        }
    }
}

impl<K: Hash + Eq, C: Clock> KeyShard<K, TokenBucket<C>> {
    /// Takes out a key, and gives its level to `new`. `None` if the shard does not hold the key.
    fn take_for<'a, Q: Eq + ?Sized>(
        &mut self,
        first: Option<&WordGcra>,
        hash: u64,
        key: &Q,
        new: StoredLimiter<TokenBucket<C>>,
        now: Timestamp,
    ) -> Option<(K, NewLimiter<'a, TokenBucket<C>>)>
    where
        K: Borrow<Q>,
    {
        let new = NewLimiter::Other(new);
        if let (Some(gcra), Some((key, tat))) = (first, self.buckets.take(hash, key)) {
            return Some((key, KeyLimiter::Bucket(&tat, gcra).hand_over_at(new, now)));
        }
        let (key, old) = self.others.as_mut()?.take(hash, key)?;
        if let (StoredLimiter::Whole(old), NewLimiter::Other(StoredLimiter::Whole(new))) =
            (&old, &new)
        {
            old.set_quota_at(new.quota(), now);
        } else {
            return Some((key, old.limiter().hand_over_at(new, now)));
        }
        Some((key, NewLimiter::Other(old)))
    }
}
