//! Snapshots of limiters, alone and in tables: the numbers in header fields.

use core::time::Duration;

use proptest::prelude::*;
use tidegate::{
    ApiRateLimiter, Clock, Combined, FixedKeyed, Keyed, Limiter, ManualClock, Overflow, Quota,
    RateLimitConfig, SlidingWindow, Snapshot, TokenBucket,
};

use crate::{NANO, SECOND, bucket, drain};

fn snapshot_of(limiter: &impl Limiter) -> Snapshot {
    limiter.snapshot_at(limiter.now())
}

/// Returns the capacity, the available permits and the time to the next.
const fn numbers(snapshot: Snapshot) -> (u64, u64, Option<Duration>) {
    (
        snapshot.capacity,
        snapshot.available,
        snapshot.next_permit_in,
    )
}

#[test]
fn full_limiter_has_no_wait() {
    let clock = ManualClock::new();
    let window = SlidingWindow::with_clock(3, SECOND, clock.clone()).expect("valid");
    assert_eq!(numbers(snapshot_of(&bucket(3, &clock))), (3, 3, None));
    assert_eq!(numbers(snapshot_of(&window)), (3, 3, None));
    window.try_acquire(3).expect("the window is empty");
    let snapshot = snapshot_of(&window);
    assert_eq!((snapshot.capacity, snapshot.available), (3, 0));
    let wait = snapshot.next_permit_in.expect("it passes");
    clock.advance(wait.saturating_sub(NANO));
    assert_eq!(window.available(), 0);
    clock.advance(NANO);
    assert!(window.available() > 0);
    assert_eq!(snapshot.refill_time, SECOND);
}

#[test]
fn refill_time_of_a_combination_is_the_longest() {
    let clock = ManualClock::new();
    let combined = Combined::builder()
        .limit("short", bucket(3, &clock))
        .limit("long", bucket(7, &clock))
        .build();
    assert_eq!(combined.refill_time(), 7 * SECOND);
    // A snapshot is that of one limit.
    let snapshot = snapshot_of(&combined);
    assert_eq!(snapshot.limit, Some("short"));
    assert_eq!(
        (numbers(snapshot), snapshot.refill_time),
        ((3, 3, None), 3 * SECOND)
    );
}

#[test]
fn tie_goes_to_the_limit_with_the_later_permit() {
    let clock = ManualClock::new();
    for long_first in [true, false] {
        let (quick, slow) = (
            bucket(3, &clock),
            TokenBucket::with_clock(Quota::per_hour(3), clock.clone()),
        );
        let builder = Combined::builder();
        let combined = if long_first {
            builder.limit("slow", slow).limit("quick", quick).build()
        } else {
            builder.limit("quick", quick).limit("slow", slow).build()
        };
        combined.try_acquire(2).expect("the limiter is full");
        let snapshot = snapshot_of(&combined);
        assert_eq!(snapshot.limit, Some("slow"));
        assert_eq!(numbers(snapshot), (3, 1, Some(1_200 * SECOND)));
    }
}

#[test]
fn pointers_have_the_snapshot_of_their_limiter() {
    let clock = ManualClock::new();
    let combined = Combined::builder()
        .limit("a", bucket(3, &clock))
        .limit("b", bucket(7, &clock))
        .build();
    combined.try_acquire(1).expect("the limiter is full");
    let snapshot = snapshot_of(&combined);
    assert_eq!(snapshot.limit, Some("a"));
    assert_eq!(snapshot_of(&&combined), snapshot);
    let boxed = Box::new(combined);
    assert_eq!(
        (snapshot_of(&boxed), boxed.refill_time()),
        (snapshot, 7 * SECOND)
    );
    let shared = alloc::sync::Arc::new(boxed);
    assert_eq!(
        (snapshot_of(&shared), shared.refill_time()),
        (snapshot, 7 * SECOND)
    );
}

#[test]
fn snapshot_of_an_api_limiter_follows_its_requests() {
    let clock = ManualClock::new();
    let limiter = ApiRateLimiter::with_clock(RateLimitConfig::default(), clock).expect("valid");
    let before = snapshot_of(&limiter);
    assert_eq!(before.available, limiter.available_at(limiter.now()));
    assert!(before.refill_time > Duration::ZERO);
    let status = limiter.try_acquire();
    assert!(!status.is_limited, "{status}");
    let after = snapshot_of(&limiter);
    assert_eq!(after.capacity, before.capacity);
    assert_eq!(after.available, before.available - 1);
    assert!(after.next_permit_in.is_some());
}

