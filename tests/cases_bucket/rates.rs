//! The rates that a quota can express, from nanoseconds to years per token.

use core::time::Duration;

use tidegate::{Denied, ManualClock, Quota, QuotaError, Timestamp, TokenBucket};

const SECOND: u64 = 1_000_000_000;

fn bucket(quota: Quota) -> (TokenBucket<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    (TokenBucket::with_clock(quota, clock.clone()), clock)
}

/// 0.769… per second is ten per thirteen seconds.
#[test]
fn fractional_rate_keeps_its_first_token() {
    let quota = Quota::new(10, Duration::from_secs(13)).unwrap().burst(1);
    let (bucket, clock) = bucket(quota);
    assert_eq!(bucket.try_acquire(1), Ok(()));
    let retry_after = Duration::from_millis(1_300).into();
    assert_eq!(bucket.try_acquire(1), Err(Denied::NotYet { retry_after }),);
    clock.advance(retry_after);
    assert_eq!(bucket.try_acquire(1), Ok(()));
}

#[test]
fn rate_holds_over_seconds() {
    let (bucket, clock) = bucket(Quota::per_second(100));
    let mut granted = 0;
    for _ in 0..2_500 {
        granted += u32::from(bucket.try_acquire(1).is_ok());
        clock.advance(Duration::from_millis(2));
    }
    // The last call is at 4.998 s, when 499.8 tokens have been added to the burst of 100.
    assert_eq!(granted, 599);
}

#[test]
fn interval_and_rate_are_equivalent() {
    #[rustfmt::skip]
    let table = [
        (1, Quota::per_second(SECOND)),
        (1_000, Quota::per_second(1_000_000)),
        (1_000_000, Quota::per_second(1_000)),
        (10_000_000, Quota::per_second(100)),
        (100_000_000, Quota::per_second(10)),
        (SECOND, Quota::per_second(1)),
        (2 * SECOND, Quota::new(5, Duration::from_secs(10)).unwrap()),
        (2_500_000_000, Quota::new(4, Duration::from_secs(10)).unwrap()),
        (4 * SECOND, Quota::per_minute(15)),
        (10 * SECOND, Quota::per_minute(6)),
    ];
    for (nanos, rate) in table {
        let interval = Duration::from_nanos(nanos);
        for quota in [Quota::new(1, interval).unwrap(), rate] {
            let (bucket, _) = bucket(quota.burst(1));
            bucket.try_acquire(1).unwrap();
            assert_eq!(
                bucket.wait_time(1),
                Some(interval),
                "{quota} is 1 per {interval:?}"
            );
        }
    }
}

/// Above 36 years per token a grain is more than a nanosecond. A token may be late, never early.
#[test]
fn longest_interval_is_at_most_64_ns_late() {
    let nanos = u64::MAX >> 1;
    let (bucket, _) = bucket(Quota::new(1, Duration::from_nanos(nanos)).unwrap());
    bucket.try_acquire(1).unwrap();
    let late = bucket.wait_time(1).unwrap().as_nanos() - u128::from(nanos);
    assert!(late <= 64, "late by {late} ns");
    assert!(
        bucket
            .try_acquire_at(1, Timestamp::from_nanos(nanos - 1))
            .is_err()
    );
    assert!(
        bucket
            .try_acquire_at(1, Timestamp::from_nanos(nanos + 64))
            .is_ok()
    );
}

#[test]
fn zero_and_infinite_rates_are_errors() {
    let second = Duration::from_secs(1);
    let table = [
        (Quota::new(1, Duration::ZERO), QuotaError::ZeroPeriod),
        (Quota::new(0, second), QuotaError::ZeroRate),
        (Quota::new(u64::MAX, second), QuotaError::RateTooHigh),
        (Quota::per_second(1).try_burst(0), QuotaError::ZeroBurst),
    ];
    for (result, error) in table {
        assert_eq!(result, Err(error));
    }
}

#[test]
fn tiny_rate_refuses_until_its_interval_has_passed() {
    let interval = Duration::from_secs(10_000_000_000);
    let (bucket, clock) = bucket(Quota::new(1, interval).unwrap());
    assert_eq!(bucket.try_acquire(1), Ok(()));
    for _ in 0..10 {
        let denied = bucket.try_acquire(1).unwrap_err();
        let end = Timestamp::ZERO + denied.retry_after().unwrap();
        assert!(end >= Timestamp::ZERO + interval, "early hint");
        clock.advance(interval / 100);
        assert!(bucket.try_acquire(1).is_err());
        clock.set(Timestamp::ZERO);
    }
    clock.set(Timestamp::ZERO + interval.saturating_sub(Duration::from_nanos(1)));
    assert!(bucket.try_acquire(1).is_err());
    clock.advance(Duration::from_nanos(65));
    assert_eq!(bucket.try_acquire(1), Ok(()));
}
