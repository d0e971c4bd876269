//! One count, and where somebody listens one event, for each decision. Never a key: keys are personal data, and there is no end of
//! them.

#[cfg(feature = "metrics")]
mod meters;
#[cfg(not(feature = "metrics"))]
#[path = "observe/no_meters.rs"]
mod meters;

use super::counts::{Counts, Outcome, RateLimitLayerStats};
#[cfg(feature = "tracing")]
use super::key::NoKey;
use super::rejection::Reason;
use meters::Requests;

pub(super) use meters::Waits;

/// Where a layer's decisions are told.
#[derive(Debug)]
pub(super) struct Observer {
    counts: Counts,
    requests: Requests,
    /// Told once that the server attaches no keys.
    #[cfg(feature = "tracing")]
    mistake: std::sync::Once,
}

/// A decision.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(feature = "tracing"),
    expect(
        dead_code,
        reason = "for events, which are only there with the feature"
    )
)]
pub(super) struct Decision<'a> {
    pub(super) outcome: Outcome,
    /// Of a refusal.
    pub(super) reason: Option<Reason>,
    pub(super) layer: &'a str,
    /// The name of the limit that refused, or the layer's.
    pub(super) limit: &'a str,
    pub(super) cost: u64,
    pub(super) forfeited: u64,
}

impl Observer {
    pub(super) fn new(layer: &str) -> Self {
        Self {
            counts: Counts::new(),
            requests: Requests::new(layer),
            #[cfg(feature = "tracing")]
            mistake: std::sync::Once::new(),
        }
    }

    pub(super) fn stats(&self) -> RateLimitLayerStats {
        self.counts.sum()
    }

    pub(super) fn record(&self, decision: Decision<'_>) {
        self.counts.add(decision.outcome, decision.forfeited);
        self.requests.add(decision.outcome);
        #[cfg(feature = "tracing")]
        if let Some(reason) = decision.reason {
            event(decision, reason);
            if reason == Reason::NoKey(NoKey::NotAttached) {
                self.mistake.call_once(|| tell_of_mistake(decision.layer));
            }
        }
    }
}

/// At level DEBUG, since an attack refuses many.
#[cfg(feature = "tracing")]
fn event(decision: Decision<'_>, reason: Reason) {
    let Decision {
        outcome,
        layer,
        limit,
        cost,
        ..
    } = decision;
    let outcome = outcome.name();
    match reason {
        Reason::Limited(why) => {
            tracing::debug!(target: "tidegate", limiter = layer, limit, outcome, cost, %why, "rate limited");
        }
        Reason::NoKey(why) => {
            tracing::debug!(target: "tidegate", limiter = layer, limit, outcome, cost, %why, "no key to limit by");
        }
    }
}

/// Once for each layer: no request will get through as long as it is so, and nobody looks at level DEBUG.
#[cfg(feature = "tracing")]
fn tell_of_mistake(layer: &str) {
    tracing::error!(
        target: "tidegate",
        limiter = layer,
        "requests have no key to be limited by: has the server attached it? (axum: serve \
         `app.into_make_service_with_connect_info::<SocketAddr>()`)",
    );
}
