//! Counts each request, and emits metrics and events with the features `metrics` and `tracing`.
//!
//! None of them contains a key, because keys are personal data and unbounded in number.

#[cfg(feature = "metrics")]
mod layer_metrics;

use core::time::Duration;

use super::layer_stats::{RateLimitLayerStats, RequestCounts, RequestOutcome};
use super::rejection::Rejection;
#[cfg(feature = "metrics")]
use layer_metrics::LayerMetrics;

pub(super) struct Observer {
    counts: RequestCounts,
    #[cfg(feature = "metrics")]
    metrics: LayerMetrics,
    /// Reports once that the server attaches no keys.
    #[cfg(feature = "tracing")]
    not_attached: std::sync::Once,
}

impl Observer {
    /// Without the feature, callers need not read the clock.
    pub(super) const RECORDS_WAITS: bool = cfg!(feature = "metrics");

    pub(super) fn new() -> Self {
        Self {
            counts: RequestCounts::new(),
            #[cfg(feature = "metrics")]
            metrics: LayerMetrics::new(),
            #[cfg(feature = "tracing")]
            not_attached: std::sync::Once::new(),
        }
    }

    pub(super) fn stats(&self) -> RateLimitLayerStats {
        self.counts.sum()
    }

    pub(super) fn record(&self, layer: &str, outcome: RequestOutcome, forfeited: u64) {
        self.counts.add(outcome, forfeited);
        #[cfg(feature = "metrics")]
        self.metrics.add(layer, outcome);
        #[cfg(not(feature = "metrics"))]
        let _ = layer;
    }

    pub(super) fn record_rejection(
        &self,
        layer: &str,
        outcome: RequestOutcome,
        rejection: &Rejection<'_>,
        cost: u64,
        forfeited: u64,
    ) {
        self.record(layer, outcome, forfeited);
        #[cfg(feature = "tracing")]
        self.emit_rejection(layer, outcome, rejection, cost);
        #[cfg(not(feature = "tracing"))]
        let _ = (rejection, cost);
    }

    #[cfg_attr(
        not(feature = "metrics"),
        expect(
            clippy::unused_self,
            clippy::missing_const_for_fn,
            reason = "with the feature, neither would be possible"
        )
    )]
    pub(super) fn record_wait(&self, layer: &str, waited: Duration) {
        #[cfg(feature = "metrics")]
        self.metrics.record_wait(layer, waited);
        #[cfg(not(feature = "metrics"))]
        let _ = (layer, waited);
    }

    #[cfg(feature = "tracing")]
    fn emit_rejection(
        &self,
        layer: &str,
        outcome: RequestOutcome,
        rejection: &Rejection<'_>,
        cost: u64,
    ) {
        use super::key_extractor::NoKey;
        use super::rejection::Reason;

        let (why, message): (&dyn core::fmt::Display, _) = match &rejection.reason {
            Reason::Limited(why) => (why, "rate limited"),
            Reason::NoKey(why) => (why, "no key to limit by"),
        };
        let (limit, outcome) = (rejection.limit, outcome.name());
        // At level DEBUG, because an attack causes many rejections.
        tracing::debug!(target: "tidegate", limiter = layer, limit, outcome, cost, %why, "{message}");
        if rejection.reason == Reason::NoKey(NoKey::NotAttached) {
            // At level ERROR, because no request can pass until the server is corrected.
            self.not_attached.call_once(|| {
                tracing::error!(
                    target: "tidegate",
                    limiter = layer,
                    "requests have no key to limit by: does the server attach it? (axum: serve \
                     `app.into_make_service_with_connect_info::<SocketAddr>()`)",
                );
            });
        }
    }
}
