//! The time between two tokens, exactly.

use serde::Serialize;
use tidegate::Quota;

/// The time between two tokens in nanoseconds, as a fraction in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EmissionInterval {
    /// The numerator.
    pub nanos: u64,
    /// The denominator.
    pub divisor: u64,
}

impl EmissionInterval {
    /// The emission interval of a quota.
    pub fn new(quota: Quota) -> Self {
        let period = u64::try_from(quota.period().as_nanos()).unwrap_or(u64::MAX);
        let (mut a, mut b) = (quota.rate(), period);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Self {
            nanos: period / a.max(1),
            divisor: quota.rate() / a.max(1),
        }
    }
}
