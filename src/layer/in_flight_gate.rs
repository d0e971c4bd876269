//! Limits on requests at the same time: all together, or those of each key.

use core::fmt;
use core::hash::Hash;
use core::time::Duration;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use alloc::sync::Arc;

use super::gate::{GateDenied, MissingKey};
use super::held::{Held, Kept, hold_until_the_body_ends};
use super::key_extractor::KeyExtractor;
use super::named::Named;
use super::request_head::RequestHead;
use crate::in_flight::{InFlight, InFlightPermit, refusal};
use crate::snapshot::{QuotaUnit, Snapshot};

pub(super) const fn snapshot(limit: u64, available: u64) -> Snapshot {
    Snapshot {
        limit: None,
        capacity: limit,
        refill_time: Duration::ZERO,
        available,
        next_permit_in: None,
        unit: QuotaUnit::ConcurrentRequests,
    }
}

/// Limits that a layer has beside its gate, and that last until the response has ended: on requests
/// at the same time, an [`InFlight`], an [`InFlightPerKey`] or a [`Named`] of either; on the bytes
/// of responses, a [`ContentBytes`](super::ContentBytes); or a pair of such limits.
///
/// The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no limit on requests at the same time",
    note = "such limits are an `InFlight`, an `InFlightPerKey`, a `Named` of them, a \
            `ContentBytes` of a gate, or a pair"
)]
pub trait InFlightGate: InFlightOperations {}

impl<F: InFlightOperations> InFlightGate for F {}

/// What such a limit does.
#[expect(unnameable_types, reason = "that is what seals it")]
pub trait InFlightOperations {
    /// What it reads from a request.
    type Key;

    /// What an admitted request keeps.
    type Held: Held;

    /// Whether there is never anything to keep.
    const IS_NONE: bool = false;

    fn find(&self, request: &RequestHead<'_>) -> Result<Self::Key, MissingKey>;

    /// Whether a request with this key is limited.
    #[inline]
    fn is_limited(&self, _: &Self::Key) -> bool {
        !Self::IS_NONE
    }

    /// Takes what the request keeps: a permit, which comes back when it is dropped.
    fn enter(&self, key: &Self::Key) -> Result<Self::Held, GateDenied>;

    /// Shows the snapshot of each limit, as [`each_snapshot_at`](super::gate::GateOperations) does.
    /// `own` permits are not counted: they are back when the client has read the response.
    fn each_snapshot(&self, key: &Self::Key, own: u64, each: &mut dyn FnMut(Option<Snapshot>));
}

/// No such limit.
impl InFlightOperations for () {
    type Key = ();
    type Held = ();

    const IS_NONE: bool = true;

    #[inline]
    fn find(&self, _: &RequestHead<'_>) -> Result<(), MissingKey> {
        Ok(())
    }

    #[inline]
    fn enter(&self, (): &()) -> Result<(), GateDenied> {
        Ok(())
    }

    #[inline]
    fn each_snapshot(&self, (): &(), _: u64, _: &mut dyn FnMut(Option<Snapshot>)) {}
}

impl InFlightOperations for InFlight {
    type Key = ();
    type Held = InFlightPermit;

    fn find(&self, _: &RequestHead<'_>) -> Result<(), MissingKey> {
        Ok(())
    }

    fn enter(&self, (): &()) -> Result<InFlightPermit, GateDenied> {
        self.try_acquire()
            .map_err(|denied| GateDenied::new(denied, snapshot(self.limit(), 0)))
    }

    fn each_snapshot(&self, (): &(), own: u64, each: &mut dyn FnMut(Option<Snapshot>)) {
        let others = self.in_flight().saturating_sub(own);
        let available = self.limit().saturating_sub(others);
        each(Some(snapshot(self.limit(), available)));
    }
}

impl<F: InFlightOperations> InFlightOperations for Named<F> {
    type Key = F::Key;
    type Held = F::Held;

    fn find(&self, request: &RequestHead<'_>) -> Result<F::Key, MissingKey> {
        let found = self.gate().find(request);
        found.map_err(|missing| self.missing(missing))
    }

