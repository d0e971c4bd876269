//! Refusals that tell no wait back off all callers.

use core::time::Duration;

use http::StatusCode;
use tidegate::{ApiRateLimiter, Clock, LimitKind, ManualClock, RateLimitConfig};

use super::{Limiter, observe};

const SECOND: Duration = Duration::from_secs(1);

fn limiter(seed: u64) -> Limiter {
    let config = RateLimitConfig {
        requests_per_minute: 10_000,
        requests_per_hour: 100_000,
        burst_size: 1_000,
        backoff_base: SECOND,
        backoff_max: Duration::from_secs(60),
        backoff_seed: Some(seed),
        ..RateLimitConfig::DEFAULT
    };
    ApiRateLimiter::with_clock(config, ManualClock::new()).expect("valid")
}

/// The pause that a refusal without a wait begins.
fn refused(limiter: &Limiter) -> Duration {
    assert!(!limiter.check().is_limited);
    observe(limiter, 429, &[]);
    let status = limiter.check();
    assert_eq!(status.limited_by, Some(LimitKind::Pause));
    status.retry_after()
}

/// One worker that calls whenever it may, and a server that refuses without a word.
#[test]
fn worker_makes_few_calls_against_a_server_that_only_refuses() {
    for seed in 0..100 {
        let limiter = limiter(seed);
        let mut calls = 0;
        while limiter.clock().now() < tidegate::Timestamp::ZERO + 10 * SECOND {
            let status = limiter.try_acquire();
            if status.is_limited {
                limiter.clock().advance(status.retry_after());
            } else {
                calls += 1;
                observe(&limiter, 429, &[]);
            }
        }
        // Pauses of 0.5-1, 1-2, 2-4 and 4-8 seconds.
        assert!((4..=5).contains(&calls), "{calls} calls");
    }
}

#[test]
fn pauses_double_up_to_the_longest_and_are_jittered() {
    let mut shortest = [Duration::MAX; 8];
    let mut longest = [Duration::ZERO; 8];
    for seed in 0..200 {
        let limiter = limiter(seed);
        for step in 0..8 {
            let pause = refused(&limiter);
            shortest[step] = shortest[step].min(pause);
            longest[step] = longest[step].max(pause);
            limiter.clock().advance(pause);
        }
    }
    for (step, ceiling) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
        let ceiling = Duration::from_secs(ceiling);
        assert!(longest[step] <= ceiling && shortest[step] >= ceiling / 2);
        assert!(longest[step] > ceiling * 9 / 10 && shortest[step] < ceiling * 6 / 10);
    }
}

#[test]
fn refusals_of_calls_in_flight_are_one_step() {
    let limiter = limiter(1);
    let pause = refused(&limiter);
    for _ in 0..100 {
        observe(&limiter, 429, &[("retry-after", "0")]);
    }
    assert_eq!(limiter.check().retry_after(), pause);
    limiter.clock().advance(pause);
    assert!(refused(&limiter) <= 2 * SECOND, "the second step");
}

#[test]
fn success_ends_the_row() {
    let limiter = limiter(1);
    for _ in 0..6 {
        let pause = refused(&limiter);
        // Sent before the pause.
        observe(&limiter, 200, &[]);
        limiter.clock().advance(pause);
    }
    assert!(refused(&limiter) >= 30 * SECOND);
    limiter.clock().advance(60 * SECOND);
    observe(&limiter, 200, &[]);
    assert!(refused(&limiter) <= SECOND);
}

#[test]
fn long_time_without_refusals_ends_the_row() {
    let limiter = limiter(1);
    for _ in 0..6 {
        let pause = refused(&limiter);
        limiter.clock().advance(pause);
    }
    limiter.clock().advance(61 * SECOND);
    assert!(refused(&limiter) <= SECOND);
}

#[test]
fn wait_that_is_told_is_no_step() {
    let limiter = limiter(1);
    for _ in 0..5 {
        observe(&limiter, 429, &[("retry-after", "3")]);
        assert_eq!(limiter.check().retry_after(), 3 * SECOND);
        limiter.clock().advance(3 * SECOND);
    }
    limiter.observe_body(
        StatusCode::TOO_MANY_REQUESTS,
        r#"{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"45.837906927s"}]}}"#,
    );
    let told = Duration::from_nanos(45_837_906_927);
    assert_eq!(limiter.check().retry_after(), told);
    limiter.clock().advance(told);
    assert!(refused(&limiter) <= SECOND);
}

#[test]
fn header_fields_in_a_body_are_read() {
    let limiter = limiter(1);
    limiter.observe_body_at(
        StatusCode::TOO_MANY_REQUESTS,
        r#"{"error":{"code":429,"metadata":{"headers":{
            "X-RateLimit-Limit":"20","X-RateLimit-Remaining":"0",
            "X-RateLimit-Reset":"1795521637000"}}}}"#,
        limiter.clock().now(),
        super::noon(),
    );
    assert_eq!(limiter.check().retry_after(), 37 * SECOND);
    // Only of refusals.
    let limiter = self::limiter(1);
    limiter.observe_body(StatusCode::OK, r#"{"retryDelay":"9s"}"#);
    assert!(!limiter.check().is_limited);
}

#[test]
fn wait_in_a_body_takes_the_place_of_the_backoff_of_its_headers() {
    let limiter = limiter(3);
    for _ in 0..6 {
        observe(&limiter, 429, &[]);
        limiter.observe_body(
            StatusCode::TOO_MANY_REQUESTS,
            r#"{"error":{"details":[{"@type":"google.rpc.RetryInfo","retryDelay":"0.1s"}]}}"#,
        );
        assert_eq!(limiter.check().retry_after(), Duration::from_millis(100));
        limiter.clock().advance(Duration::from_millis(100));
    }
    assert!(refused(&limiter) <= SECOND);
}
