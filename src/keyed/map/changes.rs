//! Changes of the limiters of keys while the table is used.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};

use super::factory::Factory;
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
    /// * A limiter that the factory hands out to several keys, as an `Arc`, a reference or a limit
    ///   of a combination, is not changed: it is not this key's. If the new factory hands out
    ///   another one, the key gets that, and whatever else belongs to its limiter begins anew.
    /// * Any other limiter is replaced by a new one.
    ///
    /// Each key changes at one moment during this call. A key that keeps its level gets no free
    /// burst. One whose limiter is replaced, or that the table does not hold, because it is new or
    /// was unused and evicted, begins with all that the new limits allow. The limiter that keys
    /// without room [share](crate::Overflow::Share) stays as it is. A charge from before the change
    /// can no longer be undone where the limiter is kept as a word. All waiters that are first in
    /// their queue ask again.
    ///
    /// # Cost
    ///
    /// Walks all keys, with the exclusive lock of one part of the table after the other. The
    /// factory is called under that lock, so it must not use the table. A part has at most about
    /// 16,384 keys in tables of up to 67 million. A key whose quota is not the first key's takes 8
    /// bytes more.
    ///
    /// # Panics
    ///
    /// If the factory panics. No key is lost then, and those in the parts that were already walked
    /// have changed, but their waiters are not woken. New keys get what the new factory makes.
    /// Another call changes the rest.
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
        self.change_factory(Box::new(factory), None);
    }

    /// [`set_factory`](Self::set_factory) as of `now`. A key that was changed as of a later instant
    /// changes as of that one.
    ///
    /// # Panics
    ///
    /// As [`set_factory`](Self::set_factory).
    pub fn set_factory_at(
        &self,
        factory: impl Fn(&K) -> L + Send + Sync + 'static,
        now: Timestamp,
    ) {
        self.change_factory(Box::new(factory), Some(now));
    }

    /// Reads the clock if `now` is `None`.
    fn change_factory(&self, factory: Factory<K, L>, now: Option<Timestamp>) {
        self.factory.replace(factory);
        for lock in &self.shards {
            let mut shard = write(lock);
            // Under the lock: a call that adds the very first key at this moment has either added
            // it to the shard, or finds the new factory once it has the lock.
            let Some(first) = self.first.get() else {
                continue;
            };
            // For each part, because the walk may take long.
            let now = now.unwrap_or_else(|| first.limiter().now());
            shard.change_all(
                first.gcra(),
                now,
                |key| self.factory.make(key),
                |limiter, now| self.new_limiter(first, limiter, now),
                |key| self.hasher.hash_one(key),
            );
        }
        self.waits.wake_all();
    }
}