    fn enter(&self, key: &F::Key) -> Result<F::Held, GateDenied> {
        let entered = self.gate().enter(key);
        entered.map_err(|denied| self.denied(denied))
    }

    fn each_snapshot(&self, key: &F::Key, own: u64, each: &mut dyn FnMut(Option<Snapshot>)) {
        let named = &mut |snapshot: Option<_>| each(snapshot.map(|it| self.snapshot(it)));
        self.gate().each_snapshot(key, own, named);
    }
}

/// If the second refuses, the permit of the first comes back.
impl<A: InFlightOperations, B: InFlightOperations> InFlightOperations for (A, B) {
    type Key = (A::Key, B::Key);
    type Held = (A::Held, B::Held);

    fn find(&self, request: &RequestHead<'_>) -> Result<Self::Key, MissingKey> {
        Ok((self.0.find(request)?, self.1.find(request)?))
    }

    fn enter(&self, key: &Self::Key) -> Result<Self::Held, GateDenied> {
        Ok((self.0.enter(&key.0)?, self.1.enter(&key.1)?))
    }

    fn each_snapshot(&self, key: &Self::Key, own: u64, each: &mut dyn FnMut(Option<Snapshot>)) {
        self.0.each_snapshot(&key.0, own, each);
        self.1.each_snapshot(&key.1, own, each);
    }
}

/// A limit on the requests of each key at the same time, beside the rates of a layer.
///
/// A request keeps its permit as [`in_flight`](super::RateLimitLayerBuilder::in_flight) says. A
/// request without a key is [rejected](super::NoKey). A key is held only while it has requests, so
/// the memory is bounded by the number of requests in flight. Clones share the counts.
///
/// ```
/// use std::convert::Infallible;
/// use http::{Request, Response, StatusCode};
/// use tidegate::layer::{InFlightPerKey, RateLimitLayer, RequestHead};
/// use tidegate::{Quota, TokenBucket};
/// use tower::{Layer, Service, ServiceExt, service_fn};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let user = |request: &RequestHead<'_>| request.headers().get("user").cloned();
/// let rate = TokenBucket::new(Quota::per_second(100));
/// let exports = RateLimitLayer::builder(rate).in_flight(InFlightPerKey::new(1, user)).build();
/// let serve = |_| async { Ok::<_, Infallible>(Response::new(String::from("rows"))) };
/// let mut service = exports.layer(service_fn(serve));
/// let mut ask = async |user| {
///     let request = Request::get("/").header("user", user).body(())?;
///     Ok::<_, Box<dyn std::error::Error>>(service.ready().await?.call(request).await?)
/// };
/// let first = ask("alice").await?; // its body has not been sent
/// assert_eq!(ask("alice").await?.status(), StatusCode::TOO_MANY_REQUESTS);
/// assert_eq!(ask("bob").await?.status(), StatusCode::OK);
/// drop(first);
/// assert_eq!(ask("alice").await?.status(), StatusCode::OK);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct InFlightPerKey<E: KeyExtractor> {
    limit: u64,
    extractor: E,
    counts: Arc<Counts<E::Key>>,
}

/// How many locks there are. Requests of different keys rarely meet at one.
const SHARDS: usize = 64;

/// The requests in flight of each key that has some.
pub(super) struct Counts<K> {
    hasher: ahash::RandomState,
    shards: [Mutex<HashMap<K, u64, ahash::RandomState>>; SHARDS],
}

impl<K: Hash + Eq + Clone> Counts<K> {
    pub(super) fn new() -> Self {
        let hasher = ahash::RandomState::new();
        Self {
            shards: core::array::from_fn(|_| Mutex::new(HashMap::with_hasher(hasher.clone()))),
            hasher,
        }
    }

    fn with<R>(
        &self,
        key: &K,
        work: impl FnOnce(&mut HashMap<K, u64, ahash::RandomState>) -> R,
    ) -> R {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is small")]
        let index = (self.hasher.hash_one(key) % SHARDS as u64) as usize;
        // A panic of a key's `Clone` or `Eq` leaves the map whole.
        let mut counts = self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        work(&mut counts)
    }

