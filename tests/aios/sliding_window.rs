use super::*;

/// `SlidingWindowCounter(limit=100, window_seconds=60)`.
fn counter() -> (SlidingWindow<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    let counter = SlidingWindow::with_clock(100, MINUTE, clock.clone()).expect("valid");
    (counter, clock)
}

#[test]
fn window_admits_a_hundred_per_minute() {
    let (counter, clock) = counter();
    for _ in 0..100 {
        clock.advance(Duration::from_millis(599));
        assert!(counter.try_acquire(1).is_ok());
    }
    assert!(counter.try_acquire(1).is_err(), "100 in 59.9 s");
}

/// `counter.is_allowed()`.
#[test]
fn is_allowed_changes_nothing() {
    let (counter, _) = counter();
    for _ in 0..200 {
        assert!(counter.peek(1).is_ok());
    }
    assert_eq!(counter.current_count(), 0);
}

/// `if counter.is_allowed(): counter.record()`. Another thread may take the last permit between the
/// two steps, in Python too. Then our second step refuses, and a plain record would exceed the
/// limit.
#[test]
fn check_and_then_record() {
    let (counter, _) = counter();
    let (mut calls, mut exceeded) = (0, 0);
    for _ in 0..101 {
        if counter.peek(1).is_ok() {
            counter.try_acquire(1).unwrap();
            calls += 1;
        } else {
            exceeded += 1;
        }
    }
    assert_eq!((calls, exceeded), (100, 1));
}

/// `if counter.record(): ...`.
#[test]
fn record_checks_and_returns_the_result() {
    let (counter, _) = counter();
    let recorded = (0..150).filter(|_| counter.try_acquire(1).is_ok());
    assert_eq!(recorded.count(), 100);
    assert_eq!(counter.current_count(), 100, "refusals are not recorded");
}

#[test]
fn remaining_and_current_count() {
    let (counter, clock) = counter();
    counter.try_acquire(30).unwrap();
    assert_eq!((counter.available(), counter.current_count()), (70, 30));
    clock.advance(30 * SECOND);
    counter.try_acquire(20).unwrap();
    assert_eq!((counter.available(), counter.current_count()), (50, 50));
    clock.advance(31 * SECOND);
    assert_eq!((counter.available(), counter.current_count()), (80, 20));
}

/// The wait is exact. It can exceed the document's by 1/64 of the window, because we count requests
/// per slot instead of storing the time of each.
#[test]
fn wait_time_is_exact() {
    let (counter, clock) = counter();
    assert_eq!(counter.wait_time(1), Some(Duration::ZERO));
    counter.try_acquire(100).unwrap();
    let wait = counter.wait_time(1).unwrap();
    assert!(wait >= MINUTE && wait <= MINUTE + MINUTE / 64, "{wait:?}");
    clock.advance(wait.saturating_sub(NANO));
    assert!(counter.peek(1).is_err());
    clock.advance(NANO);
    assert!(counter.try_acquire(1).is_ok());
}
