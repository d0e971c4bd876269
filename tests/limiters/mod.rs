//! API limiters on test clocks.

use tidegate::{ApiRateLimiter, Clock, ManualClock, RateLimitConfig};

use crate::stepped::SteppedClock;

/// Returns a limiter and its clock.
pub(crate) fn limiter(config: RateLimitConfig) -> (ApiRateLimiter<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    let limiter = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    (limiter, clock)
}

/// Returns a limiter whose clock advances when all threads wait.
pub(crate) fn stepped(config: RateLimitConfig) -> (ApiRateLimiter<SteppedClock>, SteppedClock) {
    let clock = SteppedClock::default();
    let limiter = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    (limiter, clock)
}

/// Makes requests, all of which must be admitted.
pub(crate) fn spend<C: Clock>(limiter: &ApiRateLimiter<C>, requests: u64) {
    for _ in 0..requests {
        let status = limiter.try_acquire();
        assert!(!status.is_limited, "{status}");
    }
}
