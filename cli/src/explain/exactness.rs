//! How the crate rounds a rate: see `TokenBucket`.

use serde::Serialize;
use tidegate::Quota;

/// Up to so many tokens in the shortest whole number of nanoseconds, nothing is rounded..
const EXACT_TOKENS: u64 = 1 << 17;
/// ..if the capacity is at most this in parts of a nanosecond, as many as those tokens.
const EXACT_LEVEL: u128 = 1 << 60;
/// Of refill: with more, what is rounded is later.
const NINE_YEARS: f64 = 9.0 * 31_557_600.0;

/// How a rate is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Exactness {
    /// Whether nothing is rounded at all.
    pub exact: bool,
    /// By how many nanoseconds a token may be late, on a clock of whole nanoseconds. It is never early.
    pub late_at_most_ns: u64,
    /// Whether the bucket is full after every wait and starts anew at what the clock says, so that each spacing is rounded up to a
    /// nanosecond, and that adds up.
    pub starts_anew: bool,
    /// A token lasts so many nanoseconds..
    pub nanos: u64,
    /// ..divided by this, in lowest terms.
    pub divided_by: u64,
}

impl Exactness {
    /// Of this quota.
    pub fn of(quota: Quota) -> Self {
        let period = u64::try_from(quota.period().as_nanos()).unwrap_or(u64::MAX);
        let divisor = gcd(quota.rate(), period).max(1);
        let (nanos, divided_by) = (period / divisor, quota.rate() / divisor);
        let level = u128::from(quota.capacity()) * u128::from(nanos);
        let exact = divided_by <= EXACT_TOKENS && level <= EXACT_LEVEL;
        let long = quota.refill_time().as_secs_f64() > NINE_YEARS;
        let late_at_most_ns = match (exact, long) {
            (true, _) => 0,
            (false, false) => 2,
            (false, true) => 170,
        };
        Self {
            exact,
            late_at_most_ns,
            starts_anew: quota.capacity() == 1 && divided_by > 1,
            nanos,
            divided_by,
        }
    }
}

const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
