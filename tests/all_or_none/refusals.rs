//! Which member a refusal names, and for how long.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::error::Error;
use core::time::Duration;

use tidegate::{
    AllOrNothing, ApiRateLimiter, Clock, Combined, Denied, Limiter, ManualClock, Quota,
    RateLimitConfig, ShardedTokenBucket, Timestamp, TokenBucket,
};

use crate::{SECOND, bucket, window};

#[test]
fn names_the_member_that_refuses_the_longest() {
    let clock = ManualClock::new();
    let (short, long, free) = (bucket(5, &clock), bucket(5, &clock), bucket(5, &clock));
    short.debit(6);
    long.debit(9);
    let named = |denied: tidegate::TupleDenied| (denied.index(), denied.retry_after());
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(
        named((&short, &long, &free).try_acquire(1).unwrap_err()),
        (1, seconds(5))
    );
    assert_eq!(
        named((&free, &short, &long).try_acquire(1).unwrap_err()),
        (2, seconds(5))
    );
    assert_eq!(
        named((&long, &free, &short).peek(1).unwrap_err()),
        (0, seconds(5))
    );
    // The first of equals.
    short.debit(3);
    assert_eq!(
        named((&free, &short, &long).try_acquire(1).unwrap_err()),
        (1, seconds(5))
    );
    // What no wait helps lasts the longest.
    let small = bucket(1, &clock);
    assert_eq!(
        named((&long, &small).try_acquire(2).unwrap_err()),
        (1, None)
    );
    assert_eq!(free.available(), 5);
}

/// After exactly the hint the call succeeds, and not a nanosecond earlier.
#[test]
fn hints_are_exact() {
    let clock = ManualClock::new();
    let (bucket, window) = (bucket(5, &clock), window(7, &clock));
    let both = (&bucket, &window);
    for n in [5, 2, 3, 1, 5, 4] {
        while let Err(denied) = both.try_acquire(n) {
            let wait = denied.retry_after().expect("within the capacity");
            let now = clock.now();
            let just_before = now + wait.saturating_sub(Duration::from_nanos(1));
            assert_eq!(both.peek_at(n, just_before).map_err(|_| ()), Err(()));
            assert_eq!(both.try_acquire_at(n, just_before).map_err(|_| ()), Err(()));
            assert_eq!(both.wait_time(n), Some(wait));
            clock.advance(wait);
            assert_eq!(both.peek(n), Ok(()));
        }
    }
}

/// Every kind of limiter, and every kind of pointer.
#[test]
fn members_of_all_types() {
    let clock = ManualClock::new();
    let combined = Combined::builder()
        .limit("window", window(6, &clock))
        .limit("bucket", bucket(4, &clock))
        .build();
    let config = RateLimitConfig {
        burst_size: 5,
        enable_backoff: false,
        ..RateLimitConfig::DEFAULT
    };
    let api = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    let sharded = ShardedTokenBucket::with_clock(Quota::per_second(1).burst(9), clock.clone());
    let all = (
        bucket(8, &clock),
        Arc::new(window(7, &clock)),
        Box::new(bucket(10, &clock)),
        &combined,
        &api,
        sharded,
    );
    assert_eq!(all.available(), 4);
    assert_eq!(all.try_acquire(4), Ok(()));
    let denied = all.try_acquire(1).unwrap_err();
    assert_eq!((denied.index(), denied.retry_after()), (3, Some(SECOND)));
    assert_eq!(
        (combined.available(), api.try_acquire().is_limited),
        (0, false)
    );
    assert_eq!(api.stats().total_requests, 5);
}

#[test]
fn members_with_names_of_their_own_keep_them() {
    let clock = ManualClock::new();
    let owned = Arc::new(bucket(1, &clock));
    let tuple = (owned.clone(), owned.clone());
    // Twice the same: refused, and nothing is charged.
    let denied = tuple.try_acquire(1).unwrap_err();
    assert_eq!((denied.forfeited(), owned.available()), (0, 1));

    let denied = (&bucket(1, &clock),).try_acquire(2).unwrap_err();
    assert_eq!(
        denied.to_string(),
        "member 0: never: more than the capacity of 1"
    );
    assert_eq!(denied.denied(), Denied::Never { capacity: 1 });
    assert_eq!(
        denied.source().map(ToString::to_string),
        Some(denied.denied().to_string())
    );
}

/// A clock that counts its readings.
#[derive(Debug, Default)]
struct Counting(core::sync::atomic::AtomicU64);

impl Clock for &'static Counting {
    fn now(&self) -> Timestamp {
        self.0.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        Timestamp::from_nanos(1)
    }
}

#[test]
fn reads_the_first_clock_once_per_call() {
    static FIRST: Counting = Counting(core::sync::atomic::AtomicU64::new(0));
    static OTHER: Counting = Counting(core::sync::atomic::AtomicU64::new(0));
    let count = |clock: &Counting| clock.0.load(core::sync::atomic::Ordering::Relaxed);
    let make =
        |clock: &'static Counting| TokenBucket::with_clock(Quota::per_second(1).burst(2), clock);
    let (first, other) = (make(&FIRST), make(&OTHER));
    let before = (count(&FIRST), count(&OTHER));
    let tuple = (&first, &other);
    assert_eq!(tuple.try_acquire(2), Ok(()));
    assert!(tuple.try_acquire(1).is_err());
    assert!(tuple.peek(1).is_err());
    assert_eq!(tuple.available(), 0);
    assert_eq!((count(&FIRST), count(&OTHER)), (before.0 + 4, before.1));
    assert_eq!(other.available_at(Limiter::now(&first)), 0);
}
