//! How a [`RateLimitLayer`](super::RateLimitLayer) decides about a request.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cell::Cell;
use core::fmt;

use http::Response;

use super::admission::Admission;
use super::description::Description;
use super::gate::{Gate, GateDenied, MissingKey};
use super::in_flight_gate::InFlightGate;
use super::layer_policy::LayerPolicy;
use super::layer_stats::RequestOutcome;
use super::rejection::{Reason, Reject, Rejection};
use super::request_head::RequestHead;
use super::response_headers::{HeaderStyle, Headers, mark_rejection};
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
    Admit,
    /// The response of the service gets the header fields that were set.
    Describe,
    /// The request takes more along. Boxed, so that the futures of other requests stay small.
    Keep(Box<Admission<H>>),
    Reject(Response<B>),
}

impl<G: Gate, F: InFlightGate, R> LayerPolicy<GateOptions<G, F>, R> {
    /// Writes the header fields that the response of the service gets to `headers`, unless the
    /// request takes more along. They are not returned, because copies of them would be a good part
    /// of the whole decision.
    pub(super) fn decide<B>(
        &self,
        request: &RequestHead<'_>,
        headers: &mut Headers,
    ) -> GateDecision<B, F::Held>
    where
        R: Reject<B>,
    {
        if self.is_exempt(request) {
            self.record(RequestOutcome::Exempt);
            return GateDecision::Admit;
        }
        let cost = self.cost(request);
        let GateOptions {
            gate,
            in_flight,
            settle,
            ..
        } = &self.own;
        // Each request is in flight, whatever it costs.
        let in_flight_key = match in_flight.find(request) {
            Ok(key) => key,
            Err(missing) => return self.reject_missing(request, missing, cost),
        };
        let key = match gate.find(request) {
            Ok(key) => Some(key),
            Err(missing) if cost > 0 => return self.reject_missing(request, missing, cost),
            // A free request needs no key of the gate.
            Err(_) => None,
        };
        // Without a time, no gate limits such a request.
        let with_time = |key| gate.now(key).map(|now| (key, now));
        let asked = Asked {
            in_flight: &in_flight_key,
            gate: key.as_ref().and_then(with_time),
        };
        if !F::IS_NONE {
            // A look first, so that refused requests hardly ever keep a permit from others.
            if let Some(Err(denied)) = asked.gate.map(|(key, now)| gate.peek_at(key, cost, now)) {
                return self.reject_denied(request, &asked, &denied, cost);
            }
        }
        // Permits first, because they come back exactly if a rate refuses.
        let held = match in_flight.enter(&in_flight_key) {
            Ok(held) => held,
            Err(denied) => return self.reject_denied(request, &asked, &denied, cost),
        };
        let is_described = !self.own.is_dry_run && self.own.headers.describes_successes();
        let (mut charge, mut left) = (None, Cell::new(None));
        if let Some((key, now)) = asked.gate {
            let charged = if settle.is_some() {
                self.charge_at(key, cost, now).map(|made| charge = made)
            } else if is_described {
                gate.try_acquire_leaving_at(key, cost, now, &left)
            } else {
                gate.try_acquire_at(key, cost, now)
            };
            if let Err(denied) = charged {
                drop(held);
                return self.reject_denied(request, &asked, &denied, cost);
            }
        }
        self.observe_shadow(request, cost, true);
        self.record(RequestOutcome::Allowed);
        if is_described {
            match left.get_mut() {
                Some(left) if F::IS_NONE => headers.set(self.own.headers, &self.name, left, None),
                _ => self.describe(&asked, None, headers),
            }
        }
        let settlement = settle.as_ref().zip(key).map(|(settle, key)| {
            let charged = Charged { key, charge, cost };
            settle.begin(request, charged)
        });
        if F::IS_NONE && settlement.is_none() {
            return if is_described {
                GateDecision::Describe
            } else {
                GateDecision::Admit
            };
        }
        let admission = Admission::new(headers.take(), Some(held), settlement);
        GateDecision::Keep(Box::new(admission))
    }

    /// A charge that is settled later; `None` if nothing was charged.
    #[cold]
    #[inline(never)]
    fn charge_at(
        &self,
        key: &G::Key,
        cost: u64,
        now: Timestamp,
    ) -> Result<Option<G::Charge>, GateDenied> {
        if cost == 0 {
            return Ok(None);
        }
        self.own.gate.charge_at(key, cost, now).map(Some)
    }

    #[cold]
    fn reject_missing<B>(
        &self,
        request: &RequestHead<'_>,
        missing: MissingKey,
        cost: u64,
    ) -> GateDecision<B, F::Held>
    where
        R: Reject<B>,
    {
        let rejection = Rejection {
            request: *request,
            reason: Reason::NoKey(missing.why),
            limit: missing.limit.unwrap_or(&self.name),
            snapshot: None,
        };
        self.reject_request(&rejection, None, cost, 0)
    }

    #[cold]
    fn reject_denied<B>(
        &self,
        request: &RequestHead<'_>,
        asked: &Asked<'_, F::Key, G::Key>,
        denied: &GateDenied,
        cost: u64,
    ) -> GateDecision<B, F::Held>
    where
        R: Reject<B>,
    {
        let rejection = Rejection {
            request: *request,
            reason: Reason::Limited(denied.denied),
            limit: denied.snapshot.limit.unwrap_or(&self.name),
            snapshot: Some(denied.snapshot),
        };
        self.reject_request(&rejection, Some(asked), cost, denied.forfeited)
    }

    /// Sets the header fields for a request with this key, unless no limit is on it.
    fn describe(
        &self,
        asked: &Asked<'_, F::Key, G::Key>,
        refusal: Option<(Snapshot, Denied)>,
        headers: &mut Headers,
    ) {
        let GateOptions {
            gate,
            in_flight,
            headers: style,
            describes_all,
            ..
        } = &self.own;
        let mut description = Description::new(*style, &self.name, *describes_all, refusal);
        // Only the draft's fields are about more than the limit that has refused.
        let has_several = || !F::IS_NONE || gate.has_several_limits();
        if refusal.is_none() || (style.is_draft() && has_several()) {
            if let Some((key, now)) = asked.gate {
                gate.each_snapshot_at(key, now, &mut |snapshot| description.add(snapshot));
            }
            let own = u64::from(refusal.is_none());
            let each = &mut |snapshot| description.add(Some(snapshot));
            in_flight.each_snapshot(asked.in_flight, own, each);
        }
        description.set(headers);
    }

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
            return GateDecision::Admit;
        }
        let mut response = self.reject.reject(rejection);
        mark_rejection(&mut response);
        if let (Reason::Limited(denied), Some(snapshot), Some(asked)) =
            (rejection.reason, rejection.snapshot, asked)
        {
            if self.own.headers != HeaderStyle::None {
                let mut headers = Headers::NONE;
                self.describe(asked, Some((snapshot, denied)), &mut headers);
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
