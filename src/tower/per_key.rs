//! A limiter for each key of requests.

use alloc::sync::Arc;
use core::fmt;
use core::hash::{BuildHasher, Hash};

use super::gate::{Decide, Keyless, Refused};
use super::head::RequestHead;
use super::key::{KeyExtractor, NoKey};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::keyed::{FixedKeyed, Keyed};
use crate::limiter::{Limiter, sealed};
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// Limits each key of requests by itself: a [`Keyed`] or [`FixedKeyed`] and what finds the key.
///
/// A request without a key is [refused](NoKey), unless keys are [`optional`](Self::optional): to pass for want of a key would be the
/// way around the limit. Give such requests another key with [`KeyExtractor::or`]. Addresses are an [`IpKey`](crate::IpKey), never an
/// `IpAddr`: an IPv6 client has as many of those as it likes.
///
/// ```
/// use std::net::SocketAddr;
/// use tidegate::tower::{PerKey, RateLimitLayer, RequestHead};
/// use tidegate::{FixedKeyed, IpKey, Quota};
///
/// // Whatever your server attaches to requests: in axum it is `ConnectInfo<SocketAddr>`.
/// #[derive(Clone)]
/// struct Peer(SocketAddr);
///
/// let limits = FixedKeyed::new(Quota::per_minute(100), 50_000);
/// let address = |request: &RequestHead<'_>| Some(IpKey::from(request.extension::<Peer>()?.0));
/// let layer = RateLimitLayer::new(PerKey::new(limits, address));
/// # drop(layer);
/// ```
#[derive(Clone)]
pub struct PerKey<T, E> {
    table: T,
    extractor: E,
    is_optional: bool,
}

impl<T, E> PerKey<T, E>
where
    E: KeyExtractor,
    T: KeyedLimiter<E::Key>,
{
    /// A limiter of `table` for each key that `extractor` finds. The table may be behind an `Arc`.
    pub const fn new(table: T, extractor: E) -> Self {
        Self {
            table,
            extractor,
            is_optional: false,
        }
    }

    /// The same, but a request without a key passes: for a limit on those who send a key beside one on all. (One whose key is
    /// [unclear](NoKey::Ambiguous) does not.)
    #[must_use]
    pub fn optional(self) -> Self {
        Self {
            is_optional: true,
            ..self
        }
    }

    /// The table.
    pub const fn table(&self) -> &T {
        &self.table
    }
}

impl<T, E> sealed::Sealed for PerKey<T, E> {}

/// Not derived, which would ask for extractors that can be shown: closures cannot.
impl<T: fmt::Debug, E> fmt::Debug for PerKey<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerKey")
            .field("table", &self.table)
            .field("is_optional", &self.is_optional)
            .finish_non_exhaustive()
    }
}

impl<T, E> PerKey<T, E>
where
    E: KeyExtractor,
    T: KeyedLimiter<E::Key>,
{
    fn refused(&self, key: &E::Key, now: Timestamp, denied: Denied) -> Refused {
        Refused::new(denied, self.table.snapshot_at(key, now))
    }
}

impl<T, E> Decide for PerKey<T, E>
where
    E: KeyExtractor,
    T: KeyedLimiter<E::Key>,
{
    type Clock = T::Clock;
    /// `None`: it has none, and need not.
    type Key = Option<E::Key>;
    type Charge = ();

    fn find(&self, request: &RequestHead<'_>) -> Result<Option<E::Key>, Keyless> {
        match self.extractor.extract(request) {
            Ok(key) => Ok(Some(key)),
            // What is unclear must not pass: it may be clear to whoever checks the key.
            Err(NoKey::NotAttached | NoKey::NotSent) if self.is_optional => Ok(None),
            Err(why) => Err(Keyless { why, limit: None }),
        }
    }

    fn now(&self, key: &Option<E::Key>) -> Option<Timestamp> {
        key.as_ref().map(|key| self.table.now(key))
    }

    fn peek_at(&self, key: &Option<E::Key>, n: u64, now: Timestamp) -> Result<(), Refused> {
        let Some(key) = key else { return Ok(()) };
        let seen = self.table.peek_at(key, n, now);
        seen.map_err(|denied| self.refused(key, now, denied))
    }

    fn try_acquire_at(&self, key: &Option<E::Key>, n: u64, now: Timestamp) -> Result<(), Refused> {
        let Some(key) = key else { return Ok(()) };
        let charged = self.table.try_acquire_at(key, n, now);
        charged.map_err(|denied| self.refused(key, now, denied))
    }

    fn charge_at(&self, key: &Option<E::Key>, n: u64, now: Timestamp) -> Result<(), Refused> {
        self.try_acquire_at(key, n, now)
    }

    /// Tables take nothing back.
    fn undo(&self, key: &Option<E::Key>, n: u64, (): ()) -> u64 {
        if key.is_some() { n } else { 0 }
    }

    fn snapshot_at(&self, key: &Option<E::Key>, now: Timestamp) -> Option<Snapshot> {
        Some(self.table.snapshot_at(key.as_ref()?, now))
    }
}

/// A table of limiters: [`Keyed`], [`FixedKeyed`], and an `Arc` of either. Sealed, as limiters are.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a table of limiters for keys of type `{K}`",
    note = "a `Keyed<K, _>` needs an extractor that gives its `K`; a `FixedKeyed` takes any key"
)]
pub trait KeyedLimiter<K>: Table<K> {}

impl<K, T: Table<K>> KeyedLimiter<K> for T {}

/// What a table does. Apart, as what gates do.
#[expect(unnameable_types, reason = "that is what hides and seals it")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a table of limiters for keys of type `{K}`",
    note = "a `Keyed<K, _>` needs an extractor that gives its `K`; a `FixedKeyed` takes any key"
)]
pub trait Table<K> {
    /// What it is decided by.
    type Clock;

    fn now(&self, key: &K) -> Timestamp;

    fn peek_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied>;

    fn try_acquire_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied>;

    fn snapshot_at(&self, key: &K, now: Timestamp) -> Snapshot;
}

impl<K, L, S> Table<K> for Keyed<K, L, S>
where
    K: Hash + Eq + Clone,
    L: Limiter,
    S: BuildHasher,
{
    type Clock = L::Clock;

    fn now(&self, key: &K) -> Timestamp {
        self.now_for(key)
    }

    fn peek_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.peek_at(key, n, now)
    }

    fn try_acquire_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(key, n, now)
    }

    fn snapshot_at(&self, key: &K, now: Timestamp) -> Snapshot {
        self.snapshot_at(key, now)
    }
}

impl<K: Hash, C: Clock, S: BuildHasher> Table<K> for FixedKeyed<C, S> {
    type Clock = C;

    fn now(&self, _: &K) -> Timestamp {
        self.clock().now()
    }

    fn peek_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.peek_at(key, n, now)
    }

    fn try_acquire_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(key, n, now)
    }

    fn snapshot_at(&self, key: &K, now: Timestamp) -> Snapshot {
        self.snapshot_at(key, now)
    }
}

impl<K, T: Table<K>> Table<K> for Arc<T> {
    type Clock = T::Clock;

    fn now(&self, key: &K) -> Timestamp {
        (**self).now(key)
    }

    fn peek_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
        (**self).peek_at(key, n, now)
    }

    fn try_acquire_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
        (**self).try_acquire_at(key, n, now)
    }

    fn snapshot_at(&self, key: &K, now: Timestamp) -> Snapshot {
        (**self).snapshot_at(key, now)
    }
}
