//! The metrics of a layer. Handles are found once, at the first request, by when the recorder is there: to look one up takes longer
//! than to decide.

use alloc::string::String;
use core::fmt;
use core::time::Duration;
use std::sync::OnceLock;

use metrics::{Counter, Histogram, counter, histogram};

use super::Outcome;

/// What became of requests.
pub(crate) struct Requests {
    layer: String,
    /// In the order of [`Outcome::ALL`].
    counters: OnceLock<[Counter; Outcome::ALL.len()]>,
}

impl Requests {
    pub(crate) fn new(layer: &str) -> Self {
        Self {
            layer: String::from(layer),
            counters: OnceLock::new(),
        }
    }

    pub(crate) fn add(&self, outcome: Outcome) {
        let counters = self.counters.get_or_init(|| {
            Outcome::ALL.map(|outcome| {
                counter!(
                    "rate_limiter.requests",
                    "limiter" => self.layer.clone(),
                    "outcome" => outcome.name(),
                )
            })
        });
        counters[outcome as usize].increment(1);
    }
}

/// How long requests have waited, in seconds.
pub(crate) struct Waits {
    layer: String,
    durations: OnceLock<Histogram>,
}

impl Waits {
    /// Whether anybody wants to know, or the clock need not be read.
    pub(crate) const ARE_RECORDED: bool = true;

    pub(crate) fn new(layer: &str) -> Self {
        Self {
            layer: String::from(layer),
            durations: OnceLock::new(),
        }
    }

    pub(crate) fn record(&self, waited: Duration) {
        let durations = self.durations.get_or_init(
            || histogram!("rate_limiter.wait.duration", "limiter" => self.layer.clone()),
        );
        durations.record(waited.as_secs_f64());
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}
