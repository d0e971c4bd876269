//! What is often not meant so.

use tidegate::Quota;

use super::exactness::Exactness;
use crate::picture::numbers::{grouped, span};

/// Of this quota.
pub(super) fn of(quota: Quota) -> Vec<String> {
    let mut warnings = Vec::new();
    let (rate, burst) = (quota.rate(), quota.capacity());
    let period = quota.period().as_secs_f64();
    let full = quota.refill_time().as_secs_f64();
    if burst == 1 {
        warnings.push(
            "A burst of 1 refuses the second of two requests that come together: clients that ask in parallel, such as browsers, are \
             refused although they keep to the rate. A burst of what one of them asks for at once avoids that."
                .to_owned(),
        );
    }
    if burst >= rate && period >= 3_600.0 && rate > 1 {
        warnings.push(format!(
            "All {} of a period may come in one instant, and {} within one period. If that is too much at once, take a smaller burst, or \
             a second limit for a shorter time.",
            grouped(burst),
            grouped(burst.saturating_add(rate))
        ));
    }
    if burst > 1 && full < 1e-3 {
        warnings.push(format!(
            "The bucket is full after {}. Clients that wake up every millisecond cannot use what flows in meanwhile; a larger burst keeps \
             it for them.",
            span(full)
        ));
    }
    if full > 86_400.0 && burst > rate {
        warnings.push(format!(
            "A burst that was used up is whole again only after {}: longer than the period, for which the rate is meant.",
            span(full)
        ));
    }
    let Exactness {
        nanos,
        divided_by,
        exact,
        starts_anew,
        ..
    } = Exactness::of(quota);
    if divided_by > 1 {
        let kept = match (starts_anew, exact) {
            (true, _) => "With a burst of 1 the fraction is lost each time",
            (false, true) => "The bucket counts the fractions",
            (false, false) => "The bucket counts fractions as finely as it can",
        };
        warnings.push(format!(
            "The spacing is no whole number of nanoseconds, but {}/{}. {kept}; clients that wait a spacing rounded down are too early. The \
             wait that a refusal tells is rounded up, and enough.",
            grouped(nanos),
            grouped(divided_by)
        ));
    }
    warnings
}
