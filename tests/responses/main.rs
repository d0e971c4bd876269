//! What an `ApiRateLimiter` makes of a provider's responses.
#![cfg(feature = "http")]

extern crate alloc;

use core::time::Duration;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tidegate::{ApiRateLimiter, Clock, ManualClock, RateLimitConfig};

mod adaptive;
mod backoff;
#[cfg(all(feature = "tokio", feature = "tower"))]
mod client;
mod reading;
mod simulated;
mod views;

type Limiter = ApiRateLimiter<ManualClock>;

/// 2026-11-24T12:00:00Z.
fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_521_600)
}

fn limiter() -> Limiter {
    let config = RateLimitConfig {
        input_tokens_per_minute: Some(40_000),
        output_tokens_per_minute: Some(8_000),
        // So that what is read is all that pauses.
        enable_backoff: false,
        ..RateLimitConfig::DEFAULT
    };
    ApiRateLimiter::with_clock(config, ManualClock::new()).expect("valid")
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for &(name, value) in pairs {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header value");
        headers.append(HeaderName::from_static(name), value);
    }
    headers
}

/// Observes a response as of now; the wall clock says that the limiter's clock began at noon.
fn observe(limiter: &Limiter, status: u16, pairs: &[(&'static str, &str)]) {
    let status = StatusCode::from_u16(status).expect("a status");
    let now = limiter.clock().now();
    let wall_clock = noon() + Duration::from_nanos(now.as_nanos());
    limiter.observe_response_at(status, &headers(pairs), now, wall_clock);
}
