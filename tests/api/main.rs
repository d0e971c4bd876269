//! [`ApiRateLimiter`] beyond the document that `aios` follows: permits, estimates, more limits,
//! calls in flight, pauses, backoff, configuration, published cases, threads, and random timelines
//! against a sequential model.
//!
//! Time is a manual clock, so that no test sleeps or depends on its speed.

extern crate alloc;

#[path = "../limiters/mod.rs"]
mod limiters;
#[path = "../parallel/mod.rs"]
mod parallel;
#[path = "../stepped/mod.rs"]
mod stepped;

use core::time::Duration;

use tidegate::{
    ApiRateLimiter, Clock, LimitKind, ManualClock, RateLimitConfig, TokenEstimate, TokenUsage,
};

use limiters::{limiter, spend, stepped};

const NANO: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// 1 000 tokens per minute, room for many requests, and waits that are exact.
const THOUSAND: RateLimitConfig = RateLimitConfig {
    tokens_per_minute: 1_000,
    burst_size: 40,
    enable_backoff: false,
    ..RateLimitConfig::DEFAULT
};

/// The time in which one of these tokens flows in.
const TOKEN: Duration = Duration::from_millis(60);

fn tokens_left<C: Clock>(limiter: &ApiRateLimiter<C>) -> u64 {
    limiter.stats().tokens_remaining_minute
}

mod backoff;
mod cases;
mod config_text;
mod configuration;
mod estimates;
#[cfg(feature = "serde")]
mod files;
mod in_flight;
mod limits;
mod model;
mod pauses;
mod permits;
mod shared;
mod threads;
