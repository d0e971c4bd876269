//! The most that a bucket can admit.

use tidegate::Quota;

/// Intervals in usual units, in seconds.
pub const INTERVALS: [(&str, u64); 4] = [
    ("second", 1),
    ("minute", 60),
    ("hour", 3_600),
    ("day", 86_400),
];

/// The most that is admitted in any interval of so many nanoseconds, both ends included: what a full bucket holds, and what flows in.
/// `u64::MAX` if it is more.
pub fn most_in(quota: Quota, nanos: u64) -> u64 {
    // At most 2^128: both are 64 bits.
    let inflow = u128::from(quota.rate()) * u128::from(nanos) / quota.period().as_nanos().max(1);
    u64::try_from(u128::from(quota.capacity()) + inflow).unwrap_or(u64::MAX)
}
