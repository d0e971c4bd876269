//! The metrics of one limiter's calls.
//!
//! A handle is looked up when its outcome first happens, because a look-up takes longer than the
//! count. By then the program has installed its recorder.

use core::time::Duration;
use std::sync::OnceLock;

use metrics::{Counter, Histogram, counter, histogram};

use crate::stats::CallOutcome;

#[derive(Default)]
pub(super) struct LimitMetrics {
    calls: [OnceLock<Counter>; 7],
    round_trips: OnceLock<Histogram>,
}

/// Where the counter of an outcome is, and its label.
const fn place(outcome: CallOutcome) -> (usize, &'static str) {
    match outcome {
        CallOutcome::Admitted => (0, "admitted"),
        CallOutcome::Denied => (1, "denied"),
        CallOutcome::DeniedFromCache => (2, "denied_from_cache"),
        CallOutcome::OpenAdmitted => (3, "open_admitted"),
        CallOutcome::LocalAdmitted => (4, "local_admitted"),
        CallOutcome::LocalDenied => (5, "local_denied"),
        CallOutcome::Unavailable => (6, "unavailable"),
    }
}

impl LimitMetrics {
    pub(super) fn record(&self, limiter: &str, outcome: CallOutcome) {
        let (place, outcome) = place(outcome);
        let counter = self.calls[place].get_or_init(|| {
            counter!(
                "rate_limiter.shared.calls",
                "limiter" => limiter.to_owned(),
                "outcome" => outcome,
            )
        });
        counter.increment(1);
    }

    pub(super) fn record_round_trip(&self, limiter: &str, time: Duration) {
        let round_trips = self.round_trips.get_or_init(
            || histogram!("rate_limiter.shared.duration", "limiter" => limiter.to_owned()),
        );
        round_trips.record(time.as_secs_f64());
    }
}

/// Omits the handles, which have nothing to show.
impl core::fmt::Debug for LimitMetrics {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LimitMetrics").finish_non_exhaustive()
    }
}
