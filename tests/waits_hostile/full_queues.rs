//! Functions behind a limiter whose wait queue is full.

use alloc::sync::Arc;
use core::cell::Cell;
use core::future::ready;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::thread;

use tidegate::{
    ApiRateLimiter, Clock, ManualClock, RateLimitConfig, RateLimitStatus, rate_limited,
};

/// A limiter without room, and with as many waiters as it may have.
fn full(clock: &ManualClock) -> ApiRateLimiter<ManualClock> {
    let config = RateLimitConfig {
        burst_size: 1,
        ..RateLimitConfig::DEFAULT
    };
    let limiter = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    let limiter = limiter.max_waiters(0);
    assert!(!limiter.try_acquire().is_limited);
    limiter
}

/// The function cannot be refused, so it must not run before it is admitted.
#[test]
fn a_function_is_not_called_while_the_queue_is_full() {
    let clock = ManualClock::new();
    let limiter = full(&clock);
    let (calls, reports) = (Cell::new(0), Cell::new(0));
    let timer = |wait: Duration| {
        assert_eq!(calls.get(), 0, "called without being admitted");
        clock.advance(wait);
        ready(())
    };
    let function = rate_limited(&limiter, |()| {
        calls.set(calls.get() + 1);
        ready(())
    })
    .on_limited(|_: &RateLimitStatus| reports.set(reports.get() + 1));
    let mut call = pin!(function.call_async_with(timer, ()));
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(call.as_mut().poll(&mut context), Poll::Ready(()));
    assert_eq!(calls.get(), 1);
    assert!(reports.get() > 0);
    assert!(clock.now().as_nanos() >= 1_200_000_000);
    assert_eq!(limiter.stats().total_requests, 2);
}

#[test]
fn a_thread_does_not_call_a_function_while_the_queue_is_full() {
    let clock = ManualClock::new();
    let limiter = Arc::new(full(&clock));
    let function = rate_limited(Arc::clone(&limiter), |()| limiter.stats().total_requests);
    let (requests, ()) = thread::scope(|scope| {
        let caller = scope.spawn(|| function.call(()));
        while !caller.is_finished() {
            clock.advance(Duration::from_millis(100));
            thread::yield_now();
        }
        (caller.join().expect("no panic"), ())
    });
    assert_eq!(requests, 2);
}
