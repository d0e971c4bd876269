//! What a request has cost, known by its response.

use alloc::boxed::Box;
use alloc::sync::Arc;

use http::Request;
use http::request::Parts;

use super::gate::GateOperations;
use super::request_head::RequestHead;
use super::response_head::ResponseHead;

/// Settles an admitted request when its response is there.
pub(super) type Settlement = Box<dyn FnOnce(&ResponseHead<'_>) + Send + Sync>;

/// What was charged to a gate.
pub(super) struct Charged<G: GateOperations> {
    pub(super) key: G::Key,
    /// `None` if nothing was.
    pub(super) charge: Option<G::Charge>,
    pub(super) cost: u64,
}

/// Knows the bounds on the types of a gate, which only layers that settle need.
pub(super) trait Settle<G: GateOperations>: Send + Sync {
    /// `None` if nothing is to be settled.
    fn begin(&self, request: &RequestHead<'_>, charged: Charged<G>) -> Option<Settlement>;
}

/// A function from the request and its response to the cost, for the gate that was charged.
pub(super) struct SettleBy<G, F> {
    pub(super) gate: Arc<G>,
    pub(super) cost: Arc<F>,
}

impl<G, F> Settle<G> for SettleBy<G, F>
where
    G: GateOperations<Key: Send + Sync + 'static, Charge: Send + Sync + 'static>
        + Send
        + Sync
        + 'static,
    F: Fn(&RequestHead<'_>, &ResponseHead<'_>) -> u64 + Send + Sync + 'static,
{
    fn begin(&self, request: &RequestHead<'_>, charged: Charged<G>) -> Option<Settlement> {
        let (gate, cost) = (Arc::clone(&self.gate), Arc::clone(&self.cost));
        let request = parts(request);
        Some(Box::new(move |response| {
            let used = cost(&RequestHead::from_parts(&request), response);
            let Charged {
                key,
                charge,
                cost: charged,
            } = charged;
            if used != charged || gate.settles_by_response() {
                if let Some(now) = gate.now(&key) {
                    gate.settle_by_response_at(&key, charge, (charged, used), response, now);
                }
            }
        }))
    }
}

/// A copy, because the service consumes the request.
fn parts(request: &RequestHead<'_>) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = request.method().clone();
    parts.uri = request.uri().clone();
    parts.version = request.version();
    parts.headers = request.headers().clone();
    parts.extensions = request.extensions().clone();
    parts
}
