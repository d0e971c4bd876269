//! The gate that limits each key.

use core::fmt;

use super::gate::{GateDenied, GateOperations, MissingKey};
use super::key_extractor::{KeyExtractor, NoKey};
use super::keyed_limiter::KeyedLimiter;
use super::request_head::RequestHead;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// Limits each key of requests on its own, with a table ([`Keyed`](crate::Keyed) or
/// [`FixedKeyed`](crate::FixedKeyed)) and a [`KeyExtractor`].
///
/// A request without a key is [rejected](NoKey), because a client could otherwise evade the limit
/// by omitting the key. To let such requests pass, use [`optional`](Self::optional). To limit them
/// by another key, use [`KeyExtractor::or`].
///
/// Limit addresses by [`IpKey`](crate::IpKey), never by `IpAddr`: an IPv6 client has as many
/// addresses as it likes.
///
/// ```
/// use std::net::SocketAddr;
/// use tidegate::tower::{PerKey, RateLimitLayer, RequestHead};
/// use tidegate::{FixedKeyed, IpKey, Quota};
///
/// // What your server attaches to requests. In axum it is `ConnectInfo<SocketAddr>`.
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
    /// Limits each key that `extractor` finds with the key's limiter in `table`. The table may be
    /// behind an `Arc`.
    pub const fn new(table: T, extractor: E) -> Self {
        Self {
            table,
            extractor,
            is_optional: false,
        }
    }

    /// Lets requests without a key pass: for a limit on clients that send a key, next to a limit on
    /// all. A request whose key is [ambiguous](NoKey::Ambiguous) is still rejected.
    #[must_use]
    pub fn optional(self) -> Self {
        Self {
            is_optional: true,
            ..self
        }
    }
}

impl<T, E> PerKey<T, E> {
    /// Returns the table.
    pub const fn table(&self) -> &T {
        &self.table
    }
}

/// Omits the extractor, because closures do not implement `Debug`.
impl<T: fmt::Debug, E> fmt::Debug for PerKey<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerKey")
            .field("table", &self.table)
            .field("is_optional", &self.is_optional)
            .finish_non_exhaustive()
    }
}

impl<T, E> GateOperations for PerKey<T, E>
where
    E: KeyExtractor,
    T: KeyedLimiter<E::Key>,
{
    type Clock = T::Clock;
    /// `None` if keys are optional and the request has none.
    type Key = Option<E::Key>;
    type Charge = ();

    fn find(&self, request: &RequestHead<'_>) -> Result<Option<E::Key>, MissingKey> {
        match self.extractor.extract(request) {
            Ok(key) => Ok(Some(key)),
            // An ambiguous key must not pass: the code that checks keys may accept it.
            Err(NoKey::NotAttached | NoKey::NotSent) if self.is_optional => Ok(None),
            Err(why) => Err(MissingKey { why, limit: None }),
        }
    }

    fn now(&self, key: &Option<E::Key>) -> Option<Timestamp> {
        key.as_ref().map(|key| self.table.now(key))
    }

    fn peek_at(&self, key: &Option<E::Key>, n: u64, now: Timestamp) -> Result<(), GateDenied> {
        let Some(key) = key else { return Ok(()) };
        let peeked = self.table.peek_at(key, n, now);
        peeked.map_err(|denied| GateDenied::new(denied, self.table.snapshot_at(key, now)))
    }

    fn charge_at(&self, key: &Option<E::Key>, n: u64, now: Timestamp) -> Result<(), GateDenied> {
        let Some(key) = key else { return Ok(()) };
        let charged = self.table.try_acquire_at(key, n, now);
        charged.map_err(|denied| GateDenied::new(denied, self.table.snapshot_at(key, now)))
    }

    /// Tables cannot undo a charge.
    fn undo(&self, key: &Option<E::Key>, n: u64, (): ()) -> u64 {
        if key.is_some() { n } else { 0 }
    }

    fn snapshot_at(&self, key: &Option<E::Key>, now: Timestamp) -> Option<Snapshot> {
        Some(self.table.snapshot_at(key.as_ref()?, now))
    }
}
