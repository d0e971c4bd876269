//! Queries of one key, which charge nothing.

use alloc::borrow::ToOwned;
use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;

use super::key_limiter::KeyLimiter;
use super::{Keyed, read};
use crate::denied::Denied;
use crate::keyed::overflow::{NO_ROOM, Overflow};
use crate::limiter::Limiter;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// Queries as of an instant that the caller has read. They read no clock.
impl<K: Hash + Eq, L: Limiter, S: BuildHasher> Keyed<K, L, S> {
    /// [`peek`](Self::peek) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek_at<Q>(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if n == 0 {
            return Ok(());
        }
        self.query(
            key,
            now,
            |limiter| limiter.peek_at(n, now),
            |policy| match policy {
                None => self.factory.make(&key.to_owned()).peek_at(n, now),
                Some(Overflow::Share) => self.shared(key).peek_at(n, now),
                Some(_) => self.decide_without_limiter(key, n, now),
            },
        )
    }

    /// Asks `known` about a key in the table, and `new` about any other key. If there is no room
    /// for the key, `new` is given the policy.
    pub(super) fn query<Q, R>(
        &self,
        key: &Q,
        now: Timestamp,
        known: impl FnOnce(KeyLimiter<'_, L>) -> R,
        new: impl FnOnce(Option<Overflow>) -> R,
    ) -> R
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        // Before the lock: it may call the factory.
        let first = self.first(key);
        let hash = self.hasher.hash_one(key);
        let shard = read(self.shard(hash));
        if let Some(limiter) = shard.find(first.gcra(), hash, key) {
            return known(limiter);
        }
        drop(shard);
        let has_room = self.would_have_room(hash, first, now);
        new((!has_room).then_some(self.overflow))
    }

    /// [`available`](Self::available) as of `now`.
    pub fn available_at<Q>(&self, key: &Q, now: Timestamp) -> u64
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.query(
            key,
            now,
            |limiter| limiter.available_at(now),
            |policy| match policy {
                Some(Overflow::Share) => self.shared(key).available_at(now),
                Some(Overflow::Refuse) => 0,
                None | Some(Overflow::Admit) => {
                    self.factory.make(&key.to_owned()).available_at(now)
                }
            },
        )
    }

    /// Returns what the key's limiter allows and has left at `now`, for header fields and
    /// dashboards. Like [`peek`](Self::peek), it adds no key.
    pub fn snapshot_at<Q>(&self, key: &Q, now: Timestamp) -> Snapshot
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let new = || self.factory.make(&key.to_owned()).snapshot_at(now);
        self.query(
            key,
            now,
            |limiter| limiter.snapshot_at(now),
            |policy| match policy {
                Some(Overflow::Share) => self.shared(key).snapshot_at(now),
                Some(Overflow::Refuse) => Snapshot {
                    available: 0,
                    next_permit_in: NO_ROOM.retry_after(),
                    ..new()
                },
                None | Some(Overflow::Admit) => new(),
            },
        )
    }

    /// [`wait_time`](Self::wait_time) as of `now`.
    pub fn wait_time_at<Q>(&self, key: &Q, n: u64, now: Timestamp) -> Option<Duration>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        match self.peek_at(key, n, now) {
            Ok(()) => Some(Duration::ZERO),
            Err(denied) => denied.retry_after(),
        }
    }
}
