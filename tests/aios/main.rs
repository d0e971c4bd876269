//! The statements of the document "AIOS Rate Limiting System" in its order, with a module for each
//! section.
//!
//! Time is a manual clock, so that no test sleeps or depends on its speed. If the behavior differs
//! from what a reader of the Python would expect, the test asserts ours and says why.

extern crate alloc;

#[path = "../limiters/mod.rs"]
mod limiters;
#[path = "../stepped/mod.rs"]
mod stepped;

use core::cell::{Cell, RefCell};
use core::time::Duration;

use tidegate::{
    ApiRateLimiter, Clock, LimitKind, ManualClock, Quota, RateLimitConfig, SlidingWindow,
    TokenBucket, rate_limited,
};

use limiters::{limiter, spend, stepped};
use stepped::SteppedClock;

const NANO: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The interval between requests at 50 per minute.
const TURN: Duration = Duration::from_millis(1_200);

/// The document's configuration.
const CONFIG: RateLimitConfig = RateLimitConfig {
    requests_per_minute: 50,
    requests_per_hour: 500,
    tokens_per_minute: 100_000,
    burst_size: 10,
    enable_backoff: true,
    ..RateLimitConfig::DEFAULT
};

/// The same without backoff, so that waits are exact.
const STEADY: RateLimitConfig = RateLimitConfig {
    enable_backoff: false,
    ..CONFIG
};

mod api_rate_limiter;
mod best_practices;
mod decorator;
#[cfg(feature = "global")]
mod global;
mod integration;
mod overview;
mod performance;
mod sliding_window;
mod statistics;
mod status;
mod thread_safety;
mod token_bucket;
mod token_usage;
mod troubleshooting;
