//! The metrics of a store: failures, and whether its servers answer.

use core::fmt;
use std::sync::OnceLock;

use metrics::{Counter, Gauge, counter, gauge};

/// Handles are looked up once, as those of limiters are.
#[derive(Default)]
pub(super) struct StoreMetrics {
    failures: [OnceLock<Counter>; 3],
    outages: OnceLock<Outages>,
}

struct Outages {
    counter: Counter,
    /// How many breakers are open now.
    open: Gauge,
}

impl StoreMetrics {
    pub(super) fn record_failure(&self, store: &str, is_timeout: bool) {
        if is_timeout {
            self.count_failure(store, 0, "timeout");
        } else {
            self.count_failure(store, 1, "error");
        }
    }

    pub(super) fn record_released(&self, store: &str) {
        self.count_failure(store, 2, "released");
    }

    fn count_failure(&self, store: &str, place: usize, kind: &'static str) {
        let counter = self.failures[place].get_or_init(|| {
            counter!(
                "rate_limiter.shared.failures",
                "store" => store.to_owned(),
                "kind" => kind,
            )
        });
        counter.increment(1);
    }

    pub(super) fn record_opened(&self, store: &str) {
        let outages = self.outages(store);
        outages.counter.increment(1);
        outages.open.increment(1.0);
    }

    pub(super) fn record_closed(&self, store: &str) {
        self.outages(store).open.decrement(1.0);
    }

    fn outages(&self, store: &str) -> &Outages {
        self.outages.get_or_init(|| Outages {
            counter: counter!("rate_limiter.shared.outages", "store" => store.to_owned()),
            open: gauge!("rate_limiter.shared.open", "store" => store.to_owned()),
        })
    }
}

/// Omits the handles, which have nothing to show.
impl fmt::Debug for StoreMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreMetrics").finish_non_exhaustive()
    }
}
