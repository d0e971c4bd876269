//! Queries of one key, which charge nothing.

use core::borrow::Borrow;
use core::hash::Hash;
use core::time::Duration;

use super::map_pointer::MapPointer;
use super::unknown_keys::UnknownKeys;
use super::{DashKeyed, NOTHING, UNKNOWN};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::limiter::Limiter;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

impl<M, P, N, C: Clock, L> DashKeyed<M, P, N, C>
where
    M: MapPointer,
    P: Fn(&M::Value) -> &L,
    L: Limiter<Clock = C>,
{
    /// Asks the limiter of a key, or the one that it would get. `None` if the key stays unknown.
    pub(super) fn ask<Q, R>(&self, key: &Q, ask: impl Fn(&L) -> R) -> Option<R>
    where
        M::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        N: UnknownKeys<M::Key, M::Value, Q>,
    {
        self.ask_known(key, &ask).or_else(|| {
            let (_, value) = self.unknown.make(key)?;
            Some(ask((self.project)(&value)))
        })
    }

    /// [`peek`](Self::peek) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek_at<Q>(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied>
    where
        M::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        N: UnknownKeys<M::Key, M::Value, Q>,
    {
        if n == 0 {
            return Ok(());
        }
        self.ask(key, |limiter| {
            limiter.peek_at(n, self.not_before_eviction(now))
        })
        .unwrap_or(Err(UNKNOWN))
    }

    /// Returns `Ok` if `n` permits would be admitted now. Changes nothing, and adds no key.
    ///
    /// A key that the map does not hold is answered by the limiter of a value that is made, if the
    /// table [makes any](Self::or_insert_with), and discarded.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek<Q>(&self, key: &Q, n: u64) -> Result<(), Denied>
    where
        M::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        N: UnknownKeys<M::Key, M::Value, Q>,
    {
        self.peek_at(key, n, self.now())
    }

    /// [`available`](Self::available) as of `now`.
    pub fn available_at<Q>(&self, key: &Q, now: Timestamp) -> u64
    where
        M::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        N: UnknownKeys<M::Key, M::Value, Q>,
    {
        self.ask(key, |limiter| {
            limiter.available_at(self.not_before_eviction(now))
        })
        .unwrap_or(0)
    }

    /// Returns how many permits the key could have now; 0 if it stays unknown. Like
    /// [`peek`](Self::peek), it adds no key.
    pub fn available<Q>(&self, key: &Q) -> u64
    where
        M::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        N: UnknownKeys<M::Key, M::Value, Q>,
    {
        self.available_at(key, self.now())
    }

    /// [`wait_time`](Self::wait_time) as of `now`.
    pub fn wait_time_at<Q>(&self, key: &Q, n: u64, now: Timestamp) -> Option<Duration>
    where
        M::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        N: UnknownKeys<M::Key, M::Value, Q>,
    {
        match self.peek_at(key, n, now) {
            Ok(()) => Some(Duration::ZERO),
            Err(denied) => denied.retry_after(),
        }
    }

    /// Returns how long until `n` permits would be admitted for this key if no other call came;
    /// `None` if never, as for a key that stays unknown.
    pub fn wait_time<Q>(&self, key: &Q, n: u64) -> Option<Duration>
    where
        M::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        N: UnknownKeys<M::Key, M::Value, Q>,
    {
        self.wait_time_at(key, n, self.now())
    }

    /// Returns what the key's limiter allows and has left at `now`, for header fields and
    /// dashboards. Like [`peek`](Self::peek), it adds no key. A key that stays unknown has nothing.
    pub fn snapshot_at<Q>(&self, key: &Q, now: Timestamp) -> Snapshot
    where
        M::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        N: UnknownKeys<M::Key, M::Value, Q>,
    {
        self.ask(key, |limiter| {
            limiter.snapshot_at(self.not_before_eviction(now))
        })
        .unwrap_or(NOTHING)
    }
}
