use core::error::Error;

use tidegate::{ConfigError, ConfigErrorKind, QuotaError, WindowError};

use super::*;

fn error(change: impl FnOnce(&mut RateLimitConfig)) -> ConfigError {
    let mut config = RateLimitConfig::DEFAULT;
    change(&mut config);
    let error = config.validate().expect_err("it is wrong");
    let made = ApiRateLimiter::with_clock(config, ManualClock::new());
    assert_eq!(made.err(), Some(error), "the same when it is used");
    error
}

#[test]
fn zero_is_invalid_in_every_field() {
    type Change = fn(&mut RateLimitConfig);
    let zeros: [(&str, Change, &str); 10] = [
        (
            "requests_per_minute",
            |c| c.requests_per_minute = 0,
            "the limit is zero",
        ),
        (
            "requests_per_hour",
            |c| c.requests_per_hour = 0,
            "the limit is zero",
        ),
        (
            "requests_per_day",
            |c| c.requests_per_day = Some(0),
            "the limit is zero",
        ),
        ("burst_size", |c| c.burst_size = 0, "the burst is zero"),
        (
            "tokens_per_minute",
            |c| c.tokens_per_minute = 0,
            "the rate is zero",
        ),
        (
            "tokens_per_day",
            |c| c.tokens_per_day = Some(0),
            "the rate is zero",
        ),
        (
            "input_tokens_per_minute",
            |c| c.input_tokens_per_minute = Some(0),
            "the rate is zero",
        ),
        (
            "output_tokens_per_minute",
            |c| c.output_tokens_per_minute = Some(0),
            "the rate is zero",
        ),
        (
            "max_in_flight",
            |c| c.max_in_flight = Some(0),
            "must not be zero",
        ),
        (
            "backoff_base",
            |c| c.backoff_base = Duration::ZERO,
            "must not be zero",
        ),
    ];
    for (field, change, message) in zeros {
        let error = error(change);
        assert_eq!(error.field(), field);
        assert_eq!(error.to_string(), format!("`{field}`: {message}"));
    }
}

#[test]
fn unrepresentable_rate_is_invalid_in_every_field() {
    type Change = fn(&mut RateLimitConfig);
    let windows: [(&str, Change); 3] = [
        ("requests_per_minute", |c| c.requests_per_minute = u64::MAX),
        ("requests_per_hour", |c| c.requests_per_hour = u64::MAX),
        ("requests_per_day", |c| c.requests_per_day = Some(u64::MAX)),
    ];
    for (field, change) in windows {
        let error = error(change);
        assert_eq!(error.field(), field);
        let ConfigErrorKind::Window(WindowError::LimitTooLarge { max }) = error.kind() else {
            panic!("{error}");
        };
        let message =
            format!("the limit is too large for so short a window or slot: at most {max}");
        assert_eq!(error.to_string(), format!("`{field}`: {message}"));
        assert_eq!(error.source().unwrap().to_string(), message);
    }

    let buckets: [(&str, Change); 4] = [
        ("tokens_per_minute", |c| c.tokens_per_minute = u64::MAX),
        ("tokens_per_day", |c| c.tokens_per_day = Some(u64::MAX)),
        ("input_tokens_per_minute", |c| {
            c.input_tokens_per_minute = Some(u64::MAX);
        }),
        ("output_tokens_per_minute", |c| {
            c.output_tokens_per_minute = Some(u64::MAX);
        }),
    ];
    for (field, change) in buckets {
        let error = error(change);
        assert_eq!(error.field(), field);
        assert_eq!(
            error.kind(),
            ConfigErrorKind::Quota(QuotaError::RateTooHigh)
        );
        let message = "the rate is above 10^12 per second";
        assert_eq!(error.to_string(), format!("`{field}`: {message}"));
    }

    let error = error(|config| config.burst_size = u64::MAX);
    assert_eq!(error.field(), "burst_size");
    assert_eq!(
        error.to_string(),
        "`burst_size`: the burst is larger than this rate allows: at most 26298000000"
    );
}

#[test]
fn backoff_max_below_base_is_invalid() {
    let error = error(|config| config.backoff_max = Duration::from_millis(999));
    assert_eq!(error.kind(), ConfigErrorKind::BelowBase);
    assert_eq!(
        error.to_string(),
        "`backoff_max`: must not be below `backoff_base`"
    );
}

#[test]
fn disabled_backoff_is_not_validated() {
    let config = RateLimitConfig {
        enable_backoff: false,
        backoff_base: Duration::ZERO,
        backoff_max: Duration::ZERO,
        ..RateLimitConfig::DEFAULT
    };
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn largest_values_work() {
    let (limiter, _) = limiter(RateLimitConfig {
        requests_per_minute: 1 << 32,
        requests_per_hour: 1 << 36,
        requests_per_day: Some(1 << 40),
        tokens_per_minute: 60_000_000_000_000,
        tokens_per_day: Some(1 << 55),
        burst_size: u64::from(u32::MAX),
        max_in_flight: Some(u64::MAX),
        backoff_base: Duration::MAX,
        backoff_max: Duration::MAX,
        ..RateLimitConfig::DEFAULT
    });
    limiter
        .reserve_tokens(60_000_000_000_000)
        .unwrap()
        .settle(0);
    assert!(!limiter.try_acquire().is_limited);
}