    pub(super) fn count(&self, key: &K) -> u64 {
        self.with(key, |counts| counts.get(key).copied().unwrap_or(0))
    }

    /// Counts one more, unless there are `limit`.
    fn enter(&self, key: &K, limit: u64) -> bool {
        self.with(key, |counts| match counts.entry(key.clone()) {
            Entry::Occupied(mut entry) if *entry.get() < limit => {
                *entry.get_mut() += 1;
                true
            }
            Entry::Vacant(entry) if limit > 0 => {
                entry.insert(1);
                true
            }
            _ => false,
        })
    }

    fn leave(&self, key: &K) {
        self.with(key, |counts| match counts.get_mut(key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                counts.remove(key);
                // What a burst of keys needed is given back.
                if counts.len() < counts.capacity() / 8 {
                    counts.shrink_to(counts.len() * 2);
                }
            }
        });
    }
}

/// A permit of a key, which comes back when it is dropped.
#[expect(unnameable_types, reason = "a detail of the gate")]
pub struct KeyPermit<K: Hash + Eq + Clone> {
    counts: Arc<Counts<K>>,
    key: K,
}

impl<K: Hash + Eq + Clone> KeyPermit<K> {
    /// Takes a permit, if fewer than `limit` are out.
    pub(super) fn take(counts: &Arc<Counts<K>>, key: &K, limit: u64) -> Result<Self, GateDenied> {
        if !counts.enter(key, limit) {
            return Err(GateDenied::new(refusal(limit), snapshot(limit, 0)));
        }
        Ok(Self {
            counts: Arc::clone(counts),
            key: key.clone(),
        })
    }
}

impl<K: Hash + Eq + Clone> Kept for KeyPermit<K> {}

hold_until_the_body_ends!(KeyPermit<K>, K: SharedKey);

/// A key that permits can take along.
#[expect(unnameable_types, reason = "a detail of the gate")]
pub trait SharedKey: Hash + Eq + Clone + Send + Sync + 'static {}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> SharedKey for K {}

/// Omits the key, which may be personal.
impl<K: Hash + Eq + Clone> fmt::Debug for KeyPermit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPermit").finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone> Drop for KeyPermit<K> {
    fn drop(&mut self) {
        self.counts.leave(&self.key);
    }
}

impl<E: KeyExtractor> InFlightPerKey<E> {
    /// Limits each key that `extractor` finds to this many requests at the same time. With 0 it
    /// refuses all.
    pub fn new(limit: u64, extractor: E) -> Self {
        Self {
            limit,
            extractor,
            counts: Arc::new(Counts::new()),
        }
    }

    /// Returns how many requests of a key are in flight.
    pub fn in_flight(&self, key: &E::Key) -> u64 {
        self.counts.count(key)
    }
}

impl<E> InFlightOperations for InFlightPerKey<E>
where
    E: KeyExtractor<Key: Send + Sync + 'static>,
{
    type Key = E::Key;
    type Held = KeyPermit<E::Key>;

    fn find(&self, request: &RequestHead<'_>) -> Result<E::Key, MissingKey> {
        let found = self.extractor.extract(request);
        found.map_err(|why| MissingKey { why, limit: None })
    }

    fn enter(&self, key: &E::Key) -> Result<KeyPermit<E::Key>, GateDenied> {
        KeyPermit::take(&self.counts, key, self.limit)
    }

    fn each_snapshot(&self, key: &E::Key, own: u64, each: &mut dyn FnMut(Option<Snapshot>)) {
        let others = self.counts.count(key).saturating_sub(own);
        let available = self.limit.saturating_sub(others);
        each(Some(snapshot(self.limit, available)));
    }
}

/// Clones share the counts.
impl<E: KeyExtractor + Clone> Clone for InFlightPerKey<E> {
    fn clone(&self) -> Self {
        Self {
            limit: self.limit,
            extractor: self.extractor.clone(),
            counts: Arc::clone(&self.counts),
        }
    }
}

/// Omits the keys, and the extractor, because closures do not implement `Debug`.
impl<E: KeyExtractor> fmt::Debug for InFlightPerKey<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlightPerKey")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
