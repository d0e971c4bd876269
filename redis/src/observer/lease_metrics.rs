//! The metrics of a lease: tokens granted, returned and expired, and those held now.

use core::fmt;
use std::sync::OnceLock;

use metrics::{Counter, Gauge, counter, gauge};

use crate::stats::TokenFlow;

/// Handles are looked up once, as those of limiters are.
#[derive(Default)]
pub(super) struct LeaseMetrics {
    flows: [OnceLock<Counter>; 3],
    held: OnceLock<Gauge>,
}

impl LeaseMetrics {
    pub(super) fn record(&self, limiter: &str, flow: TokenFlow, tokens: u64) {
        let (place, flow) = match flow {
            TokenFlow::Granted => (0, "granted"),
            TokenFlow::Returned => (1, "returned"),
            TokenFlow::Expired => (2, "expired"),
        };
        let counter = self.flows[place].get_or_init(|| {
            counter!(
                "rate_limiter.shared.lease.tokens",
                "limiter" => limiter.to_owned(),
                "flow" => flow,
            )
        });
        counter.increment(tokens);
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
    pub(super) fn record_held(&self, limiter: &str, tokens: u64) {
        let held = self.held.get_or_init(
            || gauge!("rate_limiter.shared.lease.held", "limiter" => limiter.to_owned()),
        );
        held.set(tokens as f64);
    }
}

/// Omits the handles, which have nothing to show.
impl fmt::Debug for LeaseMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseMetrics").finish_non_exhaustive()
    }
}
