//! Compares `explain` with the real limiter under the heaviest load.

use std::time::Duration;

use proptest::prelude::*;
use tidegate::{ManualClock, Quota, Timestamp, TokenBucket};
use tidegate_cli::explain::{Exactness, explain, max_admitted, text};

use crate::without_regression_files;

/// The tokens that a full bucket gives in `[start, start + nanos]` to a caller that takes all
/// available tokens before the bucket is full again.
fn taken(quota: Quota, start: u64, nanos: u64) -> u64 {
    let bucket = TokenBucket::with_clock(quota, ManualClock::new());
    let half = u64::try_from(quota.refill_time().as_nanos() / 2).unwrap_or(u64::MAX);
    let (mut taken, mut now) = (0, start);
    loop {
        taken += bucket.try_acquire_up_to_at(u64::MAX, Timestamp::from_nanos(now));
        if now == start + nanos {
            return taken;
        }
        // The next token may take longer than half of the burst.
        let next = wait(&bucket, now);
        now = now.saturating_add(half.max(1).max(next)).min(start + nanos);
    }
}

/// The nanoseconds until the next token.
fn wait(bucket: &TokenBucket<ManualClock>, now: u64) -> u64 {
    let wait = bucket.wait_time_at(1, Timestamp::from_nanos(now));
    u64::try_from(wait.unwrap_or(Duration::ZERO).as_nanos()).unwrap_or(u64::MAX)
}

fn quotas() -> impl Strategy<Value = Quota> {
    let period = prop_oneof![
        Just(1_000_000_000_u64),
        Just(60_000_000_000),
        Just(3_600_000_000_000),
        1_u64..100_000_000_000
    ];
    let rate = prop_oneof![1_u64..50, 1_u64..1_000_000];
    (rate, period, 1_u64..5_000).prop_filter_map("a quota", |(rate, period, burst)| {
        let quota = Quota::new(rate, Duration::from_nanos(period)).ok()?;
        quota.try_burst(burst).ok()
    })
}

proptest! {
    // `PROPTEST_CASES` sets the number of cases.
    #![proptest_config(without_regression_files())]

    /// The bound is reached, not only kept. A rounded rate may be one token behind at the very end.
    #[test]
    fn maximum_is_reached(quota in quotas(), periods in 0.0..40.0_f64, start in 0..1_u64 << 50) {
        let nanos = u64::try_from(quota.period().mul_f64(periods).as_nanos()).unwrap_or(0);
        let max = max_admitted(quota, nanos);
        prop_assume!(max / quota.capacity().div_ceil(2) < 100_000);
        let taken = taken(quota, start, nanos);
        let exactness = Exactness::new(quota);
        let interval = exactness.emission_interval;
        if exactness.rounds_each_interval {
            let spacing = interval.nanos.div_ceil(interval.divisor) + exactness.max_late_ns;
            prop_assert!(taken <= max && taken > nanos / spacing, "{} of {}", taken, max);
        } else if exactness.exact {
            prop_assert_eq!(taken, max);
        } else {
            prop_assert!(taken <= max && taken + 1 >= max, "{} of {}", taken, max);
        }
    }

    /// After the burst, token k comes after k intervals, and at most as late as `explain` says.
    #[test]
    fn tokens_are_on_time(quota in quotas(), start in 0..1_u64 << 50) {
        let exactness = Exactness::new(quota);
        let interval = exactness.emission_interval;
        let bucket = TokenBucket::with_clock(quota, ManualClock::new());
        prop_assert!(bucket.try_acquire_at(quota.capacity(), Timestamp::from_nanos(start)).is_ok());
        let mut now = start;
        for k in 1..200_u128 {
            now += wait(&bucket, now);
            prop_assert!(bucket.try_acquire_at(1, Timestamp::from_nanos(now)).is_ok());
            let exact = (k * u128::from(interval.nanos)).div_ceil(u128::from(interval.divisor));
            let late = u128::from(now - start).checked_sub(exact);
            let max = u128::from(exactness.max_late_ns);
            // If each interval is rounded, the delays add up.
            let max = if exactness.rounds_each_interval { k * (max + 1) } else { max };
            prop_assert!(late.is_some_and(|late| late <= max), "{k}: {late:?}");
        }
    }

    #[test]
    fn numbers_are_consistent(quota in quotas(), width in 0..200_usize) {
        let explained = explain(quota);
        prop_assert!(explained.max_admitted.is_sorted());
        prop_assert!(explained.max_admitted[0] >= explained.burst);
        let period = u64::try_from(quota.period().as_nanos()).unwrap_or(0);
        prop_assert_eq!(explained.max_per_period.bucket, max_admitted(quota, period));
        prop_assert!((explained.rates[3] / explained.rates[2] - 24.0).abs() < 1e-6);
        let text = text(&explained, width);
        prop_assert!(text.contains(&explained.quota));
        prop_assert!(!text.contains("NaN") && !text.contains("inf"));
    }
}

#[test]
fn example_of_the_readme() {
    let quota: Quota = "100/min burst 20".parse().unwrap();
    let explained = explain(quota);
    let seconds = [1, 60, 3_600, 86_400];
    let taken = seconds.map(|seconds| taken(quota, 7, seconds * 1_000_000_000));
    assert_eq!(taken, [21, 120, 6_020, 144_020]);
    assert_eq!(explained.max_admitted, taken);
    assert!((explained.spacing - 0.6).abs() < 1e-12);
    assert!((explained.refill_time - 12.0).abs() < 1e-12);
    assert_eq!(explained.max_per_period.fixed_window, 200);
    assert_eq!(explained.max_per_period.sliding_window, 100);
    assert!(explained.exactness.exact && explained.warnings.is_empty());
    // The size in the docs of the type, with padding.
    assert_eq!(explained.memory.bucket, 128);
}

#[test]
fn each_warning_has_a_quota() {
    for (quota, warning) in [
        ("10/s burst 1", "parallel"),
        ("5000/day", "one instant"),
        ("3/s", "1,000,000,000/3"),
        ("1M/s burst 2", "2 us"),
        ("1/h burst 100", "4 d 4 h"),
    ] {
        let warnings = explain(quota.parse().unwrap()).warnings.join("\n");
        assert!(warnings.contains(warning), "{quota}: {warnings}");
    }
}

#[test]
fn extreme_quotas_do_not_overflow() {
    for quota in [
        "1000/ns",
        "1/213503d",
        "1/s burst 31557600000",
        "86400000000000000/d",
    ] {
        let text = text(&explain(quota.parse().unwrap()), 80);
        assert!(!text.contains("NaN"), "{text}");
    }
    let quota = "1000/ns".parse().unwrap();
    assert_eq!(max_admitted(quota, u64::MAX), u64::MAX);
}
