//! The wait queue of an API limiter.

mod in_flight;
#[cfg(feature = "tokio")]
mod on_tokio;
mod owned_calls;
mod pauses;
mod random_calls;
mod requests;
mod tokens;

use core::task::Poll;
use core::time::Duration;

use tidegate::{
    ApiRateLimiter, LimitKind, ManualClock, RateLimitConfig, RateLimitStatus, Timestamp,
    TokenPermit,
};

use crate::manual_timer::ManualTimer;
use crate::waiters::Waiter;

type ApiLimiter = ApiRateLimiter<ManualClock>;
type TokenOutcome = Result<TokenPermit<ManualClock>, RateLimitStatus>;
/// A call that waits for a request and its tokens.
type TokenWaiter = Waiter<'static, TokenOutcome>;
/// A call that waits for a request alone.
type RequestWaiter = Waiter<'static, RateLimitStatus>;

/// Refuses a call because of the waiters ahead of it.
const QUEUE: LimitKind = LimitKind::Queue;

/// One token per millisecond, a thousand at once, and no other limit that matters.
const TOKENS: RateLimitConfig = RateLimitConfig {
    requests_per_minute: 1_000_000,
    requests_per_hour: 60_000_000,
    burst_size: 1_000_000,
    tokens_per_minute: 60_000,
    token_burst_size: Some(1_000),
    ..RateLimitConfig::DEFAULT
};

/// Returns a limiter with its clock and a timer on it.
fn limiter(config: RateLimitConfig) -> (ApiLimiter, ManualClock, ManualTimer) {
    let clock = ManualClock::new();
    let limiter = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    let timer = ManualTimer::on(&clock);
    (limiter, clock, timer)
}

/// Limits the calls in flight as well.
const fn max_in_flight(max: u64) -> RateLimitConfig {
    RateLimitConfig {
        max_in_flight: Some(max),
        ..TOKENS
    }
}

fn request(limiter: &ApiLimiter, timer: &ManualTimer) -> RequestWaiter {
    Waiter::new(1, limiter.acquire().timer(timer.clone()))
}

fn request_for(limiter: &ApiLimiter, timer: &ManualTimer, timeout: Duration) -> RequestWaiter {
    let call = limiter.acquire().timeout(timeout);
    Waiter::new(1, call.timer(timer.clone()))
}

fn tokens(limiter: &ApiLimiter, timer: &ManualTimer, estimate: u64) -> TokenWaiter {
    tokens_for(limiter, timer, estimate, Duration::MAX)
}

fn tokens_for(
    limiter: &ApiLimiter,
    timer: &ManualTimer,
    estimate: u64,
    timeout: Duration,
) -> TokenWaiter {
    let call = limiter.acquire_tokens(estimate).timeout(timeout);
    Waiter::new(estimate, call.timer(timer.clone()))
}

/// Advances the time until every call is admitted, and settles each permit for its estimate at
/// once. Returns estimates and instants in the order of admission.
fn settle_all(waiting: &mut Vec<TokenWaiter>, timer: &ManualTimer) -> Vec<(u64, Timestamp)> {
    let mut admitted = Vec::new();
    while !waiting.is_empty() {
        match Waiter::poll_woken(waiting) {
            Some(Poll::Ready((waiter, outcome))) => {
                let permit = outcome.expect("no limit refuses for good");
                admitted.push((waiter.n, permit.admitted_at()));
                permit.settle(waiter.n);
            }
            Some(Poll::Pending) => {}
            None => assert!(timer.advance_to_next(), "{} wait forever", waiting.len()),
        }
    }
    admitted
}

impl TokenWaiter {
    /// Asserts that the call was woken and is admitted.
    fn woken_permit(self) -> TokenPermit<ManualClock> {
        self.woken_output().expect("admitted")
    }

    /// Asserts that the call is refused now.
    fn refusal(mut self) -> RateLimitStatus {
        self.ready().expect_err("refused")
    }

    /// Asserts that the call was woken and is refused.
    fn woken_refusal(self) -> RateLimitStatus {
        self.woken_output().expect_err("refused")
    }
}
