//! The gate that limits each key.

use core::cell::Cell;
use core::fmt;

use super::gate::{GateDenied, GateOperations, MissingKey};
use super::key_extractor::KeyExtractor;
use super::request_head::RequestHead;
use crate::clock::Clock;
use crate::denied::Denied;
use crate::keyed::KeyedLimiter;
use crate::prepared_charge::headroom_of;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// Limits each key of requests on its own, with a table ([`Keyed`](crate::Keyed) or
/// [`FixedKeyed`](crate::FixedKeyed)) and a [`KeyExtractor`].
///
/// A request without a key is [rejected](super::NoKey), because a client could otherwise evade
/// the limit by omitting the key. To let such requests pass, use [`optional`](Self::optional). To
/// limit them by another key, use [`KeyExtractor::or`].
///
/// Limit addresses by [`IpKey`](crate::IpKey), never by `IpAddr`: an IPv6 client has as many
/// addresses as it likes.
///
/// ```
/// use std::net::SocketAddr;
/// use tidegate::layer::{Attached, PerKey, RateLimitLayer};
/// use tidegate::{FixedKeyed, IpKey, Quota};
///
/// // What your server attaches to requests. In axum it is `ConnectInfo<SocketAddr>`.
/// #[derive(Clone)]
/// struct Peer(SocketAddr);
///
/// let limits = FixedKeyed::new(Quota::per_minute(100), 50_000);
/// let address = Attached::new(|peer: &Peer| IpKey::from(peer.0));
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
    /// all. A request whose key is [ambiguous](super::NoKey::Ambiguous) is still rejected.
    #[must_use]
    pub fn optional(self) -> Self {
        Self {
            is_optional: true,
            ..self
        }
    }
}

impl<T, E> PerKey<T, E>
where
    E: KeyExtractor,
    T: KeyedLimiter<E::Key>,
{
    #[cold]
    fn denied(&self, key: &E::Key, denied: Denied, n: u64, now: Timestamp) -> GateDenied {
        GateDenied::new(denied, self.table.snapshot_of_refusal_for(key, n, now))
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
    /// `None` without a key.
    type Charge = Option<T::Charge>;

    #[inline]
    fn find(&self, request: &RequestHead<'_>) -> Result<Option<E::Key>, MissingKey> {
        match self.extractor.extract(request) {
            Ok(key) => Ok(Some(key)),
            Err(why) if self.is_optional && why.is_absent() => Ok(None),
            Err(why) => Err(MissingKey { why, limit: None }),
        }
    }

    fn now(&self, key: &Option<E::Key>) -> Option<Timestamp> {
        Some(self.table.clock_for(key.as_ref()?).now())
    }

    fn peek_at(&self, key: &Option<E::Key>, n: u64, now: Timestamp) -> Result<(), GateDenied> {
        let Some(key) = key else { return Ok(()) };
        let peeked = self.table.peek_for(key, n, now);
        peeked.map_err(|denied| self.denied(key, denied, n, now))
    }

    fn headroom_at(&self, key: &Option<E::Key>, n: u64, now: Timestamp) -> Option<u64> {
        let Some(key) = key else {
            return Some(u64::MAX);
        };
        headroom_of(self.table.available_for(key, now), n)
    }

    fn try_acquire_at(
        &self,
        key: &Option<E::Key>,
        n: u64,
        now: Timestamp,
    ) -> Result<(), GateDenied> {
        let Some(key) = key else { return Ok(()) };
        let acquired = self.table.try_acquire_for(key, n, now);
        acquired.map_err(|denied| self.denied(key, denied, n, now))
    }

    #[inline]
    fn try_acquire_leaving_at(
        &self,
        key: &Option<E::Key>,
        n: u64,
        now: Timestamp,
        left: &Cell<Option<Snapshot>>,
    ) -> Result<(), GateDenied> {
        let Some(key) = key else { return Ok(()) };
        let acquired = self.table.try_acquire_leaving_for(key, n, now, left);
        acquired.map_err(|denied| self.denied(key, denied, n, now))
    }

    fn charge_at(
        &self,
        key: &Option<E::Key>,
        n: u64,
        now: Timestamp,
    ) -> Result<Option<T::Charge>, GateDenied> {
        let Some(key) = key else { return Ok(None) };
        match self.table.charge_for(key, n, now) {
            Ok(charge) => Ok(Some(charge)),
            Err(denied) => Err(self.denied(key, denied, n, now)),
        }
    }

    fn undo(&self, key: &Option<E::Key>, n: u64, charge: Option<T::Charge>) -> u64 {
        match (key, charge) {
            (Some(key), Some(charge)) => n.saturating_sub(self.table.undo_for(key, charge)),
            _ => 0,
        }
    }

    fn settle_at(
        &self,
        key: &Option<E::Key>,
        charge: Option<Option<T::Charge>>,
        charged: u64,
        used: u64,
        now: Timestamp,
    ) {
        let Some(key) = key else { return };
        self.table
            .settle_for(key, charge.flatten(), charged, used, now);
    }

    fn record_peeked_refusal(&self, key: &Option<E::Key>, n: u64, now: Timestamp) {
        if let Some(key) = key {
            self.table.record_peeked_refusal_for(key, n, now);
        }
    }

    fn snapshot_at(&self, key: &Option<E::Key>, now: Timestamp) -> Option<Snapshot> {
        Some(self.table.snapshot_for(key.as_ref()?, now))
    }

    fn has_several_limits(&self) -> bool {
        self.table.has_several_limits()
    }

    fn each_snapshot_at(
        &self,
        key: &Option<E::Key>,
        now: Timestamp,
        each: &mut dyn FnMut(Option<Snapshot>),
    ) {
        match key {
            Some(key) => {
                let each = &mut |snapshot| each(Some(snapshot));
                self.table.each_snapshot_for(key, now, each);
            }
            None => each(None),
        }
    }
}
