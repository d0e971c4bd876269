//! Bugs of governor 0.10.

use core::time::Duration;

use tidegate::{Denied, Quota, QuotaError, Timestamp};

use crate::{SECOND, admitted_of, assert_exact_hint, at, bucket, every};

/// The sum of the TAT wrapped at 342 years.
#[test]
fn long_burst_was_admitted_twice() {
    let (bucket, _) = bucket(Quota::per_hour(1).burst(3_000_000));
    let admitted = (0..1_000).filter(|_| bucket.try_acquire(3_000_000).is_ok());
    assert_eq!(admitted.count(), 1);
    assert_eq!(bucket.available(), 0);
}

/// A burst of 593 years became one of 75 904 tokens. Waits end with the range of clocks.
#[test]
fn long_burst_shrank() {
    let quota = Quota::per_hour(1).burst(5_200_000);
    assert_eq!(bucket(quota).0.try_acquire(1_000_000), Ok(()));

    // The refill takes more than 2^64 ns.
    let (bucket, _) = bucket(quota);
    bucket.try_acquire(5_200_000).unwrap();
    let refill = bucket.wait_time(5_200_000).unwrap();
    assert_eq!(refill, Duration::from_nanos(u64::MAX));
    let wait = bucket.wait_time(5_000_000).unwrap();
    let late = wait.checked_sub(Duration::from_secs(18_000_000_000));
    assert!(
        late.is_some_and(|late| late <= Duration::from_nanos(64)),
        "{wait:?}"
    );
}

/// A cost of 700 million was refused, and `u32::MAX` was admitted.
#[test]
fn large_cost_was_refused() {
    let quota = every(Duration::from_secs(5)).burst(u64::from(u32::MAX));
    assert_eq!(bucket(quota).0.try_acquire(700_000_000), Ok(()));
    let (bucket, _) = bucket(quota);
    assert_eq!(bucket.try_acquire(u64::from(u32::MAX)), Ok(()));
    assert!(bucket.try_acquire(1).is_err());
}

/// Whole nanoseconds per token are wrong by up to 67%.
#[test]
fn intervals_were_rounded_to_nanoseconds() {
    // Fractions of a nanosecond with a small denominator are exact.
    for rate in [70_000_000, 400_000_000, 600_000_000, 2 * SECOND] {
        let (bucket, _) = bucket(Quota::per_second(rate).burst(2 * rate));
        bucket.try_acquire(2 * rate).unwrap();
        assert_eq!(
            bucket.available_at(at(SECOND - 1)),
            rate - rate.div_ceil(SECOND),
            "{rate}"
        );
        assert_eq!(bucket.available_at(at(SECOND)), rate, "{rate}");
    }
    // Other rates are never early and at most a nanosecond late.
    for rate in [1_000_001, 300_000_001, 999_999_999] {
        let (bucket, _) = bucket(Quota::per_second(rate).burst(2 * rate));
        bucket.try_acquire(2 * rate).unwrap();
        assert!(bucket.available_at(at(SECOND)) <= rate, "{rate}: early");
        assert!(bucket.available_at(at(SECOND + 1)) >= rate, "{rate}: late");
        // From any starting time.
        for start in 1..50 {
            let fresh = || crate::bucket(Quota::per_second(rate)).0;
            let drained = fresh();
            assert_eq!(drained.try_acquire_up_to_at(rate, at(start)), rate);
            for bucket in [drained, fresh().with_initial_at(0, at(start))] {
                for after in 1..200 {
                    let exact = rate * after / SECOND;
                    let now = start + after;
                    assert!(
                        bucket.available_at(at(now)) <= exact,
                        "{rate}: early at {now}"
                    );
                    assert!(
                        bucket.available_at(at(now + 1)) >= exact,
                        "{rate}: late at {now}"
                    );
                }
            }
        }
        // Also after ten years.
        let (mut now, days) = (SECOND, 100 * 86_400);
        while now < 10 * 365 * 86_400 * SECOND {
            bucket.debit_at(rate * days, at(now));
            now += days * SECOND;
            assert!(
                bucket.available_at(at(now)) <= rate,
                "{rate}: early at {now}"
            );
            assert!(
                bucket.available_at(at(now + 1)) >= rate,
                "{rate}: late at {now}"
            );
        }
    }
}

#[test]
fn refusal_reported_five_cells_left() {
    let (bucket, _) = bucket(Quota::per_second(5));
    assert_eq!(admitted_of(6, &bucket, Timestamp::ZERO), 5);
    assert_eq!(bucket.available(), 0);
}

/// A clock that steps back admits nothing more. The hint counts from its own reading.
#[test]
fn clock_step_back_had_no_exact_hint() {
    let hour = at(3_600 * SECOND);
    let (bucket, clock) = bucket(Quota::per_second(10));
    clock.set(hour);
    bucket.try_acquire(10).unwrap();
    clock.set(Timestamp::ZERO);
    assert!(bucket.try_acquire(1).is_err());
    assert_eq!(bucket.available(), 0);
    let wait = assert_exact_hint(&bucket, 1, Timestamp::ZERO);
    assert_eq!(Timestamp::ZERO + wait, hour + Duration::from_millis(100));
    // After the clock has caught up, tokens arrive again.
    assert_eq!(bucket.available_at(hour + Duration::from_secs(1)), 10);
}

#[test]
fn long_period_panicked() {
    let years = Duration::from_secs(600 * 31_557_600);
    assert_eq!(Quota::new(1, years), Err(QuotaError::PeriodTooLong));
    assert_eq!(
        QuotaError::PeriodTooLong.to_string(),
        "the period is longer than 584 years"
    );
}

/// The message named the capacity as the cost.
#[test]
fn error_named_the_wrong_number() {
    let (bucket, _) = bucket(Quota::per_second(10));
    let denied = bucket.try_acquire(11).unwrap_err();
    assert_eq!(denied, Denied::Never { capacity: 10 });
    assert_eq!(denied.to_string(), "never: more than the capacity of 10");
}

#[test]
fn interval_became_zero() {
    let (bucket, _) = bucket(Quota::per_second(2 * SECOND));
    bucket.try_acquire(2 * SECOND).unwrap();
    assert_eq!(bucket.wait_time(1), Some(Duration::from_nanos(1)));
    assert_eq!(bucket.wait_time(3), Some(Duration::from_nanos(2)));
}
