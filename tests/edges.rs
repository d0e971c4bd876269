//! Edge cases: the end of time, the largest debt, and undos out of order or on the wrong limiter.

extern crate alloc;

use alloc::sync::Arc;
use core::time::Duration;

use tidegate::{Clock, Denied, Limiter, ManualClock, Quota, SlidingWindow, Timestamp, TokenBucket};

const YEAR: u64 = 31_557_600_000_000_000;

const fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// Returns a bucket on a clock that does not advance.
fn frozen(quota: Quota) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(quota, ManualClock::new())
}

/// A window's time ends after 292 years. A full window stays full then, and its hint is the
/// longest.
#[test]
fn window_at_the_end_of_time_stays_full() {
    let second = Duration::from_secs(1);
    for now in [(1 << 63) + 1_000, (1 << 63) + 2_000_000_000, u64::MAX] {
        let window = SlidingWindow::with_clock(5, second, ManualClock::new()).unwrap();
        assert_eq!(window.try_acquire_at(5, at(now)), Ok(()));
        for later in [at(now), at(u64::MAX)] {
            let retry_after = Duration::from_nanos(u64::MAX).into();
            let refused = Err(Denied::NotYet { retry_after });
            assert_eq!(window.try_acquire_at(1, later), refused);
            assert_eq!(window.peek_at(1, later), refused);
            assert_eq!(window.available_at(later), 0);
        }
    }
}

#[test]
fn undo_on_another_window_returns_nothing() {
    let second = Duration::from_secs(1);
    let window = || SlidingWindow::with_clock(1_000, second, ManualClock::new()).unwrap();
    let (one, other) = (window(), window());
    let charge = one.charge_at(50, at(7)).unwrap();
    other.try_acquire_at(1, at(7)).unwrap();
    assert_eq!(other.undo(charge), 0);
    assert_eq!(other.current_count_at(at(7)), 1);
}

/// The largest debt is 2^60 grains, here nanoseconds, whatever was charged before.
#[test]
fn debits_end_at_the_largest_debt() {
    for burst in [1, 10, 1_000] {
        for first in [0, 1, burst] {
            let bucket = frozen(Quota::per_second(10).burst(burst));
            bucket.debit_at(first, at(0));
            for _ in 0..2 {
                bucket.debit_at(u64::MAX, at(0));
                let wait = bucket.wait_time_at(1, at(0)).unwrap();
                let expected = Duration::from_nanos((1 << 60) + 100_000_000);
                assert_eq!(wait, expected, "burst {burst}, first {first}");
            }
        }
    }
}

/// A reservation may reach the largest debt, and not go a token beyond it.
#[test]
fn reservations_end_at_the_largest_debt() {
    // A token is one grain.
    let bucket = frozen(Quota::new(1, Duration::from_nanos(1)).unwrap());
    bucket.debit_at(1 << 60, at(0));
    let last = bucket.reserve_at(1, Duration::MAX, at(0)).unwrap();
    assert_eq!(last.ready_at(), at(1 << 60));
    let wait = Duration::from_nanos((1 << 60) + 1);
    let refused = bucket.reserve_at(1, Duration::MAX, at(0));
    assert_eq!(refused.unwrap_err().retry_after(), Some(wait));
    // A grain later there is room for one token.
    last.commit();
    assert!(bucket.reserve_at(1, Duration::MAX, at(1)).is_ok());
}

/// Credits never raise a bucket above its capacity, however often they are repeated.
#[test]
fn credits_end_at_a_full_bucket() {
    for tokens in [1, 11, u64::MAX] {
        let bucket = frozen(Quota::per_second(10));
        let second = at(1_000_000_000);
        bucket.try_acquire_at(1, second).unwrap();
        for _ in 0..100 {
            bucket.credit_at(tokens, second);
            assert_eq!(bucket.available_at(second), 10, "{tokens} credited");
        }
        // An older reading shows whether a credit went beyond a full bucket.
        assert_eq!(bucket.available_at(at(500_000_000)), 5, "{tokens} credited");
    }
}

/// Charges held for weeks and undone in reverse order leave the bucket full. At this rate the word
/// wraps soonest.
#[test]
fn undoing_a_long_chain_of_charges_leaves_a_full_bucket() {
    let quota = Quota::per_second(1_000_000_000_000).burst(1 << 60);
    let step = (3 << 58) / 1_000;
    // Some of these lengths would go around the circle and look like a debt.
    for length in 1..40 {
        let bucket = frozen(quota);
        bucket.try_acquire_at(1 << 60, at(0)).unwrap();
        let mut charges = Vec::new();
        let mut now = 0;
        for _ in 0..length {
            now += step;
            let n = bucket.available_at(at(now));
            charges.push(bucket.charge_at(n, at(now)).unwrap());
        }
        while let Some(charge) = charges.pop() {
            bucket.undo(charge);
        }
        now += 2 * step;
        assert_eq!(bucket.available_at(at(now)), 1 << 60, "{length} charges");
    }
}

/// Queries at a future time do not change the bucket, also at rates whose span is short.
#[test]
fn queries_about_the_future_change_nothing() {
    for (rate, days) in [
        (7, 1_950),
        (997, 15),
        (100_003, 1),
        (1_000_001, 500),
        (1_000_000_000_000, 14),
    ] {
        let bucket = frozen(Quota::per_second(rate));
        let now = at(1_000_000_000);
        bucket.try_acquire_at(rate, now).unwrap();
        let before = format!("{bucket:?}");
        let future = now + Duration::from_secs(days * 86_400);
        assert!(bucket.peek_at(rate, future).is_ok());
        assert_eq!(bucket.available_at(future), rate);
        assert_eq!(bucket.debt_at(future), 0);
        assert!(bucket.is_unused_at(future));
        assert_eq!(bucket.try_acquire_up_to_at(0, future), 0);
        bucket.credit_at(0, future);
        bucket.debit_at(0, future);
        assert_eq!(format!("{bucket:?}"), before);
        assert!(bucket.try_acquire_at(1, now).is_err(), "{rate}/s");
    }
}

