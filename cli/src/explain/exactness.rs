//! How the crate rounds a rate: see [`tidegate::TokenBucket`].

use serde::Serialize;
use tidegate::Quota;

use crate::replay::emission_interval::EmissionInterval;

/// The largest divisor of an emission interval whose rate is exact.
const MAX_EXACT_DIVISOR: u64 = 1 << 17;
/// The largest capacity of an exact rate, in units: a token is `nanos` units.
const MAX_EXACT_CAPACITY: u128 = 1 << 60;
/// Rounding is coarser if the bucket takes longer than nine years to fill.
const NINE_YEARS: f64 = 9.0 * 31_557_600.0;

/// How a rate is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Exactness {
    /// Whether the rate is not rounded at all.
    pub exact: bool,
    /// How many nanoseconds a token is late at most, on a clock of whole nanoseconds. It is never
    /// early.
    pub max_late_ns: u64,
    /// Whether each emission interval is rounded up to a whole nanosecond, so that delays add up.
    /// The reason is that a bucket with a burst of 1 is full after every wait, and then restarts at
    /// the time of the clock.
    pub rounds_each_interval: bool,
    /// The exact emission interval.
    pub emission_interval: EmissionInterval,
}

impl Exactness {
    /// The rounding of a quota.
    pub fn new(quota: Quota) -> Self {
        let emission_interval = EmissionInterval::new(quota);
        let EmissionInterval { nanos, divisor } = emission_interval;
        let capacity = u128::from(quota.capacity()) * u128::from(nanos);
        let exact = divisor <= MAX_EXACT_DIVISOR && capacity <= MAX_EXACT_CAPACITY;
        let is_long = quota.refill_time().as_secs_f64() > NINE_YEARS;
        Self {
            exact,
            max_late_ns: match (exact, is_long) {
                (true, _) => 0,
                (false, false) => 2,
                (false, true) => 170,
            },
            rounds_each_interval: quota.capacity() == 1 && divisor > 1,
            emission_interval,
        }
    }
}
