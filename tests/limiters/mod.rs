//! Limiters of an API on clocks that tests turn, and requests that must be admitted.

use tidegate::{ApiRateLimiter, Clock, ManualClock, RateLimitConfig};

use crate::stepped::SteppedClock;

/// A limiter and the clock that it is on.
pub(crate) fn limiter(config: RateLimitConfig) -> (ApiRateLimiter<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    let limiter = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    (limiter, clock)
}

/// A limiter whose waits end as soon as everybody waits.
pub(crate) fn stepped(config: RateLimitConfig) -> (ApiRateLimiter<SteppedClock>, SteppedClock) {
    let clock = SteppedClock::default();
    let limiter = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    (limiter, clock)
}

/// Makes so many requests, all of which must be admitted.
pub(crate) fn spend<C: Clock>(limiter: &ApiRateLimiter<C>, requests: u64) {
    for _ in 0..requests {
        let status = limiter.try_acquire();
        assert!(!status.is_limited, "{status}");
    }
}