impl<K: Hash + Eq, L: Limiter> KeyShard<K, L> {
    /// Changes all limiters to what `make` makes.
    fn change_all<'a>(
        &mut self,
        first: Option<&WordGcra>,
        now: Timestamp,
        make: impl Fn(&K) -> L,
        store: impl Fn(L, Timestamp) -> NewLimiter<'a, L>,
        hasher: impl Fn(&K) -> u64,
    ) where
        L: 'a,
    {
        // First all that calls the factory, so that its panic leaves the shard as it was.
        let now = now.max(self.not_before());
        let (mut buckets, mut others, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(gcra) = first {
            for (bucket, (key, tat)) in self.buckets.buckets() {
                if let new @ NewLimiter::Other(_) = store(make(key), now) {
                    let old = KeyLimiter::Bucket(tat, gcra);
                    buckets.push((bucket, old.hand_over_at(new, now)));
                }
            }
        }
        for (bucket, (key, old)) in self.others.iter().flat_map(|others| others.buckets()) {
            match old {
                old if old.is_set() => {}
                StoredLimiter::Whole { .. } => whole.push((bucket, make(key))),
                StoredLimiter::Bucket(_, common) => match store(make(key), now) {
                    NewLimiter::Other(StoredLimiter::Bucket(_, new))
                        if Arc::ptr_eq(common, &new) => {}
                    new => others.push((bucket, old.limiter().hand_over_at(new, now))),
                },
            }
        }

        self.advance_to(now);
        let mut changed = Vec::new();
        for (bucket, new) in buckets {
            let key = self.buckets.take_bucket(bucket).map(|(key, _)| key);
            changed.extend(key.map(|key| (key, new)));
        }
        if let Some(table) = &mut self.others {
            for (bucket, new) in whole {
                let Some(StoredLimiter::Whole { limiter, .. }) = table.in_bucket(bucket) else {
                    continue;
                };
                if !limiter.change_to_at(&new, now) {
                    others.push((bucket, store(new, now)));
                }
            }
            for (bucket, new) in others {
                let key = table.take_bucket(bucket).map(|(key, _)| key);
                changed.extend(key.map(|key| (key, new)));
            }
        }
        for (key, new) in changed {
            self.replace(hasher(&key), key, new, &hasher);
        }
        self.shrink(hasher);
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
            let new = CommonQuota::new(bucket, quota);
            let mut shard = write(self.shard(hash));
            if shard.set_quota(first.gcra(), hash, key, new, quota, now, hasher) {
                drop(shard);
                self.waits.wake(hash);
                return Ok(());
            }
            drop(shard);
            // As of now: the key may have been evicted, and a caller may have an older reading.
            let add = |limiter: KeyLimiter<'_, _>, now, _| {
                limiter.reset_at(now);
                Ok(())
            };
            self.insert(hash, key, first, now, |_, _| Ok(()), add, || Err(NO_ROOM))?;
        }
    }
}

impl<K: Hash + Eq, C: Clock> KeyShard<K, TokenBucket<C>> {
    /// Sets the quota of a key, with the level that it has. Returns whether the shard holds the
    /// key.
    #[expect(
        clippy::too_many_arguments,
        reason = "a shard knows neither hasher nor quotas"
    )]
    fn set_quota<Q: Eq + ?Sized>(
        &mut self,
        first: Option<&WordGcra>,
        hash: u64,
        key: &Q,
        new: Result<CommonQuota<TokenBucket<C>>, TokenBucket<C>>,
        quota: Quota,
        now: Timestamp,
        hasher: impl Fn(&K) -> u64,
    ) -> bool
    where
        K: Borrow<Q>,
    {
        let now = now.max(self.not_before());
        let stored = |now| {
            NewLimiter::Other(match new {
                Ok(common) => {
                    let set_at = Some(now);
                    let common = CommonQuota { set_at, ..common };
                    StoredLimiter::Bucket(KeyTat::full(), Arc::new(common))
                }
                Err(bucket) => StoredLimiter::Whole {
                    limiter: Box::new(bucket),
                    is_set: true,
                },
            })
        };
        if let (Some(gcra), Some((key, tat))) = (first, self.buckets.take(hash, key)) {
            let new = KeyLimiter::Bucket(&tat, gcra).hand_over_at(stored(now), now);
            self.replace(hash, key, new, hasher);
            return true;
        }
        let Some(others) = &mut self.others else {
            return false;
        };
        match others.get_mut(hash, key) {
            None => return false,
            // A bucket of its own keeps its level itself.
            Some(StoredLimiter::Whole { limiter, is_set }) => {
                limiter.set_quota_at(quota, now);
                *is_set = true;
                return true;
            }
            Some(StoredLimiter::Bucket(tat, common)) => {
                let now = common.set_at.map_or(now, |before| before.max(now));
                let old = KeyLimiter::Bucket(tat, &common.gcra);
                let new = old.hand_over_at(stored(now), now);
                if let Some((key, _)) = others.take(hash, key) {
                    self.replace(hash, key, new, hasher);
                }
            }
        }
        true
    }
}
