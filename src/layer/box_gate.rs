//! A gate whose type is chosen at run time.

use alloc::boxed::Box;
use core::any::Any;
use core::fmt;

use super::gate::{Gate, GateDenied, GateOperations, MissingKey};
use super::request_head::RequestHead;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// Any gate on clock `C`, for programs that choose their limits at run time: read from a database,
/// or another one for each customer.
///
/// A `Vec` of gates is a gate as well, whose members are charged all or none. So a
/// `Vec<BoxGate<C>>` holds any number of limits of any kind. For limits from a configuration file
/// see `Rules`, of the feature `rules`, which also choose by request and can be reloaded.
///
/// Each request costs an allocation for each gate that has a key, and another one where a charge
/// has to be kept: in a list, a tuple, or a layer that settles. A gate without a key allocates
/// nothing for it.
///
/// ```
/// use http::HeaderName;
/// use tidegate::layer::{ApiKey, BoxGate, Gate, Named, PerKey, RateLimitLayer};
/// use tidegate::{DefaultClock, FixedKeyed, Quota, SlidingWindow, TokenBucket};
///
/// fn limit(text: &str) -> Option<BoxGate<DefaultClock>> {
///     let quota = Quota::per_minute(100);
///     Some(match text {
///         "bucket" => BoxGate::new(Named::new("all", TokenBucket::new(quota))),
///         "window" => BoxGate::new(SlidingWindow::new(100, quota.period()).unwrap()),
///         "user" => {
///             let user = ApiKey::header(HeaderName::from_static("x-user"));
///             BoxGate::new(PerKey::new(FixedKeyed::new(quota, 10_000), user))
///         }
///         _ => return None,
///     })
/// }
///
/// let limits: Option<Vec<_>> = ["bucket", "user"].into_iter().map(limit).collect();
/// let layer = RateLimitLayer::new(limits.unwrap());
/// assert_eq!(layer.gate().len(), 2);
/// ```
pub struct BoxGate<C>(Box<dyn ErasedGate<C> + Send + Sync>);

impl<C> BoxGate<C> {
    /// Boxes a gate.
    pub fn new<G>(gate: G) -> Self
    where
        G: Gate + GateOperations<Clock = C, Key: Erasable, Charge: Erasable>,
        G: Send + Sync + 'static,
    {
        Self(Box::new(gate))
    }
}

impl<C> fmt::Debug for BoxGate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxGate").finish_non_exhaustive()
    }
}

/// A key or a charge of any gate.
#[derive(Debug)]
#[expect(unnameable_types, reason = "a detail of the gate")]
pub struct Erased(Box<dyn Any + Send + Sync>);

/// What can be boxed.
#[expect(unnameable_types, reason = "a detail of the gate")]
pub trait Erasable: Any + Send + Sync {}

impl<T: Any + Send + Sync> Erasable for T {}

impl Erased {
    fn new(value: impl Erasable) -> Self {
        Self(Box::new(value))
    }

    fn get<T: 'static>(&self) -> &T {
        self.0.downcast_ref().expect(OWN)
    }

    fn into<T: 'static>(self) -> T {
        *self.0.downcast().expect(OWN)
    }
}

/// Each gate is only ever given what it returned.
const OWN: &str = "made by this gate";

/// [`GateOperations`] without types of its own.
trait ErasedGate<C> {
    fn find(&self, request: &RequestHead<'_>) -> Result<Erased, MissingKey>;
    fn now(&self, key: &Erased) -> Option<Timestamp>;
    fn peek_at(&self, key: &Erased, n: u64, now: Timestamp) -> Result<(), GateDenied>;
    fn headroom_at(&self, key: &Erased, n: u64, now: Timestamp) -> Option<u64>;
    fn try_acquire_at(&self, key: &Erased, n: u64, now: Timestamp) -> Result<(), GateDenied>;
    fn charge_at(&self, key: &Erased, n: u64, now: Timestamp) -> Result<Erased, GateDenied>;
    fn undo(&self, key: &Erased, n: u64, charge: Erased) -> u64;
    fn settle_at(
        &self,
        key: &Erased,
        charge: Option<Erased>,
        charged: u64,
        used: u64,
        now: Timestamp,
    );
    fn record_peeked_refusal(&self, key: &Erased, n: u64, now: Timestamp);
    fn snapshot_at(&self, key: &Erased, now: Timestamp) -> Option<Snapshot>;
    fn has_several_limits(&self) -> bool;
    fn each_snapshot_at(
        &self,
        key: &Erased,
        now: Timestamp,
        each: &mut dyn FnMut(Option<Snapshot>),
    );
}

impl<G: GateOperations<Key: Erasable, Charge: Erasable>> ErasedGate<G::Clock> for G {
    fn find(&self, request: &RequestHead<'_>) -> Result<Erased, MissingKey> {
        self.find(request).map(Erased::new)
    }