/// A reservation beyond the end of time is refused instead of being early.
#[test]
fn reservations_end_at_the_end_of_time() {
    let bucket = frozen(Quota::per_second(1).burst(1));
    let end = Timestamp::MAX;
    bucket.reserve_at(1, Duration::MAX, end).unwrap().commit();
    assert!(bucket.reserve_at(1, Duration::MAX, end).is_err());

    let quota = Quota::new(1, Duration::from_nanos(300 * YEAR))
        .unwrap()
        .burst(2);
    let bucket = frozen(quota);
    bucket.reserve_at(2, Duration::MAX, at(0)).unwrap().commit();
    let next = bucket.reserve_at(1, Duration::MAX, at(0)).unwrap();
    // Never early, and with 600 years of refill at most 170 ns late.
    assert!(next.ready_at() - at(300 * YEAR) <= Duration::from_nanos(170));
    assert!(next.ready_at() >= at(300 * YEAR));
    next.commit();
    assert!(
        bucket.reserve_at(1, Duration::MAX, at(0)).is_err(),
        "in 600 years"
    );
}

/// A clock that steps back by decades is clamped. Hints count from its own reading.
#[test]
fn hint_for_clock_that_is_decades_behind() {
    let bucket = frozen(Quota::per_second(10).burst(1));
    let late = 100 * YEAR;
    bucket.try_acquire_at(1, at(late)).unwrap();
    let Err(Denied::NotYet { retry_after }) = bucket.try_acquire_at(1, at(1_000)) else {
        panic!("admitted twice");
    };
    let then = at(1_000) + retry_after;
    assert_eq!(then, at(late) + Duration::from_millis(100));
    assert!(bucket.peek_at(1, at(then.as_nanos() - 1)).is_err());
    assert!(bucket.peek_at(1, then).is_ok());
}

/// A wait is a division that rounds up, by one product where it is short.
#[test]
fn waits_of_rates_without_rounding() {
    const SHORT: u64 = 1 << 46;
    for tokens in [1, 2, 3, 7, 600, 131_071, 131_072] {
        for period in [1_000_003, SHORT - 1, SHORT, SHORT + 1, (1 << 60) - 1] {
            let quota = Quota::new(tokens, Duration::from_nanos(period)).unwrap();
            let bucket = frozen(quota.burst(1));
            bucket.try_acquire_at(1, at(0)).unwrap();
            for late in [0, 1, 6] {
                let wait = Duration::from_nanos(period.div_ceil(tokens) - late);
                assert_eq!(
                    bucket.try_acquire_at(1, at(late)),
                    Err(Denied::NotYet {
                        retry_after: wait.into()
                    }),
                    "{tokens} in {period} ns"
                );
            }
        }
    }
}

/// Tokens available at once can be canceled at any time, delayed tokens only before they are ready.
#[test]
fn cancel_returns_tokens_until_they_are_ready() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(2), clock.clone());
    let ready = bucket.reserve(2, Duration::ZERO).unwrap();
    clock.advance(Duration::from_nanos(40));
    assert_eq!(ready.cancel(), 2);
    assert_eq!(bucket.available(), 2);

    bucket.try_acquire(2).unwrap();
    let waited = bucket.reserve(1, Duration::MAX).unwrap();
    clock.set(at(waited.ready_at().as_nanos() - 1));
    assert_eq!(waited.cancel(), 1, "before it is ready");
    let waited = bucket.reserve(2, Duration::MAX).unwrap();
    clock.advance(waited.delay());
    assert_eq!(waited.cancel(), 0, "when it is ready");
}

#[test]
fn drop_cancels_and_commit_keeps() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(10), clock.clone());
    drop(bucket.reserve(4, Duration::ZERO).unwrap());
    assert_eq!(bucket.available(), 10);
    bucket.reserve(4, Duration::ZERO).unwrap().commit();
    assert_eq!(bucket.available(), 6);
    drop(bucket.reserve(0, Duration::ZERO).unwrap());
    assert_eq!((bucket.available(), clock.now()), (6, Timestamp::ZERO));
}

#[test]
fn unused_means_full_bucket_or_empty_window() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(10), clock.clone());
    let window = SlidingWindow::with_clock(10, Duration::from_secs(1), clock.clone()).unwrap();
    assert!(bucket.is_unused_at(clock.now()) && window.is_unused_at(clock.now()));
    bucket.try_acquire(1).unwrap();
    window.try_acquire(1).unwrap();
    assert!(!bucket.is_unused_at(clock.now()) && !window.is_unused_at(clock.now()));
    clock.advance(Duration::from_millis(100));
    assert!(bucket.is_unused_at(clock.now()) && !window.is_unused_at(clock.now()));
    clock.advance(Duration::from_secs(1));
    assert!(window.is_unused_at(clock.now()));
}

#[test]
fn references_and_arcs_share_a_limiter() {
    fn take<L: Limiter>(limiter: L) -> u64 {
        let now = limiter.now();
        limiter.try_acquire_at(1, now).unwrap();
        let charge = limiter.charge_at(2, now).unwrap();
        assert_eq!(limiter.undo(charge), 2);
        limiter.available_at(now)
    }
    let bucket = frozen(Quota::per_second(10));
    assert_eq!(take(&bucket), 9);
    let bucket = Arc::new(bucket);
    assert_eq!(take(bucket.clone()), 8);
    assert_eq!(bucket.available(), 8);
}
