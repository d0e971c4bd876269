//! Calls and permits that own a share of their limiter.

use core::time::Duration;

use tidegate::{
    AcquireRequest, AcquireTokens, ApiRateLimiter, Clock, DefaultClock, ManualClock,
    RateLimitConfig, TokenPermit,
};

#[cfg(feature = "tokio")]
use super::TOKENS;
use super::{limiter, max_in_flight, tokens};
use crate::waiters::Waiter;
use crate::{SECOND, assert_spawnable, no_sleep};

/// They have names, so a struct can hold them.
#[derive(Debug)]
struct Named<C: Clock> {
    request: AcquireRequest<C>,
    tokens: AcquireTokens<C>,
}

const fn assert_owned<T: Send + 'static>(value: T) -> T {
    assert_spawnable(&value);
    value
}

#[test]
fn calls_and_permits_are_owned() {
    let named = {
        let limiter = ApiRateLimiter::default();
        assert_owned(Named::<DefaultClock> {
            request: limiter.acquire(),
            tokens: limiter.acquire_tokens(1),
        })
    };
    // The limiter lives as long as they do.
    assert!(!named.request.wait().is_limited);
    let permit = named.tokens.timeout(SECOND).wait().expect("new");
    assert_owned::<TokenPermit>(permit).settle(1);
}

/// The last call or permit drops the limiter's state.
#[test]
fn clones_share_one_limiter() {
    let (first, clock, timer) = limiter(max_in_flight(1));
    let second = first.clone();
    let permit = first.reserve_tokens(1_000).expect("new");
    let waiting = tokens(&second, &timer, 10).pending();
    assert_eq!((first.waiting(), second.waiting()), (1, 1));
    drop((first, second));
    clock.advance(SECOND);
    drop(permit);
    drop(waiting.woken_permit());
}

#[test]
fn options_hold_for_all_clones() {
    let config = RateLimitConfig {
        burst_size: 1,
        requests_per_minute: 60,
        ..RateLimitConfig::DEFAULT
    };
    let clock = ManualClock::new();
    let first = ApiRateLimiter::with_clock(config, clock).expect("valid");
    let second = first.clone().max_waiters(0).wait_slack(Duration::ZERO);
    assert!(!first.acquire().wait().is_limited);
    assert!(first.acquire().wait().is_limited);
    assert!(second.acquire().wait().is_limited);
    let wait = Waiter::new(1, first.acquire().timer(no_sleep)).ready();
    assert_eq!(wait.retry_after(), SECOND);
}

/// Any thread may end the call, also where the limiter is not in scope.
#[cfg(feature = "tokio")]
#[test]
fn calls_run_as_tasks() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let limiter = ApiRateLimiter::with_clock(TOKENS, DefaultClock).expect("valid");
    let request = runtime.spawn(limiter.acquire());
    let tokens = runtime.spawn(limiter.acquire_tokens(10).timeout(SECOND));
    drop(limiter);
    let (request, tokens) = runtime.block_on(async { tokio::join!(request, tokens) });
    assert!(!request.expect("no panic").is_limited);
    let permit = tokens.expect("no panic").expect("new");
    runtime
        .block_on(runtime.spawn(async move { permit.settle(10) }))
        .expect("no panic");
}