    fn now(&self, key: &Erased) -> Option<Timestamp> {
        self.now(key.get())
    }

    fn peek_at(&self, key: &Erased, n: u64, now: Timestamp) -> Result<(), GateDenied> {
        self.peek_at(key.get(), n, now)
    }

    fn headroom_at(&self, key: &Erased, n: u64, now: Timestamp) -> Option<u64> {
        self.headroom_at(key.get(), n, now)
    }

    fn try_acquire_at(&self, key: &Erased, n: u64, now: Timestamp) -> Result<(), GateDenied> {
        self.try_acquire_at(key.get(), n, now)
    }

    fn charge_at(&self, key: &Erased, n: u64, now: Timestamp) -> Result<Erased, GateDenied> {
        self.charge_at(key.get(), n, now).map(Erased::new)
    }

    fn undo(&self, key: &Erased, n: u64, charge: Erased) -> u64 {
        self.undo(key.get(), n, charge.into())
    }

    fn settle_at(
        &self,
        key: &Erased,
        charge: Option<Erased>,
        charged: u64,
        used: u64,
        now: Timestamp,
    ) {
        self.settle_at(key.get(), charge.map(Erased::into), charged, used, now);
    }

    fn record_peeked_refusal(&self, key: &Erased, n: u64, now: Timestamp) {
        self.record_peeked_refusal(key.get(), n, now);
    }

    fn snapshot_at(&self, key: &Erased, now: Timestamp) -> Option<Snapshot> {
        self.snapshot_at(key.get(), now)
    }

    fn has_several_limits(&self) -> bool {
        self.has_several_limits()
    }

    fn each_snapshot_at(
        &self,
        key: &Erased,
        now: Timestamp,
        each: &mut dyn FnMut(Option<Snapshot>),
    ) {
        self.each_snapshot_at(key.get(), now, each);
    }
}

impl<C> GateOperations for BoxGate<C> {
    type Clock = C;
    type Key = Erased;
    type Charge = Erased;

    fn find(&self, request: &RequestHead<'_>) -> Result<Erased, MissingKey> {
        self.0.find(request)
    }

    fn now(&self, key: &Erased) -> Option<Timestamp> {
        self.0.now(key)
    }

    fn peek_at(&self, key: &Erased, n: u64, now: Timestamp) -> Result<(), GateDenied> {
        self.0.peek_at(key, n, now)
    }

    fn headroom_at(&self, key: &Erased, n: u64, now: Timestamp) -> Option<u64> {
        self.0.headroom_at(key, n, now)
    }

    fn try_acquire_at(&self, key: &Erased, n: u64, now: Timestamp) -> Result<(), GateDenied> {
        self.0.try_acquire_at(key, n, now)
    }

    fn charge_at(&self, key: &Erased, n: u64, now: Timestamp) -> Result<Erased, GateDenied> {
        self.0.charge_at(key, n, now)
    }

    fn undo(&self, key: &Erased, n: u64, charge: Erased) -> u64 {
        self.0.undo(key, n, charge)
    }

    fn settle_at(
        &self,
        key: &Erased,
        charge: Option<Erased>,
        charged: u64,
        used: u64,
        now: Timestamp,
    ) {
        self.0.settle_at(key, charge, charged, used, now);
    }

    fn record_peeked_refusal(&self, key: &Erased, n: u64, now: Timestamp) {
        self.0.record_peeked_refusal(key, n, now);
    }

    fn snapshot_at(&self, key: &Erased, now: Timestamp) -> Option<Snapshot> {
        self.0.snapshot_at(key, now)
    }

    fn has_several_limits(&self) -> bool {
        self.0.has_several_limits()
    }

    fn each_snapshot_at(
        &self,
        key: &Erased,
        now: Timestamp,
        each: &mut dyn FnMut(Option<Snapshot>),
    ) {
        self.0.each_snapshot_at(key, now, each);
    }
}
