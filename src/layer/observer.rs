//! Counts each request, and emits metrics and events with the features `metrics` and `tracing`.
//!
//! None of them contains a key, because keys are personal data and unbounded in number.

mod counted_wait;
#[cfg(feature = "metrics")]
mod describe;
#[cfg(feature = "metrics")]
mod layer_metrics;
#[cfg(feature = "metrics")]
mod refusal_counters;
mod refusal_reason;

use core::time::Duration;

use super::layer_stats::{RateLimitLayerStats, RequestCounts, RequestOutcome};
use super::rejection::Rejection;
pub(super) use counted_wait::CountedWait;
#[cfg(feature = "metrics")]
pub use describe::describe_metrics;
#[cfg(feature = "metrics")]
use layer_metrics::LayerMetrics;
pub(super) use refusal_reason::RefusalReason;

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

    /// Records a request that no limit refused.
    pub(super) fn record(&self, layer: &str, outcome: RequestOutcome) {
        self.counts.add(outcome, 0);
        #[cfg(feature = "metrics")]
        let is_exempt = outcome == RequestOutcome::Exempt;
        #[cfg(feature = "metrics")]
        self.metrics.add_passed(layer, is_exempt);
        #[cfg(not(feature = "metrics"))]
        let _ = layer;
    }

    pub(super) fn record_rejection(
        &self,
        layer: &str,
        outcome: RequestOutcome,
        rejection: &Rejection<'_>,
        reason: RefusalReason,
        cost: u64,
        forfeited: u64,
    ) {
        self.counts.add(outcome, forfeited);
        #[cfg(feature = "metrics")]
        let metrics = &self.metrics;
        #[cfg(feature = "metrics")]
        metrics.add_refused(layer, outcome, rejection.limit, reason);
        #[cfg(feature = "tracing")]
        self.emit_rejection(layer, outcome, rejection, cost);
        let _ = (layer, rejection, reason, cost);
    }

    /// Counts forfeited permits alone, with no outcome of a request beside them.
    pub(super) fn record_forfeited(&self, permits: u64) {
        self.counts.add_forfeited(permits);
    }

    /// Records the wait of an admitted request.
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

    /// Counts a request that begins to wait, until the result is dropped.
    #[cfg_attr(
        not(feature = "metrics"),
        expect(
            clippy::unused_self,
            clippy::missing_const_for_fn,
            reason = "with the feature, neither would be possible"
        )
    )]
    pub(super) fn count_wait(&self, layer: &str) -> CountedWait {
        #[cfg(feature = "metrics")]
        return self.metrics.count_wait(layer);
        #[cfg(not(feature = "metrics"))]
        {
            let _ = layer;
            CountedWait::new()
        }
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

        let why = rejection.reason;
        let message = match why {
            Reason::Limited(_) => "rate limited",
            Reason::NoKey(_) => "no key to limit by",
            Reason::Unavailable { .. } => "the shared limit could not decide",
        };
        let (limit, outcome) = (rejection.limit, outcome.name());
        // At level DEBUG, because an attack causes many rejections.
        tracing::debug!(target: "tidegate", limiter = layer, limit, outcome, cost, %why, "{message}");
        if why == Reason::NoKey(NoKey::NotAttached) {
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
