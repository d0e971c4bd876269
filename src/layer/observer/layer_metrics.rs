//! The metrics of a layer.
//!
//! Handles are looked up once, because a look-up takes longer than a decision: those of requests
//! that pass at the first of them, and that of a refusal when a limit first refuses for its reason.
//! By then the program has installed its recorder.

use alloc::string::ToString;
use core::time::Duration;
use std::sync::OnceLock;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::counted_wait::CountedWait;
use super::refusal_counters::RefusalCounters;
use super::refusal_reason::RefusalReason;
use crate::layer::layer_stats::RequestOutcome;

pub(crate) struct LayerMetrics {
    passed: OnceLock<Passed>,
    refused: RefusalCounters,
    waits: OnceLock<Waits>,
}

/// Count the requests that no limit refused.
struct Passed {
    allowed: Counter,
    exempt: Counter,
}

struct Waits {
    /// Records how many seconds requests waited.
    durations: Histogram,
    /// How many wait now.
    waiting: Gauge,
}

impl LayerMetrics {
    pub(crate) const fn new() -> Self {
        Self {
            passed: OnceLock::new(),
            refused: RefusalCounters::new(),
            waits: OnceLock::new(),
        }
    }

    /// Counts a request that no limit refused.
    pub(crate) fn add_passed(&self, layer: &str, is_exempt: bool) {
        let passed = self.passed.get_or_init(|| {
            // Prometheus wants the same labels on all series of a metric, so they are empty here.
            let counter = |outcome| requests(layer, outcome, "", "");
            Passed {
                allowed: counter(RequestOutcome::Allowed),
                exempt: counter(RequestOutcome::Exempt),
            }
        });
        let counter = if is_exempt {
            &passed.exempt
        } else {
            &passed.allowed
        };
        counter.increment(1);
    }

    /// Counts a request that `limit` refused.
    pub(crate) fn add_refused(
        &self,
        layer: &str,
        outcome: RequestOutcome,
        limit: &str,
        reason: RefusalReason,
    ) {
        let register = || requests(layer, outcome, limit, reason.name());
        let counter = self.refused.find(outcome, reason, limit, register);
        counter.increment(1);
    }

    pub(crate) fn record_wait(&self, layer: &str, waited: Duration) {
        self.waits(layer).durations.record(waited.as_secs_f64());
    }

    pub(crate) fn count_wait(&self, layer: &str) -> CountedWait {
        CountedWait::new(self.waits(layer).waiting.clone())
    }

    /// Both at once, so that the gauge of a layer shows 0 before a request waits.
    fn waits(&self, layer: &str) -> &Waits {
        self.waits.get_or_init(|| Waits {
            durations: histogram!("rate_limiter.wait.duration", "limiter" => layer.to_string()),
            waiting: gauge!("rate_limiter.waiting", "limiter" => layer.to_string()),
        })
    }
}

fn requests(layer: &str, outcome: RequestOutcome, limit: &str, reason: &'static str) -> Counter {
    counter!(
        "rate_limiter.requests",
        "limiter" => layer.to_string(),
        "outcome" => outcome.name(),
        "limit" => limit.to_string(),
        "reason" => reason,
    )
}
