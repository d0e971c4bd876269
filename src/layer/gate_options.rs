//! How a [`RateLimitLayer`](super::RateLimitLayer) decides about a request.

use http::Response;

use super::gate::Gate;
use super::layer_policy::LayerPolicy;
use super::layer_stats::RequestOutcome;
use super::rejection::{Reason, Reject, Rejection};
use super::request_head::RequestHead;
use super::response_headers::{Description, HeaderStyle, Headers};
use crate::denied::Denied;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// The options of a [`RateLimitLayer`](super::RateLimitLayer) alone.
#[derive(Debug)]
pub(super) struct GateOptions<G> {
    pub(super) gate: G,
    pub(super) headers: HeaderStyle,
    /// Whether `RateLimit` has every limit.
    pub(super) describes_all: bool,
    pub(super) is_dry_run: bool,
}

pub(super) enum GateDecision<B> {
    /// The response of the service gets these header fields.
    Admit(Option<Headers>),
    Reject(Response<B>),
}

impl<G: Gate, R> LayerPolicy<GateOptions<G>, R> {
    pub(super) fn decide<B>(&self, request: &RequestHead<'_>) -> GateDecision<B>
    where
        R: Reject<B>,
    {
        if self.is_exempt(request) {
            self.record(RequestOutcome::Exempt);
            return GateDecision::Admit(None);
        }
        let cost = self.cost(request);
        let key = match self.own.gate.find(request) {
            Ok(key) => key,
            Err(missing) if cost > 0 => {
                let rejection = Rejection {
                    request: *request,
                    reason: Reason::NoKey(missing.why),
                    limit: missing.limit.unwrap_or(&self.name),
                    snapshot: None,
                };
                let none: Option<(&G::Key, Timestamp)> = None;
                return self.reject_request(&rejection, none, cost, 0);
            }
            Err(_) => {
                self.record(RequestOutcome::Allowed);
                return GateDecision::Admit(None);
            }
        };
        // Without a time, no gate limits such a request.
        let now = self.own.gate.now(&key);
        let charged = now.map_or(Ok(()), |now| self.own.gate.try_acquire_at(&key, cost, now));
        if let Err(denied) = charged {
            let rejection = Rejection {
                request: *request,
                reason: Reason::Limited(denied.denied),
                limit: denied.snapshot.limit.unwrap_or(&self.name),
                snapshot: Some(denied.snapshot),
            };
            let asked = now.map(|now| (&key, now));
            return self.reject_request(&rejection, asked, cost, denied.forfeited);
        }
        self.observe_shadow(request, cost, true);
        self.record(RequestOutcome::Allowed);
        if self.own.is_dry_run || !self.own.headers.describes_successes() {
            return GateDecision::Admit(None);
        }
        GateDecision::Admit(self.describe(now.map(|now| (&key, now)), None))
    }

    /// The header fields for a request with this key; `None` if no limit is on it.
    fn describe(
        &self,
        asked: Option<(&G::Key, Timestamp)>,
        refusal: Option<(Snapshot, Denied)>,
    ) -> Option<Headers> {
        let GateOptions {
            gate,
            headers,
            describes_all,
            ..
        } = &self.own;
        let mut description = Description::new(*headers, &self.name, *describes_all, refusal);
        // Only the draft's fields are about more than the limit that has refused.
        if let Some((key, now)) = asked.filter(|_| refusal.is_none() || headers.is_draft()) {
            gate.each_snapshot_at(key, now, &mut |snapshot| description.add(snapshot));
        }
        description.headers()
    }

    #[cold]
    fn reject_request<B>(
        &self,
        rejection: &Rejection<'_>,
        asked: Option<(&G::Key, Timestamp)>,
        cost: u64,
        forfeited: u64,
    ) -> GateDecision<B>
    where
        R: Reject<B>,
    {
        let outcome = match rejection.reason {
            Reason::NoKey(_) => RequestOutcome::NoKey,
            Reason::Limited(_) if self.own.is_dry_run => RequestOutcome::ShadowDenied,
            Reason::Limited(_) => RequestOutcome::Denied,
        };
        self.observe_shadow(&rejection.request, cost, false);
        self.record_rejection(outcome, rejection, cost, forfeited);
        if self.own.is_dry_run {
            return GateDecision::Admit(None);
        }
        let mut response = self.reject.reject(rejection);
        if let (Reason::Limited(denied), Some(snapshot)) = (rejection.reason, rejection.snapshot) {
            if let Some(headers) = self.describe(asked, Some((snapshot, denied))) {
                headers.write_to(response.headers_mut());
            }
        }
        GateDecision::Reject(response)
    }
}
