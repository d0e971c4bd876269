//! One count, and where somebody listens one event, for each decision. Never a key: keys are personal data, and there is no end of
//! them.

use super::counts::{Counts, Outcome, RateLimitLayerStats};
use super::rejection::Reason;

/// Where a layer's decisions are told.
#[derive(Debug)]
pub(super) struct Observer {
    counts: Counts,
    /// In the order of [`Outcome::ALL`]. Found once: to look a counter up takes longer than to decide.
    #[cfg(feature = "metrics")]
    counters: [Counter; Outcome::ALL.len()],
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
    pub(super) reason: Option<Reason>,
    /// The name of the limit that refused, or of the layer.
    pub(super) limit: &'a str,
    pub(super) cost: u64,
    pub(super) forfeited: u64,
}

impl Observer {
    #[cfg_attr(
        not(feature = "metrics"),
        expect(unused_variables, reason = "the label of the metrics")
    )]
    pub(super) fn new(layer: &str) -> Self {
        Self {
            counts: Counts::new(),
            #[cfg(feature = "metrics")]
            counters: Outcome::ALL.map(|outcome| Counter::new(layer, outcome)),
        }
    }

    pub(super) fn stats(&self) -> RateLimitLayerStats {
        self.counts.sum()
    }

    pub(super) fn record(&self, decision: Decision<'_>) {
        self.counts.add(decision.outcome, decision.forfeited);
        #[cfg(feature = "metrics")]
        self.counters[decision.outcome as usize].0.increment(1);
        #[cfg(feature = "tracing")]
        if let Some(reason) = decision.reason {
            event(decision, reason);
        }
    }
}

/// At level DEBUG, since an attack refuses many.
#[cfg(feature = "tracing")]
fn event(decision: Decision<'_>, reason: Reason) {
    let Decision {
        outcome,
        limit,
        cost,
        ..
    } = decision;
    let outcome = outcome.name();
    match reason {
        Reason::Limited(denied) => {
            tracing::debug!(limiter = limit, outcome, cost, %denied, "rate limited");
        }
        Reason::NoKey => {
            tracing::debug!(
                limiter = limit,
                outcome,
                "a request without a key to limit it by"
            );
        }
    }
}

#[cfg(feature = "metrics")]
struct Counter(metrics::Counter);

#[cfg(feature = "metrics")]
impl Counter {
    fn new(layer: &str, outcome: Outcome) -> Self {
        Self(metrics::counter!(
            "rate_limiter.requests",
            "limiter" => alloc::string::String::from(layer),
            "outcome" => outcome.name(),
        ))
    }
}

#[cfg(feature = "metrics")]
impl core::fmt::Debug for Counter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Counter")
    }
}
