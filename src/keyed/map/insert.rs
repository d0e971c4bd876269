//! Keys that come new: how room is found for them, what is kept, and what becomes of those without room.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};
use core::ptr;
use core::time::Duration;
use std::sync::{PoisonError, RwLock};

use super::cell::{Other, Tier, Word};
use super::shard::{New, Shard};
use super::{First, Keyed, read, write};
use crate::denied::Denied;
use crate::keyed::overflow::Overflow;
use crate::limiter::Limiter;
use crate::sync::Ordering::Relaxed;
use crate::sync::add_saturating;
use crate::time::Timestamp;

/// As many quotas are recognised when they come again; buckets with more than that are kept whole, so that quotas that are never
/// used again do not add up.
const MOST_TIERS: usize = 64;

impl<K, L, S> Keyed<K, L, S> {
    /// Whether one more key may come now.
    fn has_room(&self) -> bool {
        // Relaxed: the number is all there is to it; `take_room` decides.
        self.keys.load(Relaxed) < self.max_keys
    }

    /// Makes room for a key that is about to be added.
    pub(super) fn take_room(&self) -> bool {
        let one_more = |keys| (keys < self.max_keys).then_some(keys + 1);
        // Relaxed: the number is all there is to it; keys are published by the locks.
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
    /// What is kept for a limiter that the factory has made.
    fn kept<'a>(&self, first: &'a First<L>, limiter: L, now: Timestamp) -> New<'a, L> {
        let whole = |limiter| New::Other(Other::Whole(Box::new(limiter)));
        let Some(quota) = limiter.plain_quota_at(now) else {
            return whole(limiter);
        };
        if let First::Plain(first) = first {
            if first.quota == quota {
                return New::Word(Word::full(), &first.rule);
            }
        }
        let mut tiers = self.tiers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tiers.iter().find(|known| known.quota == quota) {
            return New::Other(Other::Tiered(Word::full(), known.clone()));
        }
        if tiers.len() >= MOST_TIERS {
            return whole(limiter);
        }
        match Tier::of(limiter, quota) {
            Ok(tier) => {
                let tier = Arc::new(tier);
                tiers.push(tier.clone());
                New::Other(Other::Tiered(Word::full(), tier))
            }
            Err(limiter) => whole(limiter),
        }
    }

    /// Drops an unused key near the place of this one, or somewhere.
    ///
    /// # Errors
    ///
    /// The time until one is unused, as far as can be told.
    fn make_room(
        &self,
        hash: u64,
        first: &First<L>,
        now: Timestamp,
    ) -> Result<(), Option<Duration>> {
        // Relaxed: any number does.
        let other = self.part(self.cursor.fetch_add(1, Relaxed));
        let here = self.shard(hash);
        let near = self.drop_one(here, first, now);
        near.or_else(|near| {
            let far = self.drop_one(other, first, now);
            // In the same part the second look began with what the first has promised. In another it begins elsewhere the next
            // time, so that the caller is told what was promised near, and only that.
            far.map_err(|far| if ptr::eq(other, here) { far } else { near })
        })
    }

    /// Whether a new key would find room. Changes nothing.
    ///
    /// # Errors
    ///
    /// As [`make_room`](Self::make_room).
    pub(super) fn would_have_room(
        &self,
        hash: u64,
        first: &First<L>,
        now: Timestamp,
    ) -> Result<(), Option<Duration>> {
        if self.has_room() {
            return Ok(());
        }
        let would = |shard: &RwLock<Shard<K, L>>| read(shard).would_make_room(first.rule(), now);
        would(self.shard(hash)).or_else(|near| {
            // Relaxed: any number does.
            let other = self.part(self.cursor.load(Relaxed));
            would(other).map_err(|_| near)
        })
    }

    /// Some part of the table: each in turn, as the cursor goes on.
    fn part(&self, cursor: u64) -> &RwLock<Shard<K, L>> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low bits are all that is used"
        )]
        let cursor = cursor as usize;
        &self.shards[cursor & (self.shards.len() - 1)]
    }

    fn drop_one(
        &self,
        shard: &RwLock<Shard<K, L>>,
        first: &First<L>,
        now: Timestamp,
    ) -> Result<(), Option<Duration>> {
        // Under the shared lock first, so that a flood of new keys does not keep others out.
        let here = read(shard);
        if here.is_quiet(now) {
            if self.overflow != Overflow::Refuse {
                // Nobody is told.
                return Err(None);
            }
            // Quiet ends when the first key *would have been* unused. It may have been charged since, so look: who is refused
            // finds the same keys again.
            here.would_make_room(first.rule(), now)?;
        }
        drop(here);
        let hasher = |key: &K| self.hasher.hash_one(key);
        write(shard).make_room(first.rule(), now, hasher)?;
        self.give_room(1);
        Ok(())
    }

    /// Decides about a key that is not there, and adds it if it is admitted.
    #[cold]
    #[inline(never)]
    pub(super) fn try_acquire_new<Q>(
        &self,
        hash: u64,
        key: &Q,
        n: u64,
        first: &First<L>,
        now: Timestamp,
    ) -> Result<(), Denied>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let hasher = |key: &K| self.hasher.hash_one(key);
        loop {
            if !self.has_room() {
                if let Err(wait) = self.make_room(hash, first, now) {
                    // The last room may have gone to this very key.
                    let shard = read(self.shard(hash));
                    if let Some(cell) = shard.find(first.rule(), hash, key) {
                        return cell.try_acquire_at(n, now);
                    }
                    drop(shard);
                    return self.overflowed(key, n, now, wait);
                }
            }
            let owned = key.to_owned();
            let limiter = (self.factory)(&owned);
            let new = self.kept(first, limiter, now);

            let mut shard = write(self.shard(hash));
            if let Some(cell) = shard.find(first.rule(), hash, key) {
                return cell.try_acquire_at(n, now);
            }
            self.give_room(shard.sweep(first.rule(), now, hasher));
            let now = now.max(shard.dropped_at());
            // Who asks for more than there ever is takes no room, as others would be turned away meanwhile.
            new.cell().peek_at(n, now)?;
            if !self.take_room() {
                // Others were faster. What was made is dropped without the lock.
                drop(shard);
                continue;
            }
            let decided = new.cell().try_acquire_at(n, now);
            if decided.is_ok() {
                shard.insert(hash, owned, new, hasher);
            } else {
                self.give_room(1);
            }
            return decided;
        }
    }

    #[cold]
    pub(super) fn overflowed<Q>(
        &self,
        key: &Q,
        n: u64,
        now: Timestamp,
        wait: Option<Duration>,
    ) -> Result<(), Denied>
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        add_saturating(&self.overflowed, 1);
        match self.overflow {
            Overflow::Share => self.shared(key).try_acquire_at(n, now),
            Overflow::Refuse | Overflow::Admit => self.without_room(key, n, now, wait),
        }
    }

    /// What the policy says of a key that shares nothing with others.
    pub(super) fn without_room<Q>(
        &self,
        key: &Q,
        n: u64,
        now: Timestamp,
        wait: Option<Duration>,
    ) -> Result<(), Denied>
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        // More than there ever is has nothing to do with room. One permit never is, so that a flood is answered without a limiter.
        if n > 1 {
            let limiter = (self.factory)(&key.to_owned());
            if let Err(never @ Denied::Never { .. }) = limiter.peek_at(n, now) {
                return Err(never);
            }
        }
        if self.overflow == Overflow::Admit {
            return Ok(());
        }
        if self.max_keys == 0 {
            return Err(Denied::Never { capacity: 0 });
        }
        // Where it cannot be told, a time in which much can happen, and after which asking costs little.
        let retry_after = wait.unwrap_or(Duration::from_secs(1));
        Err(Denied::busy(retry_after))
    }

    pub(super) fn shared<Q>(&self, key: &Q) -> &L
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        if let Some(shared) = self.shared.get() {
            return shared;
        }
        // As in `make_first`.
        let limiter = (self.factory)(&key.to_owned());
        self.shared.get_or_init(|| limiter)
    }
}
