//! The metrics of a layer. Handles are found once: to look one up takes longer than to decide.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

use super::Outcome;

/// What became of requests.
pub(crate) struct Requests {
    /// In the order of [`Outcome::ALL`].
    counters: [Counter; Outcome::ALL.len()],
}

impl Requests {
    pub(crate) fn new(layer: &str) -> Self {
        let counter = |outcome: Outcome| {
            counter!(
                "rate_limiter.requests",
                "limiter" => String::from(layer),
                "outcome" => outcome.name(),
            )
        };
        Self {
            counters: Outcome::ALL.map(counter),
        }
    }

    pub(crate) fn add(&self, outcome: Outcome) {
        self.counters[outcome as usize].increment(1);
    }
}

/// How long requests have waited, in seconds.
pub(crate) struct Waits {
    durations: Histogram,
}

impl Waits {
    /// Whether anybody wants to know, or the clock need not be read.
    pub(crate) const ARE_RECORDED: bool = true;

    pub(crate) fn new(layer: &str) -> Self {
        Self {
            durations: histogram!("rate_limiter.wait.duration", "limiter" => String::from(layer)),
        }
    }

    pub(crate) fn record(&self, waited: Duration) {
        self.durations.record(waited.as_secs_f64());
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}
