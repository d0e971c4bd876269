//! Keys of a `Keyed` as limiters.

use alloc::borrow::ToOwned;
use core::borrow::Borrow;
use core::cell::{Cell, RefCell};
use core::hash::{BuildHasher, Hash};
use core::time::Duration;

use super::key_limiter::KeyLimiter;
use super::{Keyed, read, write};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::keyed::key_charge::{Charged, KeyCharge, LimiterCharge, Origin};
use crate::keyed::key_view::KeyView;
use crate::keyed::overflow::{NO_ROOM, Overflow};
use crate::keyed::table::{BucketTable, ResetTable, Table};
use crate::limiter::Limiter;
use crate::snapshot::Snapshot;
use crate::sync::add_saturating;
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;

impl<K, L, S> Keyed<K, L, S> {
    /// Returns one key as a limiter: to charge and undo, to wait at, to give to code that is
    /// generic over limiters. The key need not be in the table, and is not added before it is
    /// charged.
    ///
    /// Where the limiters are token buckets, a view also has `debit`, `credit` and `debt`.
    ///
    /// ```
    /// use tidegate::{Acquire, Keyed, ManualClock, Quota, TokenBucket};
    ///
    /// let (clock, quota) = (ManualClock::new(), Quota::per_minute(10));
    /// let users = Keyed::new(move |_: &String| TokenBucket::with_clock(quota, clock.clone()));
    /// let alice = users.at("alice");
    /// assert_eq!((alice.peek(4), users.len()), (Ok(()), 0));
    /// assert_eq!(Acquire::new(alice, 4).wait(), Ok(()));
    /// assert_eq!((alice.available(), users.len()), (6, 1));
    /// alice.reset();
    /// assert_eq!(alice.available(), 10);
    /// ```
    pub const fn at<'a, Q>(&'a self, key: &'a Q) -> KeyView<&'a Self, &'a Q>
    where
        Q: ?Sized,
    {
        KeyView::new(self, key)
    }
}

impl<K: Hash + Eq, L: Limiter, S: BuildHasher> Keyed<K, L, S> {
    /// Asks the limiter of a key in the table, or the one that the key would get with room.
    fn ask<Q, R>(&self, key: &Q, ask: impl Fn(KeyLimiter<'_, L>) -> R) -> R
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        // Before the lock: it may call the factory.
        let first = self.first(key);
        let hash = self.hasher.hash_one(key);
        let shard = read(self.shard(hash));
        if let Some(limiter) = shard.find(first.gcra(), hash, key) {
            return ask(limiter);
        }
        drop(shard);
        if self.max_keys == 0 && self.overflow == Overflow::Share {
            return ask(KeyLimiter::Whole(self.shared(key)));
        }
        ask(KeyLimiter::Whole(&self.factory.make(&key.to_owned())))
    }

    /// Undoes a charge on a key that was in the table before.
    fn undo_known<Q>(
        &self,
        hash: u64,
        key: &Q,
        charge: LimiterCharge<L::Charge>,
        origin: Origin,
    ) -> u64
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let first = self.first(key);
        let shard = read(self.shard(hash));
        if shard.origin(false).removals != origin.removals {
            return 0;
        }
        let limiter = shard.find(first.gcra(), hash, key);
        limiter.map_or(0, |limiter| limiter.undo(charge))
    }

    /// Undoes the charge that added a key, and takes the key out if nothing else was charged.
    ///
    /// Left in the table, it would have a limiter that is new as of any instant. A new key is
    /// decided as of the last eviction at the earliest, because it may be the evicted one.
    fn undo_new<Q>(
        &self,
        hash: u64,
        key: &Q,
        charge: LimiterCharge<L::Charge>,
        origin: Origin,
    ) -> u64
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let first = self.first(key);
        let mut shard = write(self.shard(hash));
        if shard.origin(true).removals != origin.removals {
            return 0;
        }
        let Some(limiter) = shard.find(first.gcra(), hash, key) else {
            return 0;
        };
        let returned = limiter.undo(charge);
        // A quota that was set meanwhile stays.
        let is_like_new = limiter.is_unused_at(shard.not_before());
        if returned > 0 && is_like_new && !shard.is_set(hash, key) {
            shard.take_out(hash, key, |key| self.hasher.hash_one(key));
            self.give_room(1);
        }
        returned
    }
}

