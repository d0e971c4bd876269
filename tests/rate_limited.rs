//! A function behind a limiter is called only once it was admitted, even if the limiter refuses to
//! let it wait.

#![cfg(feature = "std")]

use core::cell::Cell;
use core::time::Duration;

use tidegate::{ApiRateLimiter, Clock, LimitKind, ManualClock, RateLimitConfig, rate_limited};

const INTERVAL: Duration = Duration::from_millis(1_200);

/// One request each 1.2 s, and no room for waiters.
fn full_queue(clock: &ManualClock) -> ApiRateLimiter<ManualClock> {
    let config = RateLimitConfig {
        burst_size: 1,
        enable_backoff: false,
        ..RateLimitConfig::DEFAULT
    };
    let limiter = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    let limiter = limiter.max_waiters(0);
    assert!(!limiter.try_acquire().is_limited);
    limiter
}

#[test]
fn a_thread_asks_again_while_the_queue_is_full() {
    let clock = ManualClock::new();
    let limiter = full_queue(&clock);
    let refusals = Cell::new(0);
    let function = rate_limited(&limiter, |()| limiter.stats().total_requests);
    let function = function.on_limited(|status| {
        assert_eq!(status.limited_by, Some(LimitKind::Burst));
        refusals.set(refusals.get() + 1);
        clock.advance(Duration::from_secs(1));
    });
    assert_eq!(function.call(()), 2);
    assert_eq!(refusals.get(), 2);
    assert_eq!(clock.now().as_nanos(), 2_000_000_000);
}

#[test]
fn a_future_asks_again_while_the_queue_is_full() {
    let clock = ManualClock::new();
    let limiter = full_queue(&clock);
    let timer = |wait: Duration| {
        clock.advance(wait);
        core::future::ready(())
    };
    let function = rate_limited(&limiter, async |()| limiter.stats().total_requests);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    assert_eq!(runtime.block_on(function.call_async_with(timer, ())), 2);
    assert_eq!(u128::from(clock.now().as_nanos()), INTERVAL.as_nanos());
}

#[test]
fn a_pause_without_an_end_is_waited_out() {
    let clock = ManualClock::new();
    let limiter = full_queue(&clock);
    limiter.pause_for(Duration::MAX);
    let sleeps = Cell::new(0);
    let timer = |wait: Duration| {
        sleeps.set(sleeps.get() + 1);
        if sleeps.get() == 3 {
            limiter.resume();
        }
        clock.advance(wait);
        core::future::ready(())
    };
    let function = rate_limited(&limiter, async |()| limiter.stats().total_requests);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    assert_eq!(runtime.block_on(function.call_async_with(timer, ())), 2);
    assert_eq!(sleeps.get(), 3);
}
