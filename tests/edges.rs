//! The far ends: clocks at the end of time, debts without end, charges undone out of order or on the wrong limiter.

extern crate alloc;

use alloc::sync::Arc;
use core::time::Duration;

use tidegate::{Clock, Denied, Limiter, ManualClock, Quota, SlidingWindow, Timestamp, TokenBucket};

const YEAR: u64 = 31_557_600_000_000_000;

const fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// Beyond 292 years a window's time stands still: full is full, and the hint does not pretend otherwise.
#[test]
fn a_window_at_the_end_of_time() {
    let second = Duration::from_secs(1);
    let window = SlidingWindow::with_clock(5, second, ManualClock::new()).unwrap();
    for now in [at((1 << 63) + 1_000), at(u64::MAX)] {
        let _ = window.try_acquire_at(5, now);
        let forever = Duration::from_nanos(u64::MAX);
        let refused = Err(Denied::NotYet {
            retry_after: forever,
        });
        assert_eq!(window.try_acquire_at(1, now), refused);
        assert_eq!(window.peek_at(1, now), refused);
        assert_eq!(window.available_at(now), 0);
    }
}

#[test]
fn a_charge_of_another_window_takes_nothing_below_zero() {
    let second = Duration::from_secs(1);
    let window = || SlidingWindow::with_clock(1_000, second, ManualClock::new()).unwrap();
    let (one, other) = (window(), window());
    let charge = one.charge_at(50, at(7)).unwrap();
    other.try_acquire_at(1, at(7)).unwrap();
    assert_eq!(other.undo(charge), 0);
    assert_eq!(other.current_count_at(at(7)), 1);
}

/// A debit stops at the stated debt, from a full bucket as from any other.
#[test]
fn debts_end_where_the_docs_say() {
    for first in [0, 1, 10] {
        let bucket = TokenBucket::with_clock(Quota::per_second(10), ManualClock::new());
        bucket.debit_at(first, at(0));
        bucket.debit_at(u64::MAX, at(0));
        let wait = bucket.wait_time_at(10, at(0)).unwrap();
        let years = wait.as_nanos() / u128::from(YEAR);
        assert_eq!(years, 36, "after {first}");
        let before = wait;
        bucket.debit_at(u64::MAX, at(0));
        assert_eq!(bucket.wait_time_at(10, at(0)), Some(before));
    }
}

/// Charges held for weeks and undone in reverse leave a full bucket full, also at the rate whose word comes round soonest.
#[test]
fn undoing_a_long_chain_of_charges() {
    let quota = Quota::per_second(1_000_000_000_000).burst(1 << 60);
    let step = (3 << 58) / 1_000;
    // The lengths at which a chain that leads around the circle would look like a debt, and all others.
    for length in 1..40 {
        let bucket = TokenBucket::with_clock(quota, ManualClock::new());
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

/// A look into the future leaves the bucket as it was, at rates whose time line is short too.
#[test]
fn asking_about_the_future_changes_nothing() {
    for (rate, days) in [
        (7, 1_950),
        (997, 15),
        (100_003, 1),
        (1_000_001, 500),
        (1_000_000_000_000, 14),
    ] {
        let bucket = TokenBucket::with_clock(Quota::per_second(rate), ManualClock::new());
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

/// A reservation whose instant no clock can tell is refused instead of being early.
#[test]
fn reservations_end_with_time() {
    let bucket = TokenBucket::with_clock(Quota::per_second(1).burst(1), ManualClock::new());
    let end = Timestamp::MAX;
    bucket.reserve_at(1, Duration::MAX, end).unwrap().commit();
    assert!(bucket.reserve_at(1, Duration::MAX, end).is_err());

    let quota = Quota::new(1, Duration::from_nanos(300 * YEAR))
        .unwrap()
        .burst(2);
    let bucket = TokenBucket::with_clock(quota, ManualClock::new());
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

/// After a step back by decades time stands still, and hints say how long for this clock.
#[test]
fn hints_for_a_clock_that_fell_far_behind() {
    let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(1), ManualClock::new());
    let late = 100 * YEAR;
    bucket.try_acquire_at(1, at(late)).unwrap();
    let Err(Denied::NotYet { retry_after }) = bucket.try_acquire_at(1, at(1_000)) else {
        panic!("admitted again");
    };
    let then = at(1_000) + retry_after;
    assert_eq!(then, at(late) + Duration::from_millis(100));
    assert!(bucket.peek_at(1, at(then.as_nanos() - 1)).is_err());
    assert!(bucket.peek_at(1, then).is_ok());
}

/// Tokens that were there at once can be given back at any time; tokens that were waited for only before their instant.
#[test]
fn when_a_cancel_gives_back() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(2), clock.clone());
    let ready = bucket.reserve(2, Duration::ZERO).unwrap();
    clock.advance(Duration::from_nanos(40));
    assert_eq!(ready.cancel(), 2);
    assert_eq!(bucket.available(), 2);

    bucket.try_acquire(2).unwrap();
    let waited = bucket.reserve(1, Duration::MAX).unwrap();
    clock.set(at(waited.ready_at().as_nanos() - 1));
    assert_eq!(waited.cancel(), 1, "before its instant");
    let waited = bucket.reserve(2, Duration::MAX).unwrap();
    clock.advance(waited.delay());
    assert_eq!(waited.cancel(), 0, "at its instant");
}

/// A drop is a cancel, a commit is not.
#[test]
fn dropping_and_committing() {
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
fn unused_is_full_or_empty() {
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

/// Through a reference or an `Arc` a limiter is the same limiter.
#[test]
fn limiters_are_shared() {
    fn take<L: Limiter>(limiter: L) -> u64 {
        let now = limiter.now();
        limiter.try_acquire_at(1, now).unwrap();
        let charge = limiter.charge_at(2, now).unwrap();
        assert_eq!(limiter.undo(charge), 2);
        limiter.available_at(now)
    }
    let bucket = TokenBucket::with_clock(Quota::per_second(10), ManualClock::new());
    assert_eq!(take(&bucket), 9);
    let bucket = Arc::new(bucket);
    assert_eq!(take(bucket.clone()), 8);
    assert_eq!(bucket.available(), 8);
}
