//! Another configuration for an API limiter in use.

use core::time::Duration;

use tidegate::{ApiRateLimiter, ConfigErrorKind, ManualClock, RateLimitConfig};

const CONFIG: RateLimitConfig = RateLimitConfig {
    requests_per_minute: 60,
    burst_size: 10,
    tokens_per_minute: 6_000,
    tokens_per_day: Some(100_000),
    max_in_flight: Some(3),
    enable_backoff: false,
    ..RateLimitConfig::DEFAULT
};

fn limiter() -> (ApiRateLimiter<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    (
        ApiRateLimiter::with_clock(CONFIG, clock.clone()).expect("valid"),
        clock,
    )
}

#[test]
fn levels_stay_and_new_numbers_hold() {
    let (api, clock) = limiter();
    for _ in 0..4 {
        assert!(!api.try_acquire().is_limited);
    }
    api.record_tokens(5_000);
    let config = RateLimitConfig {
        requests_per_minute: 120,
        burst_size: 20,
        tokens_per_minute: 60_000,
        tokens_per_day: Some(70_000),
        ..CONFIG
    };
    api.reconfigure(config).expect("valid");
    assert_eq!(*api.config(), config);
    let stats = api.stats();
    assert_eq!(stats.burst_remaining, 6);
    assert_eq!(stats.requests_remaining_minute, 116);
    assert_eq!(
        (stats.tokens_remaining_minute, stats.tokens_remaining_day),
        (1_000, Some(70_000))
    );
    assert_eq!((stats.total_requests, stats.total_tokens_used), (4, 5_000));

    clock.advance(Duration::from_secs(1));
    let stats = api.stats();
    assert_eq!(
        (stats.burst_remaining, stats.tokens_remaining_minute),
        (8, 2_000)
    );
    for _ in 0..8 {
        assert!(!api.try_acquire().is_limited);
    }
    let refused = api.try_acquire();
    assert!(refused.is_limited);
    assert_eq!(refused.retry_after(), Duration::from_millis(500));
}

#[test]
fn lower_windows_remember_their_requests() {
    let (api, clock) = limiter();
    for _ in 0..10 {
        assert!(!api.try_acquire().is_limited);
    }
    api.reconfigure(RateLimitConfig {
        requests_per_minute: 8,
        ..CONFIG
    })
    .expect("valid");
    clock.advance(Duration::from_secs(30));
    assert!(api.try_acquire().is_limited, "10 of 8 in the last minute");
    clock.advance(Duration::from_secs(31));
    assert!(!api.try_acquire().is_limited);
    assert_eq!(api.stats().requests_remaining_minute, 7);
}

#[test]
fn calls_in_flight_stay_in_flight() {
    let (api, _) = limiter();
    let permits: Vec<_> = (0..3)
        .map(|_| api.reserve_tokens(10).expect("valid"))
        .collect();
    api.reconfigure(RateLimitConfig {
        max_in_flight: Some(2),
        ..CONFIG
    })
    .expect("valid");
    let mut permits = permits.into_iter();
    drop(permits.next());
    assert!(api.reserve_tokens(10).is_err(), "two are in flight");
    drop(permits.next());
    assert!(api.reserve_tokens(10).is_ok());
    api.reconfigure(RateLimitConfig {
        max_in_flight: None,
        ..CONFIG
    })
    .expect("valid");
    let more: Vec<_> = (0..5)
        .map(|_| api.reserve_tokens(10).expect("valid"))
        .collect();
    assert_eq!(more.len(), 5);
}

#[test]
fn invalid_configurations_change_nothing() {
    let (api, _) = limiter();
    let invalid = [
        (
            "burst_size",
            RateLimitConfig {
                burst_size: 0,
                tokens_per_minute: 1,
                ..CONFIG
            },
        ),
        (
            "max_in_flight",
            RateLimitConfig {
                max_in_flight: Some(0),
                ..CONFIG
            },
        ),
        (
            "tokens_per_day",
            RateLimitConfig {
                tokens_per_day: None,
                ..CONFIG
            },
        ),
        (
            "requests_per_day",
            RateLimitConfig {
                requests_per_day: Some(9),
                ..CONFIG
            },
        ),
        (
            "backoff_seed",
            RateLimitConfig {
                backoff_seed: Some(1),
                ..CONFIG
            },
        ),
    ];
    for (field, config) in invalid {
        let error = api.reconfigure(config).unwrap_err();
        assert_eq!(error.field(), field);
        assert_eq!(*api.config(), CONFIG);
        assert_eq!(api.stats().tokens_remaining_minute, 6_000);
    }
    let none = RateLimitConfig {
        input_tokens_per_minute: Some(5),
        ..CONFIG
    };
    assert_eq!(
        api.reconfigure(none).unwrap_err().kind(),
        ConfigErrorKind::Fixed
    );
}

#[test]
fn pauses_outlast_a_change() {
    let (api, clock) = limiter();
    api.pause_for(Duration::from_secs(5));
    api.reconfigure(RateLimitConfig {
        burst_size: 50,
        ..CONFIG
    })
    .expect("valid");
    assert_eq!(api.try_acquire().retry_after(), Duration::from_secs(5));
    clock.advance(Duration::from_secs(5));
    assert!(!api.try_acquire().is_limited);
}
