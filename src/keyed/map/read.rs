//! Questions about one key, which change nothing.

use alloc::borrow::ToOwned;
use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;

use super::cell::Cell;
use super::{Keyed, Overflow, read};
use crate::denied::Denied;
use crate::limiter::Limiter;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// Questions as of an instant that the caller has read. They read no clock.
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
        self.look(
            key,
            now,
            |cell| cell.peek_at(n, now),
            |room| match (room, self.overflow) {
                (Ok(()), _) => (self.factory)(&key.to_owned()).peek_at(n, now),
                (Err(_), Overflow::Share) => self.shared(key).peek_at(n, now),
                (Err(wait), Overflow::Refuse | Overflow::Admit) => {
                    self.without_room(key, n, now, wait)
                }
            },
        )
    }

    /// What `seen` says of a key that is there, and `absent` of one that is not: whether it would have room, and if not, when.
    fn look<Q, R>(
        &self,
        key: &Q,
        now: Timestamp,
        seen: impl FnOnce(Cell<'_, L>) -> R,
        absent: impl FnOnce(Result<(), Option<Duration>>) -> R,
    ) -> R
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        // Before the lock: it may call the factory.
        let first = self.first(key);
        let hash = self.hasher.hash_one(key);
        let shard = read(self.shard(hash));
        if let Some(cell) = shard.find(first.rule(), hash, key) {
            return seen(cell);
        }
        drop(shard);
        absent(self.would_have_room(hash, first, now))
    }

    /// [`available`](Self::available) as of `now`.
    pub fn available_at<Q>(&self, key: &Q, now: Timestamp) -> u64
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.look(
            key,
            now,
            |cell| cell.available_at(now),
            |room| match (room, self.overflow) {
                (Err(_), Overflow::Share) => self.shared(key).available_at(now),
                (Err(_), Overflow::Refuse) => 0,
                (Ok(()), _) | (Err(_), Overflow::Admit) => {
                    (self.factory)(&key.to_owned()).available_at(now)
                }
            },
        )
    }

    /// What the key's limiter allows and has left at `now`, to tell others. As [`peek`](Self::peek) it adds no key.
    pub fn snapshot_at<Q>(&self, key: &Q, now: Timestamp) -> Snapshot
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.look(
            key,
            now,
            |cell| cell.snapshot_at(now),
            |room| match (room, self.overflow) {
                (Err(_), Overflow::Share) => self.shared(key).snapshot_at(now),
                (Err(wait), Overflow::Refuse) => Snapshot {
                    available: 0,
                    next_permit_in: wait,
                    ..(self.factory)(&key.to_owned()).snapshot_at(now)
                },
                (Ok(()), _) | (Err(_), Overflow::Admit) => {
                    (self.factory)(&key.to_owned()).snapshot_at(now)
                }
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
