//! The properties of a quota.

use std::mem::size_of;

use serde::Serialize;
use tidegate::{Quota, SlidingWindow, TokenBucket};

use super::exactness::Exactness;
use super::warnings::warnings;

/// Common intervals and their lengths in seconds.
pub(super) const INTERVALS: [(&str, u64); 4] = [
    ("second", 1),
    ("minute", 60),
    ("hour", 3_600),
    ("day", 86_400),
];

/// The properties of a quota. Serialized, they are the output of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The quota in its shortest form.
    pub quota: String,
    /// Requests per period.
    pub rate: u64,
    /// The period in seconds.
    pub period: f64,
    /// Requests at once after a pause.
    pub burst: u64,
    /// Seconds between requests once the burst is used up.
    pub spacing: f64,
    /// Seconds from an empty bucket to a full one.
    pub refill_time: f64,
    /// The rate per second, minute, hour and day.
    pub rates: [f64; 4],
    /// The most requests admitted in any second, minute, hour and day, both ends included.
    pub max_admitted: [u64; 4],
    /// The most requests that three kinds of limiters admit in any period of the quota.
    pub max_per_period: LimiterComparison,
    /// How the crate rounds the rate.
    pub exactness: Exactness,
    /// The memory of limiters.
    pub memory: MemoryUse,
    /// Frequent mistakes that apply to the quota.
    pub warnings: Vec<String>,
}

/// The most requests that three kinds of limiters admit in any period of the quota.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LimiterComparison {
    /// A bucket: the burst, and the refill of a period.
    pub bucket: u64,
    /// A fixed window: its limit before an edge, and again after it.
    pub fixed_window: u64,
    /// A sliding window: its limit.
    pub sliding_window: u64,
}

/// The memory of limiters in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MemoryUse {
    /// One bucket: the size of its type.
    pub bucket: usize,
    /// One sliding window without its slots: the size of its type.
    pub window: usize,
    /// One slot of a window. A window has at least 64 slots.
    pub slot: usize,
    /// One key of a `FixedKeyed`, as measured on 2026-11-24.
    pub fixed_key: usize,
    /// One key of a `Keyed` with addresses as keys: the least and the most measured on 2026-11-24.
    pub key: [usize; 2],
}

/// The most requests that a bucket admits in any interval of `nanos`, both ends included: its
/// burst, and the refill of the interval. At most `u64::MAX`.
pub fn max_admitted(quota: Quota, nanos: u64) -> u64 {
    // The product of two 64-bit numbers does not overflow.
    let refill = u128::from(quota.rate()) * u128::from(nanos) / quota.period().as_nanos().max(1);
    u64::try_from(u128::from(quota.capacity()) + refill).unwrap_or(u64::MAX)
}

/// Returns the properties of a quota.
#[expect(
    clippy::cast_precision_loss,
    reason = "rates are only printed; whole numbers are computed exactly"
)]
pub fn explain(quota: Quota) -> Explanation {
    let period = quota.period().as_secs_f64();
    let rate = quota.rate() as f64;
    let second = 1_000_000_000_u64;
    Explanation {
        quota: quota.to_string(),
        rate: quota.rate(),
        period,
        burst: quota.capacity(),
        spacing: period / rate,
        refill_time: quota.refill_time().as_secs_f64(),
        rates: INTERVALS.map(|(_, seconds)| rate * (seconds as f64) / period),
        max_admitted: INTERVALS.map(|(_, seconds)| max_admitted(quota, seconds * second)),
        max_per_period: LimiterComparison {
            bucket: quota.capacity().saturating_add(quota.rate()),
            fixed_window: quota.rate().saturating_mul(2),
            sliding_window: quota.rate(),
        },
        exactness: Exactness::new(quota),
        memory: MemoryUse {
            bucket: size_of::<TokenBucket>(),
            window: size_of::<SlidingWindow>(),
            slot: 16,
            fixed_key: 32,
            key: [33, 53],
        },
        warnings: warnings(quota),
    }
}
