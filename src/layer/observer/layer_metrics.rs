//! The metrics of a layer.
//!
//! Handles are looked up once, at the first request, because a look-up takes longer than a
//! decision. By then the program has installed its recorder.

use alloc::string::ToString;
use core::time::Duration;
use std::sync::OnceLock;

use metrics::{Counter, Histogram, counter, histogram};

use crate::layer::layer_stats::RequestOutcome;

pub(crate) struct LayerMetrics {
    /// Count requests, in the order of [`RequestOutcome::ALL`].
    counters: OnceLock<[Counter; RequestOutcome::ALL.len()]>,
    /// Records how many seconds requests waited.
    waits: OnceLock<Histogram>,
}

impl LayerMetrics {
    pub(crate) const fn new() -> Self {
        Self {
            counters: OnceLock::new(),
            waits: OnceLock::new(),
        }
    }

    pub(crate) fn add(&self, layer: &str, outcome: RequestOutcome) {
        let counters = self.counters.get_or_init(|| {
            RequestOutcome::ALL.map(|outcome| {
                counter!(
                    "rate_limiter.requests",
                    "limiter" => layer.to_string(),
                    "outcome" => outcome.name(),
                )
            })
        });
        counters[outcome as usize].increment(1);
    }

    pub(crate) fn record_wait(&self, layer: &str, waited: Duration) {
        let waits = self.waits.get_or_init(
            || histogram!("rate_limiter.wait.duration", "limiter" => layer.to_string()),
        );
        waits.record(waited.as_secs_f64());
    }
}
