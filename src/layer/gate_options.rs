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
pub(super) struct GateOptions<G, F = (), A = ()> {
    /// Limits that last until the response has ended.
    pub(super) in_flight: F,
    /// Shared with settlements, which come when the layer may be gone.
    pub(super) gate: Arc<G>,
    pub(super) headers: HeaderStyle,
    /// Whether `RateLimit` has every limit.
    pub(super) describes_all: bool,
    pub(super) is_dry_run: bool,
    pub(super) settle: Option<Box<dyn Settle<G>>>,
    /// The limit that decides later, or `()`.
    pub(super) shared: A,
}

/// What a request asks of the limits.
pub(super) struct Asked<'a, F, G> {
    in_flight: &'a F,
    /// `None` for a request that no gate limits.
    gate: Option<(&'a G, Timestamp)>,
}

/// What the limits of this process are to know of a request.
pub(super) struct Keys<G, F> {
    in_flight: F,
    /// `None` for a free request without a key.
    gate: Option<G>,
}

impl<G, F> Keys<G, F> {
    /// What the request asks at the present. Without a time, no gate limits it.
    #[inline]
    pub(super) fn asked<L: Gate<Key = G>>(&self, gate: &L) -> Asked<'_, F, G> {
        self.asked_at(self.gate.as_ref().and_then(|key| gate.now(key)))
    }

    #[inline]
    fn asked_at(&self, now: Option<Timestamp>) -> Asked<'_, F, G> {
        Asked {
            in_flight: &self.in_flight,
            gate: self.gate.as_ref().zip(now),
        }
    }
}

/// A request that the limits of this process let pass, and what they gave to it.
pub(super) struct Passed<G: Gate, F: InFlightGate> {
    pub(super) keys: Keys<G::Key, F::Key>,
    /// When the gate decided.
    now: Option<Timestamp>,
    held: F::Held,
    /// `None` if it was not charged, or the charge is not kept.
    charge: Option<G::Charge>,
    pub(super) cost: u64,
}

/// How the gate of this process is charged.
#[derive(Clone, Copy)]
pub(super) enum Charging<'a> {
    Plain,
    /// So that it can be settled or undone.
    Kept,
    /// Tells what the charge has left, if the gate knows it.
    Leaving(&'a Cell<Option<Snapshot>>),
}

pub(super) enum GateDecision<B, H> {
    Admit,
    /// The response of the service gets the header fields that were set.
    Describe,
    /// The request takes more along. Boxed, so that the futures of other requests stay small.
    Keep(Box<Admission<H>>),
    Reject(Response<B>),
}

