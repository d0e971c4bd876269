//! A request that the limits of this process admitted, while the shared one decides.

use alloc::sync::Arc;
use core::ops::ControlFlow;

use super::gate::{Gate, MissingKey};
use super::gate_options::{Charging, GateDecision, GateOptions, Passed};
use super::in_flight_gate::InFlightGate;
use super::layer_policy::LayerPolicy;
use super::layer_stats::RequestOutcome;
use super::rejection::{Reason, Reject, Rejection};
use super::request_head::RequestHead;
use super::response_headers::Headers;
use super::shared_decision::{SharedDecision, SharedOutcome};
use super::shared_gate::SharedGate;

/// What a layer with a shared limit has in common with its services.
pub(super) type SharedPolicy<G, F, R, A> = LayerPolicy<GateOptions<G, F, A>, R>;

/// Waits for the shared limit. Dropped before, it gives back what the other limits gave.
pub(super) struct PendingRequest<G: Gate, F: InFlightGate, R, A: SharedGate> {
    policy: Arc<SharedPolicy<G, F, R, A>>,
    key: A::Key,
    /// `None` once the shared limit has decided.
    passed: Option<Passed<G, F>>,
}

impl<G: Gate, F: InFlightGate, R, A: SharedGate> PendingRequest<G, F, R, A> {
    /// Decides by the limits of this process. Breaks with the decision about a request that the
    /// shared limit need not see.
    pub(super) fn begin<B>(
        policy: &Arc<SharedPolicy<G, F, R, A>>,
        request: &RequestHead<'_>,
        headers: &mut Headers,
    ) -> ControlFlow<GateDecision<B, F::Held>, Self>
    where
        R: Reject<B>,
    {
        if policy.is_exempt(request) {
            policy.record(RequestOutcome::Exempt);
            return ControlFlow::Break(GateDecision::Admit);
        }
        let cost = policy.cost(request);
        let shared = &policy.own.shared;
        let find_shared = || {
            let limit = shared.name();
            let found = shared.find(request);
            found.map_err(|why| MissingKey { why, limit })
        };
        // All keys before any charge. A free request needs no key of the shared limit.
        let found = policy.find(request, cost).and_then(|keys| {
            let key = (cost > 0).then(find_shared).transpose()?;
            Ok((keys, key))
        });
        let (keys, key) = match found {
            Ok(found) => found,
            Err(missing) => {
                return ControlFlow::Break(policy.reject_missing(request, missing, cost));
            }
        };
        let passed = |passed| match key {
            Some(key) => ControlFlow::Continue(Self {
                policy: Arc::clone(policy),
                key,
                passed: Some(passed),
            }),
            None => ControlFlow::Break(policy.admit(request, passed, None, None, headers)),
        };
        policy.pass(
            request,
            keys,
            cost,
            Charging::Kept,
            passed,
            ControlFlow::Break,
        )
    }

    /// Decides by the shared limit.
    pub(super) async fn decide<B>(
        mut self,
        request: &RequestHead<'_>,
        headers: &mut Headers,
    ) -> GateDecision<B, F::Held>
    where
        R: Reject<B>,
    {
        let policy = &*self.policy;
        let cost = self.passed.as_ref().map_or(0, |passed| passed.cost);
        let decision = policy.own.shared.decide(&self.key, cost).await;
        let passed = self.passed.take().expect("it is decided once");
        let reason = match decision.outcome {
            SharedOutcome::Admitted => {
                return policy.admit(request, passed, Some(&decision.snapshots), None, headers);
            }
            SharedOutcome::Denied(denied) => Reason::Limited(denied),
            SharedOutcome::Unavailable { retry_after } => Reason::Unavailable { retry_after },
        };
        // First, so that the header fields show what has come back.
        let (keys, forfeited) = policy.give_back(passed);
        let rejection = policy.rejection(request, reason, &decision);
        policy.record_refusal(&rejection, cost, forfeited);
        if policy.own.is_dry_run {
            return GateDecision::Admit;
        }
        let mut response = policy.respond_to(&rejection);
        let refusal = rejection.snapshot.zip(rejection.denied());
        let mut fields = Headers::NONE;
        if refusal.is_some() {
            let asked = keys.asked(&*policy.own.gate);
            policy.describe_with(&asked, &decision.snapshots, refusal, &mut fields);
        } else {
            fields = Headers::of_unknown(policy.own.headers, rejection.retry_after());
        }
        fields.write_to(response.headers_mut());
        GateDecision::Reject(response)
    }
}

impl<G: Gate, F: InFlightGate, R, A: SharedGate> LayerPolicy<GateOptions<G, F, A>, R> {
    fn rejection<'a>(
        &'a self,
        request: &RequestHead<'a>,
        reason: Reason,
        decision: &SharedDecision,
    ) -> Rejection<'a> {
        let is_limited = matches!(reason, Reason::Limited(_));
        let snapshot = decision.snapshot().filter(|_| is_limited);
        let limit = decision.limit.or_else(|| snapshot?.limit);
        let limit = limit.or_else(|| self.own.shared.name());
        Rejection {
            request: *request,
            reason,
            limit: limit.unwrap_or(&self.name),
            snapshot,
        }
    }
}

/// The client has left, or the shared limit panicked.
impl<G: Gate, F: InFlightGate, R, A: SharedGate> Drop for PendingRequest<G, F, R, A> {
    fn drop(&mut self) {
        if let Some(passed) = self.passed.take() {
            let (_, forfeited) = self.policy.give_back(passed);
            if forfeited > 0 {
                self.policy.observer.record_forfeited(forfeited);
            }
        }
    }
}
