//! The limit on the bytes of responses, which are charged while they are sent.

use alloc::sync::Arc;
use core::fmt;

use super::gate::{Gate, GateDenied, MissingKey};
use super::held::{Kept, hold_until_the_body_ends};
use super::in_flight_gate::InFlightOperations;
use super::request_head::RequestHead;
use crate::snapshot::{QuotaUnit, Snapshot};

/// Limits the bytes of responses by a gate whose permits are bytes. A layer has it beside its own
/// gate: see [`content_bytes`](super::RateLimitLayerBuilder::content_bytes).
///
/// The type is for naming that of a layer:
///
/// ```
/// use tidegate::layer::{ContentBytes, RateLimitLayer};
/// use tidegate::{Quota, TokenBucket};
///
/// struct App {
///     downloads: RateLimitLayer<(), ((), ContentBytes<TokenBucket>)>,
/// }
///
/// let bytes = TokenBucket::new(Quota::per_second(1_000_000));
/// let downloads = RateLimitLayer::builder(()).content_bytes(bytes).build();
/// assert_eq!(App { downloads }.downloads.stats().allowed, 0);
/// ```
pub struct ContentBytes<G> {
    /// Shared with charges, which go on when the layer may be gone.
    gate: Arc<G>,
}

impl<G: Gate> ContentBytes<G> {
    /// Creates the limit from its gate.
    pub fn new(gate: G) -> Self {
        Self {
            gate: Arc::new(gate),
        }
    }
}

const fn in_bytes(snapshot: Snapshot) -> Snapshot {
    Snapshot {
        unit: QuotaUnit::ContentBytes,
        ..snapshot
    }
}

/// A gate that charges can take along.
#[expect(unnameable_types, reason = "a detail of the gate")]
pub trait BytesGate: Gate<Key: Clone + Send + Sync + 'static> + Send + Sync + 'static {}

impl<G: Gate<Key: Clone + Send + Sync + 'static> + Send + Sync + 'static> BytesGate for G {}

impl<G: BytesGate> InFlightOperations for ContentBytes<G> {
    type Key = G::Key;
    type Held = BytesCharge<G>;

    fn find(&self, request: &RequestHead<'_>) -> Result<G::Key, MissingKey> {
        self.gate.find(request)
    }

    /// Takes nothing, because the size of the response is not known.
    fn enter(&self, key: &G::Key) -> Result<BytesCharge<G>, GateDenied> {
        if let Some(now) = self.gate.now(key) {
            if let Err(denied) = self.gate.peek_at(key, 1, now) {
                self.gate.record_peeked_refusal(key, 1, now);
                return Err(GateDenied {
                    snapshot: in_bytes(denied.snapshot),
                    ..denied
                });
            }
        }
        Ok(BytesCharge {
            gate: Arc::clone(&self.gate),
            key: key.clone(),
        })
    }

    fn each_snapshot(&self, key: &G::Key, _: u64, each: &mut dyn FnMut(Option<Snapshot>)) {
        match self.gate.now(key) {
            Some(now) => {
                let each = &mut |snapshot: Option<_>| each(snapshot.map(in_bytes));
                self.gate.each_snapshot_at(key, now, each);
            }
            None => each(None),
        }
    }
}

/// Charges the bytes of one response to the gate of a [`ContentBytes`].
///
/// The body of the response does that by itself. A server with bodies of its own takes it from
/// [`Admission::into_permits`](super::Admission::into_permits).
///
/// ```
/// use http::Request;
/// use std::sync::Arc;
/// use tidegate::layer::{RateLimitLayer, RequestHead};
/// use tidegate::{ManualClock, Quota, TokenBucket};
///
/// let quota = Quota::per_second(1_000);
/// let bytes = Arc::new(TokenBucket::with_clock(quota, ManualClock::new()));
/// let layer = RateLimitLayer::builder(()).content_bytes(Arc::clone(&bytes)).build();
/// let request = Request::new(());
/// let decide = || layer.decide::<String>(&RequestHead::new(&request)).ok();
/// let ((), charge) = decide().and_then(|admission| admission.into_permits()).unwrap();
/// charge.charge(1_500); // while the server sends
/// assert_eq!(bytes.debt(), 500);
/// assert!(decide().is_none());
/// ```
pub struct BytesCharge<G: Gate> {
    gate: Arc<G>,
    key: G::Key,
}

impl<G: Gate> BytesCharge<G> {
    /// Charges bytes that the server sends. What is more than the room is charged as
    /// [`content_bytes`](super::RateLimitLayerBuilder::content_bytes) says.
    pub fn charge(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        if let Some(now) = self.gate.now(&self.key) {
            self.gate.settle_at(&self.key, None, 0, bytes, now);
        }
    }
}

impl<G: Gate> Kept for BytesCharge<G> {
    fn sent(&self, bytes: u64) {
        self.charge(bytes);
    }
}

hold_until_the_body_ends!(BytesCharge<G>, G: BytesGate);

impl<G: fmt::Debug> fmt::Debug for ContentBytes<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ContentBytes").field(&self.gate).finish()
    }
}

/// Omits the key, which may be personal.
impl<G: Gate> fmt::Debug for BytesCharge<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesCharge").finish_non_exhaustive()
    }
}