proptest! {
    /// With quotas that a table of keys meters exact to the nanosecond.
    #[test]
    fn keys_have_the_snapshots_of_separate_buckets(
        nanos in 1_000..=10_000_000_000_u64,
        capacity in 1..=1_000_u64,
        calls in proptest::collection::vec((0..=3_u8, 0..=500_u64, 0..=20_000_000_000_u64), 1..20),
    ) {
        let quota = Quota::new(1, Duration::from_nanos(nanos)).expect("valid").burst(capacity);
        let clock = ManualClock::new();
        let bucket = move |clock: &ManualClock| TokenBucket::with_clock(quota, clock.clone());
        let of_key = clock.clone();
        let keyed = Keyed::new(move |_: &u8| bucket(&of_key));
        let fixed = FixedKeyed::with_clock(quota, 1_000, clock.clone());
        let alone: Vec<_> = (0..=3).map(|_| bucket(&clock)).collect();
        for (key, n, passed) in calls {
            let now = clock.now();
            let own = alone[usize::from(key)].try_acquire_at(n, now);
            prop_assert_eq!(keyed.try_acquire_at(&key, n, now), own);
            prop_assert_eq!(fixed.try_acquire_at(&key, n, now), own);
            clock.advance(Duration::from_nanos(passed));
            for (key, alone) in (0..=3_u8).zip(&alone) {
                let snapshot = snapshot_of(alone);
                prop_assert_eq!(keyed.snapshot_at(&key, clock.now()), snapshot);
                prop_assert_eq!(fixed.snapshot_at(&key, clock.now()), snapshot);
            }
        }
    }

    #[test]
    fn capacity_is_full_after_the_refill_time_and_not_before(
        rate in 1..=1_000_u64, nanos in 1..=1_000_000_000_000_u64, capacity in 1..=1_000_u64,
    ) {
        let quota = Quota::new(rate, Duration::from_nanos(nanos)).expect("valid");
        let Ok(quota) = quota.try_burst(capacity) else { return Ok(()) };
        let clock = ManualClock::new();
        let bucket = TokenBucket::with_clock(quota, clock.clone());
        drain(&bucket);
        let refill = Limiter::refill_time(&bucket);
        prop_assert_eq!(refill, quota.refill_time());
        let exact = (u128::from(capacity) * u128::from(nanos)).div_ceil(rate.into());
        prop_assert_eq!(refill.as_nanos(), exact);
        clock.advance(refill.saturating_sub(NANO));
        prop_assert!(bucket.available() < capacity);
        // A token that takes no whole number of nanoseconds is at most 2 ns late.
        clock.advance(3 * NANO);
        prop_assert_eq!(bucket.available(), capacity);
    }
}

#[test]
fn snapshot_of_a_full_table_follows_its_overflow_policy() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(1).burst(3);
    let at = clock.now();
    for (overflow, known_full) in [
        (Overflow::Share, (3, 1, Some(SECOND))),
        (Overflow::Refuse, (3, 0, Some(3 * SECOND))),
        (Overflow::Admit, (3, 3, None)),
    ] {
        let of_key = clock.clone();
        let keyed = Keyed::builder(move |_: &u64| TokenBucket::with_clock(quota, of_key.clone()))
            .max_keys(1)
            .overflow(overflow)
            .build();
        let snapshot = keyed.snapshot_at(&1, at);
        assert_eq!(numbers(snapshot), (3, 3, None), "{overflow:?}");
        assert_eq!(keyed.len(), 0, "a snapshot adds no key");
        keyed.try_acquire(&1, 3).expect("new");
        // The shared bucket then has two fewer.
        _ = keyed.try_acquire(&2, 2);
        let (capacity, available, _) = known_full;
        let snapshot = keyed.snapshot_at(&3, at);
        assert_eq!(
            (snapshot.capacity, snapshot.available),
            (capacity, available),
            "{overflow:?}"
        );
        assert_eq!(snapshot.refill_time, 3 * SECOND);
        match keyed.peek(&3, snapshot.available + 1) {
            Ok(()) => panic!("{overflow:?}: more than in the snapshot"),
            Err(denied) => assert_eq!(
                denied.retry_after(),
                snapshot.next_permit_in,
                "{overflow:?}"
            ),
        }
    }
}

/// It belongs to the limit whose capacity is reported. Otherwise a window of a minute would seem to
/// take hours.
#[test]
fn refill_time_of_an_api_limiter_is_that_of_its_tightest_limit() {
    for (burst_size, requests_per_minute) in [(1_000, 5), (100, 50), (10, 50), (1, 1)] {
        let config = RateLimitConfig {
            burst_size,
            requests_per_minute,
            ..RateLimitConfig::DEFAULT
        };
        let limiter = ApiRateLimiter::with_clock(config, ManualClock::new()).expect("valid");
        let snapshot = snapshot_of(&limiter);
        assert_eq!(snapshot.capacity, burst_size.min(requests_per_minute));
        let wait = 60 * SECOND * u32::try_from(snapshot.capacity).expect("small");
        let of_bucket = wait / u32::try_from(requests_per_minute).expect("small");
        let expected = if burst_size <= requests_per_minute {
            of_bucket
        } else {
            60 * SECOND
        };
        assert_eq!(snapshot.refill_time, expected, "{burst_size}");
    }
}

/// A key in the table has the same policy as one that is not.
#[test]
fn refill_time_in_tables_is_that_of_the_quota() {
    for rate in [1, 3, 6, 7, 9, 11, 1_000_003] {
        let quota = Quota::per_second(rate).burst(2 * rate);
        let clock = ManualClock::new();
        let fixed = FixedKeyed::with_clock(quota, 8, clock.clone());
        let keyed = Keyed::new(move |_: &u64| TokenBucket::with_clock(quota, clock.clone()));
        keyed.try_acquire(&1, 1).expect("the limiter is full");
        for key in [1, 2] {
            let now = ManualClock::new().now();
            assert_eq!(
                keyed.snapshot_at(&key, now).refill_time,
                quota.refill_time()
            );
            assert_eq!(
                fixed.snapshot_at(&key, now).refill_time,
                quota.refill_time()
            );
        }
        assert_eq!(quota.refill_time(), 2 * SECOND);
    }
}
