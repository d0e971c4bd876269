//! A limiter for each key of requests.

use alloc::sync::Arc;
use core::hash::{BuildHasher, Hash};

use super::gate::{Gate, NoKey, Refused};
use super::head::RequestHead;
use super::key::KeyExtractor;
use crate::clock::Clock;
use crate::denied::Denied;
use crate::keyed::{FixedKeyed, Keyed};
use crate::limiter::{Limiter, sealed};
use crate::standing::Standing;
use crate::time::Timestamp;

/// Limits each key of requests by itself: a [`Keyed`] or [`FixedKeyed`] and what finds the key.
///
/// A request without a key is refused, unless keys are [`optional`](Self::optional): to pass for want of a key would be the way
/// around the limit. Give such requests another key with [`KeyExtractor::or`].
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
#[derive(Clone, Debug)]
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

    /// The same, but a request without a key passes: for a limit on those who send a key beside one on all.
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

impl<T, E> Gate for PerKey<T, E>
where
    E: KeyExtractor,
    T: KeyedLimiter<E::Key>,
{
    /// `None`: it has none, and need not.
    type Key = Option<E::Key>;
    type Charge = ();

    fn find(&self, request: &RequestHead<'_>) -> Result<Option<E::Key>, NoKey> {
        let key = self.extractor.extract(request);
        if key.is_none() && !self.is_optional {
            return Err(NoKey);
        }
        Ok(key)
    }

    fn now(&self, key: &Option<E::Key>) -> Option<Timestamp> {
        key.as_ref().map(|key| self.table.now(key))
    }

    fn peek_at(&self, key: &Option<E::Key>, n: u64, now: Timestamp) -> Result<(), Refused> {
        match key {
            Some(key) => {
                let seen = self.table.peek_at(key, n, now);
                seen.map_err(|denied| Refused::new(denied, self.table.standing_at(key, now)))
            }
            None => Ok(()),
        }
    }

    fn try_acquire_at(&self, key: &Option<E::Key>, n: u64, now: Timestamp) -> Result<(), Refused> {
        match key {
            Some(key) => {
                let charged = self.table.try_acquire_at(key, n, now);
                charged.map_err(|denied| Refused::new(denied, self.table.standing_at(key, now)))
            }
            None => Ok(()),
        }
    }

    fn charge_at(&self, key: &Option<E::Key>, n: u64, now: Timestamp) -> Result<(), Refused> {
        self.try_acquire_at(key, n, now)
    }

    /// Tables take nothing back.
    fn undo(&self, key: &Option<E::Key>, n: u64, (): ()) -> u64 {
        if key.is_some() { n } else { 0 }
    }

    fn standing_at(&self, key: &Option<E::Key>, now: Timestamp) -> Option<Standing> {
        Some(self.table.standing_at(key.as_ref()?, now))
    }
}

/// A table of limiters: [`Keyed`], [`FixedKeyed`], and an `Arc` of either. Sealed, as limiters are.
pub trait KeyedLimiter<K>: table::Sealed {
    #[doc(hidden)]
    fn now(&self, key: &K) -> Timestamp;

    #[doc(hidden)]
    fn peek_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied>;

    #[doc(hidden)]
    fn try_acquire_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied>;

    #[doc(hidden)]
    fn standing_at(&self, key: &K, now: Timestamp) -> Standing;
}

mod table {
    #[expect(unnameable_types, reason = "that is what seals it")]
    pub trait Sealed {}
}

impl<K, L, S> table::Sealed for Keyed<K, L, S> {}
impl<C, S> table::Sealed for FixedKeyed<C, S> {}
impl<T: table::Sealed> table::Sealed for Arc<T> {}

impl<K, L, S> KeyedLimiter<K> for Keyed<K, L, S>
where
    K: Hash + Eq + Clone,
    L: Limiter,
    S: BuildHasher,
{
    fn now(&self, key: &K) -> Timestamp {
        self.now_for(key)
    }

    fn peek_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.peek_at(key, n, now)
    }

    fn try_acquire_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(key, n, now)
    }

    fn standing_at(&self, key: &K, now: Timestamp) -> Standing {
        self.standing_at(key, now)
    }
}

impl<K: Hash, C: Clock, S: BuildHasher> KeyedLimiter<K> for FixedKeyed<C, S> {
    fn now(&self, _: &K) -> Timestamp {
        self.clock().now()
    }

    fn peek_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.peek_at(key, n, now)
    }

    fn try_acquire_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(key, n, now)
    }

    fn standing_at(&self, key: &K, now: Timestamp) -> Standing {
        self.standing_at(key, now)
    }
}

impl<K, T: KeyedLimiter<K>> KeyedLimiter<K> for Arc<T> {
    fn now(&self, key: &K) -> Timestamp {
        (**self).now(key)
    }

    fn peek_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
        (**self).peek_at(key, n, now)
    }

    fn try_acquire_at(&self, key: &K, n: u64, now: Timestamp) -> Result<(), Denied> {
        (**self).try_acquire_at(key, n, now)
    }

    fn standing_at(&self, key: &K, now: Timestamp) -> Standing {
        (**self).standing_at(key, now)
    }
}
