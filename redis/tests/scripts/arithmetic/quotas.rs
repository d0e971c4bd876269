//! Random quotas.

use core::time::Duration;

use proptest::prelude::*;
use tidegate::Quota;

use crate::scaled_quota::ScaledQuota;

pub(crate) const YEAR_US: u64 = 31_557_600_000_000;

/// Quotas that the in-process bucket holds without rounding.
pub(crate) fn exact_quotas() -> impl Strategy<Value = Quota> {
    let known = prop_oneof![
        Just(Quota::per_second(3)),
        Just(Quota::per_second(7)),
        Just(Quota::per_second(100_001)),
        Just(Quota::per_second(600_000_000)),
        Just(Quota::per_second(1_000_000_000_000)),
        Just(Quota::per_minute(100).burst(20)),
        Just(Quota::new(1, Duration::from_secs(45 * 86_400)).unwrap()),
        Just(Quota::per_day(1).burst(300)),
    ];
    let rate = prop_oneof![1_u64..20, 1_u64..=1 << 17];
    let period = prop_oneof![
        1_u64..1_000,
        1_u64..10_000_000_000,
        1_u64..100_000_000_000_000
    ];
    let capacity = prop_oneof![1_u64..10, 1_u64..100_000];
    let random = (rate, period, capacity).prop_filter_map(
        "a quota that is exact on both sides",
        |(rate, period, capacity)| {
            // An upper limit of the grains: the quota in lowest terms has at most as many.
            let grains = u128::from(capacity) * u128::from(period);
            supported(rate, period, capacity).filter(|_| grains <= 1 << 60)
        },
    );
    prop_oneof![1 => known, 2 => random]
}

/// Quotas that the scripts support.
pub(crate) fn all_quotas() -> impl Strategy<Value = Quota> {
    let rate = prop_oneof![1_u64..20, 1_u64..2_000_000, 1_u64..=1 << 50];
    let period = prop_oneof![
        1_u64..1_000_000,
        1_u64..100_000_000_000_000,
        1_u64..=u64::MAX
    ];
    let capacity = prop_oneof![1_u64..10, 1_u64..1_000_000, 1_u64..=1 << 60];
    let random = (rate, period, capacity).prop_filter_map(
        "a quota that the scripts support",
        |(rate, period, capacity)| supported(rate, period, capacity),
    );
    // Tokens of whole microseconds, and buckets that are full again soon.
    let whole = (1_u64..2_000, 1_u64..8).prop_map(|(us, capacity)| {
        let quota = Quota::new(1, Duration::from_micros(us)).unwrap();
        quota.burst(capacity)
    });
    prop_oneof![
        2 => whole,
        1 => Just(Quota::per_second(1_000_001)),
        1 => Just(Quota::new(1, Duration::from_micros(50 * YEAR_US)).unwrap()),
        1 => exact_quotas(),
        3 => random,
    ]
}

fn supported(rate: u64, period_ns: u64, capacity: u64) -> Option<Quota> {
    let quota = Quota::new(rate, Duration::from_nanos(period_ns)).ok()?;
    let quota = quota.try_burst(capacity).ok()?;
    ScaledQuota::new(quota).is_ok().then_some(quota)
}