impl<K, L, S, Q> Table<Q> for Keyed<K, L, S>
where
    K: Borrow<Q> + Hash + Eq,
    L: Limiter,
    S: BuildHasher,
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
{
    type Clock = L::Clock;
    type Charge = KeyCharge<L::Charge>;

    fn clock_for(&self, key: &Q) -> &L::Clock {
        self.first(key).limiter().clock()
    }

    fn capacity_for(&self, key: &Q) -> u64 {
        if self.max_keys == 0 && self.overflow == Overflow::Refuse {
            return 0;
        }
        self.ask(key, |limiter| limiter.capacity())
    }

    fn peek_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.peek_at(key, n, now)
    }

    #[inline]
    fn try_acquire_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(key, n, now)
    }

    #[inline]
    fn try_acquire_leaving_for(
        &self,
        key: &Q,
        n: u64,
        now: Timestamp,
        left: &Cell<Option<Snapshot>>,
    ) -> Result<(), Denied> {
        self.decide(self.first(key), key, n, now, |gcra, tat, now| {
            left.set(Some(gcra.snapshot(tat, now)));
        })
    }

    fn charge_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<Self::Charge, Denied> {
        if n == 0 {
            return Ok(KeyCharge(Charged::Nothing));
        }
        let first = self.first(key);
        let hash = self.hasher.hash_one(key);
        let charge = |limiter: KeyLimiter<'_, L>, now, origin| {
            let charge = limiter.charge_at(n, now)?;
            Ok(KeyCharge(Charged::Key(charge, origin)))
        };
        let shard = read(self.shard(hash));
        if let Some(limiter) = shard.find(first.gcra(), hash, key) {
            return charge(limiter, now, shard.origin(false));
        }
        drop(shard);
        self.insert(
            hash,
            key,
            first,
            now,
            |limiter, now| limiter.peek_at(n, now),
            charge,
            || {
                if self.overflow != Overflow::Share {
                    let admitted = self.try_acquire_without_room(key, n, now);
                    return admitted.map(|()| KeyCharge(Charged::Nothing));
                }
                add_saturating(&self.overflowed, 1);
                let charge = self.shared(key).charge_at(n, now)?;
                Ok(KeyCharge(Charged::Shared(charge)))
            },
        )
    }

    fn undo_for(&self, key: &Q, charge: Self::Charge) -> u64 {
        let hash = self.hasher.hash_one(key);
        let returned = match charge.0 {
            Charged::Nothing => 0,
            Charged::Shared(charge) => self.shared(key).undo(charge),
            Charged::Key(charge, origin) if origin.is_new => {
                self.undo_new(hash, key, charge, origin)
            }
            Charged::Key(charge, origin) => self.undo_known(hash, key, charge, origin),
        };
        if returned > 0 {
            self.waits.wake(hash);
        }
        returned
    }

    fn available_for(&self, key: &Q, now: Timestamp) -> u64 {
        self.available_at(key, now)
    }

    fn refill_time_for(&self, key: &Q) -> Duration {
        self.ask(key, |limiter| limiter.refill_time())
    }

    fn take_for(&self, key: &Q, n: u64, now: Timestamp) {
        if n == 0 {
            return;
        }
        let first = self.first(key);
        let hash = self.hasher.hash_one(key);
        let shard = read(self.shard(hash));
        if let Some(limiter) = shard.find(first.gcra(), hash, key) {
            return limiter.take_at(n, now);
        }
        drop(shard);
        // Never refused.
        let _ = self.insert(
            hash,
            key,
            first,
            now,
            |_, _| Ok(()),
            |limiter, now, _| {
                limiter.take_at(n, now);
                Ok(())
            },
            || {
                add_saturating(&self.overflowed, 1);
                if self.overflow == Overflow::Share {
                    self.shared(key).take_at(n, now);
                }
                Ok(())
            },
        );
    }

    fn give_back_for(&self, key: &Q, n: u64, now: Timestamp) {
        if n == 0 {
            return;
        }
        let first = self.first(key);
        let hash = self.hasher.hash_one(key);
        let shard = read(self.shard(hash));
        let Some(limiter) = shard.find(first.gcra(), hash, key) else {
            return;
        };
        // Not before the last eviction, as a new key.
        limiter.give_back_at(n, now.max(shard.not_before()));
        drop(shard);
        self.waits.wake(hash);
    }

    fn snapshot_for(&self, key: &Q, now: Timestamp) -> Snapshot {
        self.snapshot_at(key, now)
    }

    fn has_several_limits(&self) -> bool {
        true
    }

    fn each_snapshot_for(&self, key: &Q, now: Timestamp, each: &mut dyn FnMut(Snapshot)) {
        // One of the two closures is called.
        let each = RefCell::new(each);
        self.query(
            key,
            now,
            |limiter| limiter.each_snapshot_at(now, &mut **each.borrow_mut()),
            |policy| {
                let each = &mut **each.borrow_mut();
                if policy == Some(Overflow::Share) {
                    return self.shared(key).each_snapshot_at(now, each);
                }
                let new = self.factory.make(&key.to_owned());
                new.each_snapshot_at(now, &mut |snapshot| {
                    each(match policy {
                        Some(Overflow::Refuse) => Snapshot {
                            available: 0,
                            next_permit_in: NO_ROOM.retry_after(),
                            ..snapshot
                        },
                        _ => snapshot,
                    });
                });
            },
        );
    }

    fn snapshot_of_refusal_for(&self, key: &Q, n: u64, now: Timestamp) -> Snapshot {
        let new = || {
            let limiter = self.factory.make(&key.to_owned());
            KeyLimiter::Whole(&limiter).snapshot_of_refusal_at(n, now)
        };
        self.query(
            key,
            now,
            |limiter| limiter.snapshot_of_refusal_at(n, now),
            |policy| match policy {
                Some(Overflow::Share) => {
                    KeyLimiter::Whole(self.shared(key)).snapshot_of_refusal_at(n, now)
                }
                Some(Overflow::Refuse) => Snapshot {
                    available: 0,
                    next_permit_in: NO_ROOM.retry_after(),
                    ..new()
                },
                None | Some(Overflow::Admit) => new(),
            },
        )
    }

    fn is_unused_for(&self, key: &Q, now: Timestamp) -> bool {
        self.query(
            key,
            now,
            |limiter| limiter.is_unused_at(now),
            |policy| policy != Some(Overflow::Share) || self.shared(key).is_unused_at(now),
        )
    }
}

