//! How a [`RateLimitLayer`](super::RateLimitLayer) decides about a request.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use http::Response;

use super::admission::Admission;
use super::gate::{Gate, GateDenied};
use super::in_flight_gate::InFlightGate;
use super::layer_policy::LayerPolicy;
use super::layer_stats::RequestOutcome;
use super::rejection::{Reason, Reject, Rejection};
use super::request_head::RequestHead;
use super::response_headers::{Description, HeaderStyle, Headers};
use super::settle::{Charged, Settle};
use crate::denied::Denied;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// The options of a [`RateLimitLayer`](super::RateLimitLayer) alone.
pub(super) struct GateOptions<G, F = ()> {
    /// Limits on requests at the same time.
    pub(super) in_flight: F,
    /// Shared with settlements, which come when the layer may be gone.
    pub(super) gate: Arc<G>,
    pub(super) headers: HeaderStyle,
    /// Whether `RateLimit` has every limit.
    pub(super) describes_all: bool,
    pub(super) is_dry_run: bool,
    pub(super) settle: Option<Box<dyn Settle<G>>>,
}

/// What a request asks of the limits.
struct Asked<'a, F, G> {
    in_flight: &'a F,
    /// `None` for a request that no gate limits.
    gate: Option<(&'a G, Timestamp)>,
}

pub(super) enum GateDecision<B, H> {
    Admit(Admission<H>),
    Reject(Response<B>),
}

impl<G: Gate, F: InFlightGate, R> LayerPolicy<GateOptions<G, F>, R> {
    pub(super) fn decide<B>(&self, request: &RequestHead<'_>) -> GateDecision<B, F::Held>
    where
        R: Reject<B>,
    {
        if self.is_exempt(request) {
            self.record(RequestOutcome::Exempt);
            return GateDecision::Admit(Admission::UNLIMITED);
        }
        let cost = self.cost(request);
        let GateOptions {
            gate, in_flight, ..
        } = &self.own;
        // Each request is in flight, whatever it costs. A free one needs no key of the gate.
        let found = in_flight.find(request).and_then(|in_flight| {
            let key = gate.find(request).map(Some);
            let key = key.or_else(|missing| if cost > 0 { Err(missing) } else { Ok(None) });
            Ok((in_flight, key?))
        });
        let (in_flight_key, key) = match found {
            Ok(found) => found,
            Err(missing) => {
                let rejection = Rejection {
                    request: *request,
                    reason: Reason::NoKey(missing.why),
                    limit: missing.limit.unwrap_or(&self.name),
                    snapshot: None,
                };
                return self.reject_request(&rejection, None, cost, 0);
            }
        };
        // Without a time, no gate limits such a request.
        let with_time = |key| gate.now(key).map(|now| (key, now));
        let asked = Asked {
            in_flight: &in_flight_key,
            gate: key.as_ref().and_then(with_time),
        };
        // Permits first, because they come back exactly if a rate refuses.
        let entered = in_flight.enter(&in_flight_key);
        let charged = entered.and_then(|held| Ok((held, self.charge(&asked, cost)?)));
        let (held, charge) = match charged {
            Ok(charged) => charged,
            Err(denied) => {
                let rejection = Rejection {
                    request: *request,
                    reason: Reason::Limited(denied.denied),
                    limit: denied.snapshot.limit.unwrap_or(&self.name),
                    snapshot: Some(denied.snapshot),
                };
                return self.reject_request(&rejection, Some(&asked), cost, denied.forfeited);
            }
        };
        self.observe_shadow(request, cost, true);
        self.record(RequestOutcome::Allowed);
        let is_described = !self.own.is_dry_run && self.own.headers.describes_successes();
        let headers = if is_described {
            self.describe(&asked, None)
        } else {
            None
        };
        let settlement = self.own.settle.as_ref().zip(key).map(|(settle, key)| {
            let charged = Charged { key, charge, cost };
            settle.begin(request, charged)
        });
        let held = (!F::IS_NONE).then_some(held);
        GateDecision::Admit(Admission::new(headers, held, settlement))
    }

    /// Charges a request. Returns the charge only if it is settled later.
    #[inline]
    fn charge(
        &self,
        asked: &Asked<'_, F::Key, G::Key>,
        cost: u64,
    ) -> Result<Option<G::Charge>, GateDenied> {
        let Some((key, now)) = asked.gate else {
            return Ok(None);
        };
        let gate = &self.own.gate;
        if cost == 0 || self.own.settle.is_none() {
            gate.try_acquire_at(key, cost, now)?;
            return Ok(None);
        }
        gate.charge_at(key, cost, now).map(Some)
    }

    /// The header fields for a request with this key; `None` if no limit is on it.
    fn describe(
        &self,
        asked: &Asked<'_, F::Key, G::Key>,
        refusal: Option<(Snapshot, Denied)>,
    ) -> Option<Headers> {
        let GateOptions {
            gate,
            in_flight,
            headers,
            describes_all,
            ..
        } = &self.own;
        let mut description = Description::new(*headers, &self.name, *describes_all, refusal);
        // Only the draft's fields are about more than the limit that has refused.
        if refusal.is_none() || headers.is_draft() {
            if let Some((key, now)) = asked.gate {
                gate.each_snapshot_at(key, now, &mut |snapshot| description.add(snapshot));
            }
            in_flight.each_snapshot(asked.in_flight, &mut |snapshot| description.add(snapshot));
        }
        description.headers()
    }

    #[cold]
    fn reject_request<B>(
        &self,
        rejection: &Rejection<'_>,
        asked: Option<&Asked<'_, F::Key, G::Key>>,
        cost: u64,
        forfeited: u64,
    ) -> GateDecision<B, F::Held>
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
            return GateDecision::Admit(Admission::UNLIMITED);
        }
        let mut response = self.reject.reject(rejection);
        if let (Reason::Limited(denied), Some(snapshot), Some(asked)) =
            (rejection.reason, rejection.snapshot, asked)
        {
            if let Some(headers) = self.describe(asked, Some((snapshot, denied))) {
                headers.write_to(response.headers_mut());
            }
        }
        GateDecision::Reject(response)
    }
}

/// Omits the closure that settles.
impl<G: fmt::Debug, F> fmt::Debug for GateOptions<G, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateOptions")
            .field("gate", &self.gate)
            .field("headers", &self.headers)
            .field("describes_all", &self.describes_all)
            .field("is_dry_run", &self.is_dry_run)
            .finish_non_exhaustive()
    }
}
