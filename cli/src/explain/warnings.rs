//! Warns about quotas that often do not do what their author expects.

use tidegate::Quota;

use super::exactness::Exactness;
use crate::picture::numbers::{grouped, span};

/// Returns the warnings that apply to a quota.
pub(super) fn warnings(quota: Quota) -> Vec<String> {
    let mut warnings = Vec::new();
    let (rate, burst) = (quota.rate(), quota.capacity());
    let period = quota.period().as_secs_f64();
    let refill = quota.refill_time().as_secs_f64();
    if burst == 1 {
        warnings.push(
            "A burst of 1 refuses the second of two simultaneous requests. So clients that send \
             requests in parallel, such as browsers, are refused although they keep to the rate. \
             Choose a burst of at least the requests that a client sends at once."
                .to_owned(),
        );
    }
    if burst >= rate && period >= 3_600.0 && rate > 1 {
        warnings.push(format!(
            "All {} requests of the burst may come in one instant, and {} within one period. If \
             that is too many at once, choose a smaller burst or add a limit with a shorter \
             period.",
            grouped(burst),
            grouped(burst.saturating_add(rate))
        ));
    }
    if burst > 1 && refill < 1e-3 {
        warnings.push(format!(
            "The bucket is full after {}. A client that wakes up every millisecond loses the \
             tokens that flow in after that. A larger burst keeps them.",
            span(refill)
        ));
    }
    if refill > 86_400.0 && burst > rate {
        warnings.push(format!(
            "A used-up burst is available again only after {}, which is longer than the period.",
            span(refill)
        ));
    }
    let exactness = Exactness::new(quota);
    let interval = exactness.emission_interval;
    if interval.divisor > 1 {
        let fraction = match (exactness.rounds_each_interval, exactness.exact) {
            (true, _) => "With a burst of 1 the fraction is lost at each token",
            (false, true) => "The bucket counts fractions of nanoseconds",
            (false, false) => "The bucket counts fractions of nanoseconds as finely as it can",
        };
        warnings.push(format!(
            "The spacing of {}/{} ns is not a whole number. {fraction}. A client that rounds the \
             spacing down is too early. The wait in a refusal is rounded up, which is \
             sufficient.",
            grouped(interval.nanos),
            grouped(interval.divisor)
        ));
    }
    warnings
}
