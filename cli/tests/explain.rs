//! What `explain` says, against the real limiter, asked as hard as can be.

#![allow(clippy::std_instead_of_core, reason = "a test on an operating system")]

use std::time::Duration;

use proptest::prelude::*;
use tidegate::{ManualClock, Quota, Timestamp, TokenBucket};
use tidegate_cli::explain::{Exactness, explain, most_in, words};

/// What a full bucket gives in `[start, start + nanos]` to somebody who takes whatever there is before it runs full again.
fn taken(quota: Quota, start: u64, nanos: u64) -> u64 {
    let bucket = TokenBucket::with_clock(quota, ManualClock::new());
    let half = u64::try_from(quota.refill_time().as_nanos() / 2)
        .unwrap_or(u64::MAX)
        .max(1);
    let (mut taken, mut now) = (0, start);
    loop {
        taken += bucket.try_acquire_up_to_at(u64::MAX, Timestamp::from_nanos(now));
        if now == start + nanos {
            return taken;
        }
        // The next token, if half of the burst is less than that.
        let next = bucket
            .wait_time_at(1, Timestamp::from_nanos(now))
            .unwrap_or(Duration::ZERO);
        let next = u64::try_from(next.as_nanos()).unwrap_or(u64::MAX);
        now = now.saturating_add(half.max(next)).min(start + nanos);
    }
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
        Quota::new(rate, Duration::from_nanos(period))
            .ok()?
            .try_burst(burst)
            .ok()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The bound is what can be had, not only what cannot be exceeded; a rounded rate may be one behind at the very end.
    #[test]
    fn the_most_is_what_can_be_had(quota in quotas(), periods in 0.0..40.0_f64, start in 0..1_u64 << 50) {
        let nanos = quota.period().mul_f64(periods).as_nanos();
        let nanos = u64::try_from(nanos).unwrap_or(0);
        let steps = most_in(quota, nanos) / quota.capacity().div_ceil(2);
        prop_assume!(steps < 100_000);
        let (most, taken) = (most_in(quota, nanos), taken(quota, start, nanos));
        let exactness = Exactness::of(quota);
        if exactness.starts_anew {
            let spacing = exactness.nanos.div_ceil(exactness.divided_by) + exactness.late_at_most_ns;
            prop_assert!(taken <= most && taken > nanos / spacing, "{} of {}", taken, most);
        } else if exactness.exact {
            prop_assert_eq!(taken, most);
        } else {
            prop_assert!(taken <= most && taken + 1 >= most, "{} of {}", taken, most);
        }
    }

    /// After the burst, token k comes when k times the spacing has passed, and as late as is said at the most.
    #[test]
    fn tokens_come_when_they_should(quota in quotas(), start in 0..1_u64 << 50) {
        let exactness = Exactness::of(quota);
        let bucket = TokenBucket::with_clock(quota, ManualClock::new());
        prop_assert!(bucket.try_acquire_at(quota.capacity(), Timestamp::from_nanos(start)).is_ok());
        let mut now = start;
        for k in 1..200_u128 {
            let wait = bucket.wait_time_at(1, Timestamp::from_nanos(now)).unwrap_or(Duration::ZERO);
            now += u64::try_from(wait.as_nanos()).unwrap_or(0);
            prop_assert!(bucket.try_acquire_at(1, Timestamp::from_nanos(now)).is_ok());
            let exact = (k * u128::from(exactness.nanos)).div_ceil(u128::from(exactness.divided_by));
            let late = u128::from(now - start).checked_sub(exact);
            let each = u128::from(exactness.late_at_most_ns);
            // What is rounded anew each time adds up.
            let most = if exactness.starts_anew { k * (each + 1) } else { each };
            prop_assert!(late.is_some_and(|late| late <= most), "{k}: {late:?}");
        }
    }

    /// Whatever the quota is, there are words, and numbers that hang together.
    #[test]
    fn numbers_hang_together(quota in quotas(), width in 0..200_usize) {
        let explained = explain(quota);
        prop_assert!(explained.most.is_sorted() && explained.most[0] >= explained.burst);
        prop_assert_eq!(explained.in_a_period.bucket, most_in(quota, u64::try_from(quota.period().as_nanos()).unwrap_or(0)));
        prop_assert!((explained.sustained[3] / explained.sustained[2] - 24.0).abs() < 1e-6);
        let text = words(&explained, width);
        prop_assert!(text.contains(&explained.quota) && !text.contains("NaN") && !text.contains("inf"));
    }
}

#[test]
fn the_example() {
    let quota: Quota = "100/min burst 20".parse().unwrap();
    let explained = explain(quota);
    assert_eq!(explained.most, [21, 120, 6_020, 144_020]);
    assert_eq!(
        INTERVAL_CHECKS.map(|seconds| taken(quota, 7, seconds * 1_000_000_000)),
        [21, 120, 6_020, 144_020]
    );
    assert!(
        (explained.spacing - 0.6).abs() < 1e-12 && (explained.time_to_full - 12.0).abs() < 1e-12
    );
    assert_eq!(
        (
            explained.in_a_period.fixed_window,
            explained.in_a_period.sliding_window
        ),
        (200, 100)
    );
    assert!(explained.exactness.exact && explained.warnings.is_empty());
    // As its docs say, with padding.
    assert_eq!(explained.memory.bucket, 128);
}

const INTERVAL_CHECKS: [u64; 4] = [1, 60, 3_600, 86_400];

/// Each is said of those quotas that it is for.
#[test]
fn warnings() {
    let warned = |text: &str| explain(text.parse().unwrap()).warnings.join("\n");
    assert!(warned("10/s burst 1").contains("parallel"));
    assert!(warned("5000/day").contains("one instant"));
    assert!(warned("3/s").contains("1,000,000,000/3"));
    assert!(warned("1M/s burst 2").contains("2 us"));
    assert!(warned("1/h burst 100").contains("4 d 4 h"));
    assert_eq!(warned("100/min burst 20"), "");
}

#[test]
fn extremes_do_not_overflow() {
    for text in [
        "1000/ns",
        "1/213503d",
        "1/s burst 31557600000",
        "86400000000000000/d",
    ] {
        let quota: Quota = text.parse().unwrap();
        let text = words(&explain(quota), 80);
        assert!(!text.contains("NaN"), "{text}");
    }
    assert_eq!(most_in("1000/ns".parse().unwrap(), u64::MAX), u64::MAX);
}
