//! Counts each request, and emits metrics and events with the features `metrics` and `tracing`.
//!
//! None of them contains a key, because keys are personal data and unbounded in number.

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "observer/no_metrics.rs"]
mod metrics;

#[cfg(feature = "tracing")]
use super::key_extractor::NoKey;
use super::layer_stats::{RateLimitLayerStats, RequestCounts, RequestOutcome};
use super::rejection::Reason;
use metrics::RequestMetrics;

pub(super) use metrics::WaitHistogram;

#[derive(Debug)]
pub(super) struct Observer {
    counts: RequestCounts,
    metrics: RequestMetrics,
    /// Reports once that the server attaches no keys.
    #[cfg(feature = "tracing")]
    not_attached: std::sync::Once,
}

/// A request with its outcome.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(feature = "tracing"),
    expect(dead_code, reason = "only events contain all fields")
)]
pub(super) struct RequestEvent<'a> {
    pub(super) outcome: RequestOutcome,
    /// Set for rejections.
    pub(super) reason: Option<Reason>,
    pub(super) layer: &'a str,
    /// The name of the limit that refused, or of the layer.
    pub(super) limit: &'a str,
    pub(super) cost: u64,
    pub(super) forfeited: u64,
}

impl Observer {
    pub(super) fn new() -> Self {
        Self {
            counts: RequestCounts::new(),
            metrics: RequestMetrics::new(),
            #[cfg(feature = "tracing")]
            not_attached: std::sync::Once::new(),
        }
    }

    pub(super) fn stats(&self) -> RateLimitLayerStats {
        self.counts.sum()
    }

    pub(super) fn record(&self, event: RequestEvent<'_>) {
        self.counts.add(event.outcome, event.forfeited);
        self.metrics.add(event.layer, event.outcome);
        #[cfg(feature = "tracing")]
        if let Some(reason) = event.reason {
            emit_rejection(event, reason);
            if reason == Reason::NoKey(NoKey::NotAttached) {
                self.not_attached
                    .call_once(|| emit_not_attached(event.layer));
            }
        }
    }
}

/// At level DEBUG, because an attack causes many rejections.
#[cfg(feature = "tracing")]
fn emit_rejection(event: RequestEvent<'_>, reason: Reason) {
    let RequestEvent {
        layer, limit, cost, ..
    } = event;
    let outcome = event.outcome.name();
    match reason {
        Reason::Limited(why) => {
            tracing::debug!(target: "tidegate", limiter = layer, limit, outcome, cost, %why, "rate limited");
        }
        Reason::NoKey(why) => {
            tracing::debug!(target: "tidegate", limiter = layer, limit, outcome, cost, %why, "no key to limit by");
        }
    }
}

/// At level ERROR, because no request can pass until the server is corrected.
#[cfg(feature = "tracing")]
fn emit_not_attached(layer: &str) {
    tracing::error!(
        target: "tidegate",
        limiter = layer,
        "requests have no key to limit by: does the server attach it? (axum: serve \
         `app.into_make_service_with_connect_info::<SocketAddr>()`)",
    );
}
