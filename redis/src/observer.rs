//! Counts what becomes of calls, and emits metrics and events with the features `metrics` and
//! `tracing`.
//!
//! None of them contains a key of a table, because keys are personal data and unbounded in number.

#[cfg(feature = "metrics")]
mod describe;
#[cfg(feature = "metrics")]
mod lease_metrics;
#[cfg(feature = "metrics")]
mod limit_metrics;
#[cfg(feature = "metrics")]
mod store_metrics;

use core::time::Duration;

use redis::RedisError;

use crate::stats::{
    CallOutcome, LeaseCounters, LimitCounters, LimitStats, StoreCounters, TokenFlow,
};

#[cfg(feature = "metrics")]
pub use describe::describe_metrics;
#[cfg(feature = "metrics")]
use lease_metrics::LeaseMetrics;
#[cfg(feature = "metrics")]
use limit_metrics::LimitMetrics;
#[cfg(feature = "metrics")]
use store_metrics::StoreMetrics;

/// Observes the calls of one limiter.
#[derive(Debug)]
pub(crate) struct LimitObserver {
    counters: LimitCounters,
    /// The label of its metrics.
    #[cfg(feature = "metrics")]
    name: Box<str>,
    #[cfg(feature = "metrics")]
    metrics: LimitMetrics,
}

impl LimitObserver {
    #[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "a label"))]
    pub(crate) fn new(name: &str) -> Self {
        Self {
            counters: LimitCounters::default(),
            #[cfg(feature = "metrics")]
            name: name.into(),
            #[cfg(feature = "metrics")]
            metrics: LimitMetrics::default(),
        }
    }

    pub(crate) fn stats(&self) -> LimitStats {
        self.counters.stats()
    }

    pub(crate) fn record(&self, outcome: CallOutcome) {
        self.counters.count(outcome);
        #[cfg(feature = "metrics")]
        self.metrics.record(&self.name, outcome);
    }

    /// Records how long the server took to answer.
    #[cfg_attr(
        not(feature = "metrics"),
        expect(
            clippy::unused_self,
            clippy::missing_const_for_fn,
            reason = "with the feature, neither would be possible"
        )
    )]
    pub(crate) fn record_round_trip(&self, time: Duration) {
        #[cfg(feature = "metrics")]
        self.metrics.record_round_trip(&self.name, time);
        #[cfg(not(feature = "metrics"))]
        let _ = time;
    }

    /// The label of its metrics.
    #[cfg(feature = "metrics")]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Observes the calls of a store, and whether its servers answer.
#[derive(Debug, Default)]
pub(crate) struct StoreObserver {
    pub(crate) counters: StoreCounters,
    #[cfg(feature = "metrics")]
    metrics: StoreMetrics,
}

/// `prefix` is the label of metrics, and a field of events.
#[cfg_attr(
    not(all(feature = "metrics", feature = "tracing")),
    allow(unused_variables, reason = "which are used depends on the features")
)]
impl StoreObserver {
    /// Records a call that failed.
    pub(crate) fn record_failure(&self, prefix: &str, error: &RedisError) {
        self.counters.failed(error);
        #[cfg(feature = "metrics")]
        self.metrics.record_failure(prefix, error.is_timeout());
    }

    /// Records a call that stopped waiting because another one found the server down.
    pub(crate) fn record_released(&self, prefix: &str) {
        self.counters.released.increment();
        #[cfg(feature = "metrics")]
        self.metrics.record_released(prefix);
    }

    /// Records the beginning of an outage.
    pub(crate) fn record_opened(&self, prefix: &str, cause: &RedisError) {
        self.counters.outages.increment();
        #[cfg(feature = "metrics")]
        self.metrics.record_opened(prefix);
        #[cfg(feature = "tracing")]
        tracing::warn!(
            target: "tidegate",
            store = prefix,
            %cause,
            "the limit server does not answer: failure policies decide",
        );
    }

    /// Records the end of an outage.
    #[cfg_attr(
        not(feature = "metrics"),
        expect(clippy::unused_self, reason = "with the feature it is used")
    )]
    #[cfg_attr(
        not(any(feature = "metrics", feature = "tracing")),
        expect(clippy::missing_const_for_fn, reason = "with a feature it cannot be")
    )]
    pub(crate) fn record_closed(&self, prefix: &str, lasted: Duration) {
        #[cfg(feature = "metrics")]
        self.metrics.record_closed(prefix);
        #[cfg(feature = "tracing")]
        tracing::info!(
            target: "tidegate",
            store = prefix,
            ?lasted,
            "the limit server answers again",
        );
    }
}

/// Observes the tokens of one lease.
#[derive(Debug, Default)]
pub(crate) struct LeaseObserver {
    pub(crate) counters: LeaseCounters,
    #[cfg(feature = "metrics")]
    metrics: LeaseMetrics,
}

#[cfg_attr(
    not(feature = "metrics"),
    allow(unused_variables, reason = "the limiter is the label of metrics")
)]
impl LeaseObserver {
    pub(crate) fn record(&self, limiter: &LimitObserver, flow: TokenFlow, tokens: u64) {
        let counter = match flow {
            TokenFlow::Granted => &self.counters.granted,
            TokenFlow::Returned => &self.counters.returned,
            TokenFlow::Expired => &self.counters.expired,
        };
        counter.add(tokens);
        #[cfg(feature = "metrics")]
        self.metrics.record(limiter.name(), flow, tokens);
    }

    /// Records how many tokens this node holds after a refill.
    #[cfg_attr(
        not(feature = "metrics"),
        expect(
            clippy::unused_self,
            clippy::missing_const_for_fn,
            reason = "with the feature, neither would be possible"
        )
    )]
    pub(crate) fn record_held(&self, limiter: &LimitObserver, tokens: u64) {
        #[cfg(feature = "metrics")]
        self.metrics.record_held(limiter.name(), tokens);
    }
}
