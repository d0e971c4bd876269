//! The metrics of a layer.
//!
//! Handles are looked up once, at the first request. By then the program has installed its
//! recorder. A look-up takes longer than a decision.

use alloc::string::ToString;
use core::fmt;
use core::time::Duration;
use std::sync::OnceLock;

use metrics::{Counter, Histogram, counter, histogram};

use crate::tower::layer_stats::RequestOutcome;

/// Counts requests by outcome.
pub(crate) struct RequestMetrics {
    /// In the order of [`RequestOutcome::ALL`].
    counters: OnceLock<[Counter; RequestOutcome::ALL.len()]>,
}

impl RequestMetrics {
    pub(crate) const fn new() -> Self {
        Self {
            counters: OnceLock::new(),
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
}

/// Records how many seconds requests waited.
pub(crate) struct WaitHistogram {
    seconds: OnceLock<Histogram>,
}

impl WaitHistogram {
    /// Without this feature, the clock need not be read.
    pub(crate) const IS_RECORDED: bool = true;

    pub(crate) const fn new() -> Self {
        Self {
            seconds: OnceLock::new(),
        }
    }

    pub(crate) fn record(&self, layer: &str, waited: Duration) {
        let seconds = self.seconds.get_or_init(
            || histogram!("rate_limiter.wait.duration", "limiter" => layer.to_string()),
        );
        seconds.record(waited.as_secs_f64());
    }
}

impl fmt::Debug for RequestMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestMetrics").finish_non_exhaustive()
    }
}