impl<G: Gate, F: InFlightGate, R, A> LayerPolicy<GateOptions<G, F, A>, R> {
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
        let keys = match self.find(request, cost) {
            Ok(keys) => keys,
            Err(missing) => return self.reject_missing(request, missing, cost),
        };
        let left = Cell::new(None);
        let charging = if self.own.settle.is_some() {
            Charging::Kept
        } else if self.describes_successes() {
            Charging::Leaving(&left)
        } else {
            Charging::Plain
        };
        let admit = |passed| self.admit(request, passed, None, left.take(), headers);
        self.pass(request, keys, cost, charging, admit, |rejected| rejected)
    }

    #[inline]
    pub(super) fn find(
        &self,
        request: &RequestHead<'_>,
        cost: u64,
    ) -> Result<Keys<G::Key, F::Key>, MissingKey> {
        // Each request is in flight, whatever it costs.
        let in_flight = self.own.in_flight.find(request)?;
        let gate = match self.own.gate.find(request) {
            Ok(key) => Some(key),
            Err(missing) if cost > 0 => return Err(missing),
            // A free request needs no key of the gate.
            Err(_) => None,
        };
        Ok(Keys { in_flight, gate })
    }

    /// Decides by the limits of this process, and continues with what they gave or with the
    /// rejection.
    // Inlined, with what follows in closures, because results would go through memory.
    #[expect(clippy::inline_always, reason = "see above")]
    #[inline(always)]
    pub(super) fn pass<B, T>(
        &self,
        request: &RequestHead<'_>,
        keys: Keys<G::Key, F::Key>,
        cost: u64,
        charging: Charging<'_>,
        passed: impl FnOnce(Passed<G, F>) -> T,
        rejected: impl FnOnce(GateDecision<B, F::Held>) -> T,
    ) -> T
    where
        R: Reject<B>,
    {
        let GateOptions {
            gate, in_flight, ..
        } = &self.own;
        let asked = keys.asked(&**gate);
        if in_flight.is_limited(asked.in_flight) {
            // A look first, so that refused requests hardly ever keep a permit from others.
            if let Some((key, now)) = asked.gate.filter(|_| cost > 0) {
                if let Err(denied) = gate.peek_at(key, cost, now) {
                    gate.record_peeked_refusal(key, cost, now);
                    return rejected(self.reject_denied(request, &asked, &denied, cost));
                }
            }
        }
        // Permits first, because they come back exactly if a rate refuses.
        let held = match in_flight.enter(asked.in_flight) {
            Ok(held) => held,
            Err(denied) => return rejected(self.reject_denied(request, &asked, &denied, cost)),
        };
        let mut charge = None;
        if let Some((key, now)) = asked.gate {
            let charged = match charging {
                Charging::Kept => self.charge_at(key, cost, now).map(|made| charge = made),
                Charging::Leaving(left) => gate.try_acquire_leaving_at(key, cost, now, left),
                Charging::Plain => gate.try_acquire_at(key, cost, now),
            };
            if let Err(denied) = charged {
                drop(held);
                return rejected(self.reject_denied(request, &asked, &denied, cost));
            }
        }
        let now = asked.gate.map(|(_, now)| now);
        passed(Passed {
            keys,
            now,
            held,
            charge,
            cost,
        })
    }

    /// Admits a request that all limits let pass, with what the shared ones have told.
    #[expect(clippy::inline_always, reason = "as `pass`")]
    #[inline(always)]
    pub(super) fn admit<B>(
        &self,
        request: &RequestHead<'_>,
        passed: Passed<G, F>,
        shared: Option<&[Snapshot]>,
        left: Option<Snapshot>,
        headers: &mut Headers,
    ) -> GateDecision<B, F::Held> {
        let Passed {
            keys,
            now,
            held,
            charge,
            cost,
        } = passed;
        self.observe_shadow(request, cost, true);
        self.record(RequestOutcome::Allowed);
        let is_described = self.describes_successes();
        if is_described {
            match (shared, left) {
                (None, Some(left)) if F::IS_NONE => {
                    headers.set(self.own.headers, &self.name, &left, None);
                }
                (None, _) => self.describe(&keys.asked_at(now), None, headers),
                // The clock again, because the shared limit took its time.
                (Some(shared), _) => {
                    self.describe_with(&keys.asked(&*self.own.gate), shared, None, headers);
                }
            }
        }
        let is_limited = self.own.in_flight.is_limited(&keys.in_flight);
        let settlement = self.own.settle.as_ref();
        let settlement = settlement.zip(keys.gate).and_then(|(settle, key)| {
            let charged = Charged { key, charge, cost };
            settle.begin(request, charged)
        });
        if !is_limited && settlement.is_none() {
            return if is_described {
                GateDecision::Describe
            } else {
                GateDecision::Admit
            };
        }
        let admission = Admission::new(headers.take(), Some(held), settlement);
        GateDecision::Keep(Box::new(admission))
    }

    /// Gives everything back to the limits of this process. Returns the keys, and how many permits
    /// of the gate are lost.
    pub(super) fn give_back(&self, passed: Passed<G, F>) -> (Keys<G::Key, F::Key>, u64) {
        let Passed {
            keys, charge, cost, ..
        } = passed;
        let forfeited = match (&keys.gate, charge) {
            (Some(key), Some(charge)) => self.own.gate.undo(key, cost, charge),
            _ => 0,
        };
        (keys, forfeited)
    }

    /// A charge that is settled or undone later; `None` if nothing was charged.
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
    pub(super) fn reject_missing<B>(
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
    pub(super) fn reject_denied<B>(
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

    /// Whether admitted requests get header fields.
    const fn describes_successes(&self) -> bool {
        !self.own.is_dry_run && self.own.headers.describes_successes()
    }

    /// Sets the header fields for a request with these keys, unless no limit is on it.
    fn describe(
        &self,
        asked: &Asked<'_, F::Key, G::Key>,
        refusal: Option<(Snapshot, Denied)>,
        headers: &mut Headers,
    ) {
        let GateOptions {
            gate,
            headers: style,
            describes_all,
            ..
        } = &self.own;
        let mut description = Description::new(*style, &self.name, *describes_all, refusal);
        // Only the draft's fields are about more than the limit that has refused.
        let has_several = || !F::IS_NONE || gate.has_several_limits();
        if refusal.is_none() || (style.is_draft() && has_several()) {
            self.describe_each(asked, refusal.is_none(), &mut description);
        }
        description.set(headers);
    }

    /// Describes the limits of this process.
    #[inline]
    fn describe_each(
        &self,
        asked: &Asked<'_, F::Key, G::Key>,
        is_admitted: bool,
        description: &mut Description<'_>,
    ) {
        let GateOptions {
            gate, in_flight, ..
        } = &self.own;
        if let Some((key, now)) = asked.gate {
            gate.each_snapshot_at(key, now, &mut |snapshot| description.add(snapshot));
        }
        let own = u64::from(is_admitted);
        let each = &mut |snapshot| description.add(snapshot);
        in_flight.each_snapshot(asked.in_flight, own, each);
    }

    /// The same with what the shared limits have told, behind the others.
    pub(super) fn describe_with(
        &self,
        asked: &Asked<'_, F::Key, G::Key>,
        shared: &[Snapshot],
        refusal: Option<(Snapshot, Denied)>,
        headers: &mut Headers,
    ) {
        let GateOptions {
            headers: style,
            describes_all,
            ..
        } = &self.own;
        let mut description = Description::new(*style, &self.name, *describes_all, refusal);
        if refusal.is_none() || style.is_draft() {
            self.describe_each(asked, refusal.is_none(), &mut description);
            let shared = shared.iter().copied().map(Some);
            shared.for_each(|snapshot| description.add(snapshot));
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
        self.record_refusal(rejection, cost, forfeited);
        if self.own.is_dry_run {
            return GateDecision::Admit;
        }
        let mut response = self.respond_to(rejection);
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

    /// Counts a refusal, and shows it to the candidate.
    #[inline]
    pub(super) fn record_refusal(&self, rejection: &Rejection<'_>, cost: u64, forfeited: u64) {
        let outcome = match rejection.reason {
            Reason::NoKey(_) => RequestOutcome::NoKey,
            Reason::Unavailable { .. } => RequestOutcome::Unavailable,
            Reason::Limited(_) if self.own.is_dry_run => RequestOutcome::ShadowDenied,
            Reason::Limited(_) => RequestOutcome::Denied,
        };
        self.observe_shadow(&rejection.request, cost, false);
        self.record_rejection(outcome, rejection, cost, forfeited);
    }

    /// The response without header fields.
    #[inline]
    pub(super) fn respond_to<B>(&self, rejection: &Rejection<'_>) -> Response<B>
    where
        R: Reject<B>,
    {
        let mut response = self.reject.reject(rejection);
        mark_rejection(&mut response);
        response
    }
}

/// Omits the closure that settles.
impl<G: fmt::Debug, F, A> fmt::Debug for GateOptions<G, F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateOptions")
            .field("gate", &self.gate)
            .field("headers", &self.headers)
            .field("describes_all", &self.describes_all)
            .field("is_dry_run", &self.is_dry_run)
            .finish_non_exhaustive()
    }
}
