//! A gate with a name of its own.

use core::cell::Cell;

use super::gate::{Gate, GateDenied, GateOperations, MissingKey};
use super::request_head::RequestHead;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// A gate with a name of its own, for header fields, rejections and logs.
///
/// ```
/// use tidegate::layer::{Named, RateLimitLayer};
/// use tidegate::{Quota, TokenBucket};
///
/// let minute = Named::new("minute", TokenBucket::new(Quota::per_minute(100)));
/// let day = Named::new("day", TokenBucket::new(Quota::per_day(10_000)));
/// let layer = RateLimitLayer::new((minute, day));
/// # drop(layer);
/// ```
#[derive(Clone, Debug)]
pub struct Named<G> {
    pub(super) name: &'static str,
    gate: G,
}

impl<G> Named<G> {
    /// Names `gate`.
    pub const fn new(name: &'static str, gate: G) -> Self {
        Self { name, gate }
    }

    /// Returns the gate without its name.
    pub const fn gate(&self) -> &G {
        &self.gate
    }

    pub(super) const fn missing(&self, missing: MissingKey) -> MissingKey {
        MissingKey {
            limit: Some(self.name),
            ..missing
        }
    }

    pub(super) const fn snapshot(&self, snapshot: Snapshot) -> Snapshot {
        Snapshot {
            limit: Some(self.name),
            ..snapshot
        }
    }

    pub(super) const fn denied(&self, denied: GateDenied) -> GateDenied {
        GateDenied {
            snapshot: self.snapshot(denied.snapshot),
            ..denied
        }
    }
}

impl<G: Gate> GateOperations for Named<G> {
    type Clock = G::Clock;
    type Key = G::Key;
    type Charge = G::Charge;

    fn find(&self, request: &RequestHead<'_>) -> Result<G::Key, MissingKey> {
        let found = self.gate.find(request);
        found.map_err(|missing| self.missing(missing))
    }

    fn now(&self, key: &G::Key) -> Option<Timestamp> {
        self.gate.now(key)
    }

    fn peek_at(&self, key: &G::Key, n: u64, now: Timestamp) -> Result<(), GateDenied> {
        let peeked = self.gate.peek_at(key, n, now);
        peeked.map_err(|denied| self.denied(denied))
    }

    fn headroom_at(&self, key: &G::Key, n: u64, now: Timestamp) -> Option<u64> {
        self.gate.headroom_at(key, n, now)
    }

    fn try_acquire_at(&self, key: &G::Key, n: u64, now: Timestamp) -> Result<(), GateDenied> {
        let acquired = self.gate.try_acquire_at(key, n, now);
        acquired.map_err(|denied| self.denied(denied))
    }

    fn try_acquire_leaving_at(
        &self,
        key: &G::Key,
        n: u64,
        now: Timestamp,
        left: &Cell<Option<Snapshot>>,
    ) -> Result<(), GateDenied> {
        let acquired = self.gate.try_acquire_leaving_at(key, n, now, left);
        left.set(left.get().map(|snapshot| self.snapshot(snapshot)));
        acquired.map_err(|denied| self.denied(denied))
    }

    fn charge_at(&self, key: &G::Key, n: u64, now: Timestamp) -> Result<G::Charge, GateDenied> {
        let charged = self.gate.charge_at(key, n, now);
        charged.map_err(|denied| self.denied(denied))
    }

    fn undo(&self, key: &G::Key, n: u64, charge: G::Charge) -> u64 {
        self.gate.undo(key, n, charge)
    }

    fn settle_at(
        &self,
        key: &G::Key,
        charge: Option<G::Charge>,
        charged: u64,
        used: u64,
        now: Timestamp,
    ) {
        self.gate.settle_at(key, charge, charged, used, now);
    }

    fn record_peeked_refusal(&self, key: &G::Key, n: u64, now: Timestamp) {
        self.gate.record_peeked_refusal(key, n, now);
    }

    fn snapshot_at(&self, key: &G::Key, now: Timestamp) -> Option<Snapshot> {
        let snapshot = self.gate.snapshot_at(key, now)?;
        Some(self.snapshot(snapshot))
    }

    fn has_several_limits(&self) -> bool {
        false
    }

    /// A combination has one name then, and one limit: the one that has the least left.
    fn each_snapshot_at(
        &self,
        key: &G::Key,
        now: Timestamp,
        each: &mut dyn FnMut(Option<Snapshot>),
    ) {
        // It is not numbered, so nothing need be said of one that does not limit the request.
        if let Some(snapshot) = self.snapshot_at(key, now) {
            each(Some(snapshot));
        }
    }
}