impl<K, L, S, Q> ResetTable<Q> for Keyed<K, L, S>
where
    K: Borrow<Q> + Hash + Eq,
    L: Limiter,
    S: BuildHasher,
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
{
    fn reset_for(&self, key: &Q, now: Timestamp) {
        let first = self.first(key);
        let hash = self.hasher.hash_one(key);
        let shard = read(self.shard(hash));
        let Some(limiter) = shard.find(first.gcra(), hash, key) else {
            return;
        };
        // Not before the last eviction, as a new key.
        let is_reset = limiter.reset_at(now.max(shard.not_before()));
        drop(shard);
        if is_reset {
            self.waits.wake(hash);
        } else {
            self.remove(key);
        }
    }
}

impl<K, C, S, Q> BucketTable<Q> for Keyed<K, TokenBucket<C>, S>
where
    K: Borrow<Q> + Hash + Eq,
    C: Clock,
    S: BuildHasher,
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
{
    fn debit_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.take_for(key, n, now);
    }

    fn credit_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.give_back_for(key, n, now);
    }

    fn debt_for(&self, key: &Q, now: Timestamp) -> u64 {
        self.query(
            key,
            now,
            |limiter| limiter.debt_at(now),
            |policy| match policy {
                Some(Overflow::Share) => self.shared(key).debt_at(now),
                _ => 0,
            },
        )
    }
}
