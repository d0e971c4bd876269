//! Rates, from intervals to years: what a quota can express, and what the bucket makes of it.

use core::time::Duration;

use tidegate::{Denied, ManualClock, Quota, QuotaError, Timestamp, TokenBucket};

const SECOND: u64 = 1_000_000_000;

fn bucket(quota: Quota) -> (TokenBucket<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    (TokenBucket::with_clock(quota, clock.clone()), clock)
}

/// 0.769… per second is ten in thirteen seconds.
#[test]
fn a04_the_first_token_is_not_truncated_away() {
    let quota = Quota::new(10, Duration::from_secs(13)).unwrap().burst(1);
    let (bucket, clock) = bucket(quota);
    assert_eq!(bucket.try_acquire(1), Ok(()), "A04");
    let retry_after = Duration::from_millis(1_300);
    assert_eq!(
        bucket.try_acquire(1),
        Err(Denied::NotYet { retry_after }),
        "A04"
    );
    clock.advance(retry_after);
    assert_eq!(bucket.try_acquire(1), Ok(()), "A04");
}

#[test]
fn a06_long_running_rate() {
    let (bucket, clock) = bucket(Quota::per_second(100));
    let mut granted = 0;
    for _ in 0..2_500 {
        granted += u32::from(bucket.try_acquire(1).is_ok());
        clock.advance(Duration::from_millis(2));
    }
    // The last try is at 4.998 s: 100 and 499.8.
    assert_eq!(granted, 599, "A06");
}

#[test]
fn a07_an_interval_is_a_rate() {
    let table = [
        (1, Quota::per_second(SECOND)),
        (1_000, Quota::per_second(1_000_000)),
        (1_000_000, Quota::per_second(1_000)),
        (10_000_000, Quota::per_second(100)),
        (100_000_000, Quota::per_second(10)),
        (SECOND, Quota::per_second(1)),
        (2 * SECOND, Quota::new(5, Duration::from_secs(10)).unwrap()),
        (
            2_500_000_000,
            Quota::new(4, Duration::from_secs(10)).unwrap(),
        ),
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
                "A07: {quota} is 1 per {interval:?}"
            );
        }
    }
}

/// 292 years per token are above the 36 for which a grain is a nanosecond: a little late, and never early.
#[test]
fn a07_the_longest_interval() {
    let nanos = u64::MAX >> 1;
    let (bucket, _) = bucket(Quota::new(1, Duration::from_nanos(nanos)).unwrap());
    bucket.try_acquire(1).unwrap();
    let late = bucket.wait_time(1).unwrap().as_nanos() - u128::from(nanos);
    assert!(late <= 64, "A07: late by {late} ns");
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

/// Rates of nothing and of everything are not limits: they cannot be written down.
#[test]
fn a07_a08_a11_zero_and_infinity_are_errors() {
    let second = Duration::from_secs(1);
    let table = [
        (
            "A07: interval 0",
            Quota::new(1, Duration::ZERO),
            QuotaError::ZeroPeriod,
        ),
        ("A08: rate 0", Quota::new(0, second), QuotaError::ZeroRate),
        (
            "A11: infinite",
            Quota::new(u64::MAX, second),
            QuotaError::RateTooHigh,
        ),
        (
            "A11: burst 0",
            Quota::per_second(1).try_burst(0),
            QuotaError::ZeroBurst,
        ),
    ];
    for (case, result, error) in table {
        assert_eq!(result, Err(error), "{case}");
    }
}

#[test]
fn a10_a_tiny_rate_does_not_overflow_into_yes() {
    let interval = Duration::from_secs(10_000_000_000);
    let (bucket, clock) = bucket(Quota::new(1, interval).unwrap());
    assert_eq!(bucket.try_acquire(1), Ok(()), "A10");
    for _ in 0..10 {
        let denied = bucket.try_acquire(1).expect_err("A10");
        let end = Timestamp::ZERO + denied.retry_after().expect("A10: it does come");
        assert!(end >= Timestamp::ZERO + interval, "A10: early");
        clock.advance(interval / 100);
        assert!(bucket.try_acquire(1).is_err(), "A10");
        clock.set(Timestamp::ZERO);
    }
    clock.set(Timestamp::ZERO + interval.saturating_sub(Duration::from_nanos(1)));
    assert!(bucket.try_acquire(1).is_err(), "A10");
    clock.advance(Duration::from_nanos(65));
    assert_eq!(bucket.try_acquire(1), Ok(()), "A10");
}

/// The end of a debt is 2^60 grains, here nanoseconds, whatever was in the bucket before.
#[test]
fn r05_a_debt_ends_where_it_is_said_to() {
    for burst in [1, 10, 1_000] {
        for spent_before in [0, 1, burst] {
            let (bucket, _) = bucket(Quota::per_second(10).burst(burst));
            bucket.debit(spent_before);
            bucket.debit(u64::MAX);
            let owed = bucket.wait_time(1).unwrap().as_nanos();
            assert_eq!(
                owed,
                (1 << 60) + 100_000_000,
                "burst {burst}, {spent_before} spent before"
            );
        }
    }
}
