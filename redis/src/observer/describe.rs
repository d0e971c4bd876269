//! Units and help texts of all metrics of the crate.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Describes all metrics of this crate to the program's recorder, with units and help texts. Call
/// it once, after the recorder is installed.
///
/// The [crate's page](crate#metrics-and-events) lists the metrics and their labels. The layers of
/// `tidegate` have others, and a function of their own.
///
/// ```
/// // After the recorder of the program, such as that of `metrics-exporter-prometheus`.
/// tidegate_redis::describe_metrics();
/// ```
pub fn describe_metrics() {
    describe_counter!(
        "rate_limiter.shared.calls",
        Unit::Count,
        "Calls of shared limits by outcome."
    );
    describe_histogram!(
        "rate_limiter.shared.duration",
        Unit::Seconds,
        "How long the limit server took to answer."
    );
    describe_counter!(
        "rate_limiter.shared.failures",
        Unit::Count,
        "Calls to the limit server that failed."
    );
    describe_counter!(
        "rate_limiter.shared.outages",
        Unit::Count,
        "How often the limit server was found to be down."
    );
    describe_gauge!(
        "rate_limiter.shared.open",
        Unit::Count,
        "Breakers that are open now: parts of the limit servers that are down."
    );
    describe_counter!(
        "rate_limiter.shared.lease.tokens",
        Unit::Count,
        "Tokens of leases that were granted, returned unused, or not used in time."
    );
    describe_gauge!(
        "rate_limiter.shared.lease.held",
        Unit::Count,
        "Tokens that this node held after its last refill."
    );
}
