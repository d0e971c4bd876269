//! Calls that leave cost nothing.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Waker};
use core::time::Duration;

use tidegate::{
    Acquire, Awaitable, Combined, Limiter, ManualClock, Quota, ShardedTokenBucket, SlidingWindow,
    Timer, TokenBucket,
};

const SECOND: Duration = Duration::from_secs(1);

/// Sleeps that never end.
fn never(_: Duration) -> impl Future<Output = ()> {
    core::future::pending()
}

fn poll_once<F: Future>(future: F) -> bool {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    future.as_mut().poll(&mut context).is_ready()
}

fn call<L: Awaitable>(limiter: &L, n: u64) -> Acquire<&L, impl Timer> {
    Acquire::new(limiter, n).timer(never)
}

/// Uses up a capacity of 10. Then a million calls join and leave: as the head, behind a head that
/// stays, unpolled, and when they are due. Nothing but what was asked for by others is gone.
fn a_million_leave<L: Awaitable + Limiter>(limiter: &L, clock: &ManualClock) {
    const EACH: u64 = 250_000;

    limiter.try_acquire_at(10, limiter.now()).expect("full");
    for n in 0..EACH {
        drop(call(limiter, 1));
        assert!(!poll_once(call(limiter, 1 + n % 10)));
    }
    {
        let mut head = pin!(call(limiter, 10));
        let mut context = Context::from_waker(Waker::noop());
        assert!(head.as_mut().poll(&mut context).is_pending());
        for n in 0..EACH {
            assert!(!poll_once(call(limiter, 1 + n % 10)));
        }
        // Calls that leave when there is room for them, but others are ahead.
        clock.advance(10 * SECOND + SECOND);
        for n in 0..EACH {
            assert!(!poll_once(call(limiter, 1 + n % 10)));
        }
        assert_eq!(limiter.available_at(limiter.now()), 10);
        // The head leaves too, although it is due.
    }
    assert_eq!(limiter.available_at(limiter.now()), 10);
    assert!(poll_once(call(limiter, 10)), "none is ahead");
    assert_eq!(limiter.available_at(limiter.now()), 0);
}

#[test]
fn a_million_cancellations_cost_a_bucket_nothing() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(1).burst(10), clock.clone());
    a_million_leave(&bucket, &clock);
    assert_eq!((bucket.waiting(), bucket.debt()), (0, 0));
}

#[test]
fn a_million_cancellations_cost_a_sharded_bucket_nothing() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(1).burst(10);
    let bucket = ShardedTokenBucket::with_clock(quota, clock.clone());
    a_million_leave(&bucket, &clock);
    assert_eq!(bucket.waiting(), 0);
}

#[test]
fn a_million_cancellations_cost_a_window_nothing() {
    let clock = ManualClock::new();
    let window = SlidingWindow::with_clock(10, 10 * SECOND, clock.clone()).expect("valid");
    a_million_leave(&window, &clock);
    assert_eq!((window.waiting(), window.current_count()), (0, 10));
}

#[test]
fn a_million_cancellations_cost_a_combination_nothing() {
    let clock = ManualClock::new();
    let both = Combined::builder()
        .limit(
            "window",
            SlidingWindow::with_clock(10, 10 * SECOND, clock.clone()).expect("valid"),
        )
        .limit(
            "bucket",
            TokenBucket::with_clock(Quota::per_second(1).burst(10), clock.clone()),
        )
        .build();
    a_million_leave(&both, &clock);
    assert_eq!((both.waiting(), both.forfeited()), (0, 0));
}
