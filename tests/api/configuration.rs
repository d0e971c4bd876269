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
        ("requests_per_minute", |c| {
            c.requests_per_minute = u64::MAX - 1;
        }),
        ("requests_per_hour", |c| c.requests_per_hour = u64::MAX - 1),
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
        ("tokens_per_minute", |c| c.tokens_per_minute = u64::MAX - 1),
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

    let error = error(|config| config.burst_size = u64::MAX - 1);
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

#[test]
fn contradictions_are_named() {
    type Change = fn(&mut RateLimitConfig);
    let table: [(Change, &str, &str); 4] = [
        (
            |c| c.requests_per_minute = 600,
            "requests_per_hour",
            "requests_per_minute",
        ),
        (
            |c| {
                c.requests_per_minute = 60;
                c.requests_per_day = Some(59);
            },
            "requests_per_day",
            "requests_per_minute",
        ),
        (
            |c| {
                c.requests_per_hour = 600;
                c.requests_per_day = Some(599);
            },
            "requests_per_day",
            "requests_per_hour",
        ),
        (
            |c| {
                c.tokens_per_minute = 1_000;
                c.tokens_per_day = Some(999);
            },
            "tokens_per_day",
            "tokens_per_minute",
        ),
    ];
    for (change, field, other) in table {
        let error = error(change);
        assert_eq!(error.field(), field);
        assert_eq!(error.kind(), ConfigErrorKind::Below { other });
        let start = format!("`{field}`: must not be below `{other}`; `RateLimitConfig::UNLIMITED`");
        assert!(error.to_string().starts_with(&start), "{error}");
    }
    let burst_alone = RateLimitConfig {
        burst_size: 5,
        ..RateLimitConfig::UNLIMITED
    };
    let error = burst_alone.validate().expect_err("without a rate");
    assert_eq!(
        error.to_string(),
        "`burst_size`: needs a limit of a minute, hour or day, at whose rate it fills up"
    );
    // Equal numbers do not contradict each other, and defaults give way.
    let equal = RateLimitConfig {
        requests_per_minute: 500,
        requests_per_hour: 500,
        requests_per_day: Some(500),
        ..RateLimitConfig::DEFAULT
    };
    let lower = RateLimitConfig {
        requests_per_hour: 30,
        requests_per_day: Some(30),
        tokens_per_day: Some(10),
        ..RateLimitConfig::DEFAULT
    };
    assert_eq!((equal.validate(), lower.validate()), (Ok(()), Ok(())));
}

#[test]
fn limits_are_optional() {
    let (limiter, clock) = limiter(RateLimitConfig::UNLIMITED);
    for _ in 0..100_000 {
        assert!(!limiter.try_acquire().is_limited);
    }
    let permit = limiter.reserve_tokens(1 << 40).expect("no limit");
    permit.settle(7);
    let stats = limiter.stats();
    assert_eq!(stats.requests_remaining_minute, RateLimitConfig::NO_LIMIT);
    assert_eq!(stats.tokens_remaining_minute, RateLimitConfig::NO_LIMIT);
    assert_eq!(
        (stats.total_requests, stats.total_tokens_used),
        (100_001, 7)
    );
    assert_eq!(
        limiter.check().to_string(),
        "not limited: unlimited requests and unlimited tokens remaining"
    );
    limiter.pause_for(Duration::from_secs(1));
    assert!(limiter.try_acquire().is_limited);
    clock.advance(Duration::from_secs(1));
    assert!(!limiter.try_acquire().is_limited);

    // The burst fills up at the rate of the shortest limited period.
    let (hourly, clock) = self::limiter(RateLimitConfig {
        requests_per_hour: 3_600,
        burst_size: 2,
        ..RateLimitConfig::UNLIMITED
    });
    assert!(!hourly.try_acquire().is_limited && !hourly.try_acquire().is_limited);
    let refused = hourly.try_acquire();
    assert_eq!(refused.limited_by, Some(LimitKind::Burst));
    assert_eq!(refused.retry_after(), Duration::from_secs(1));
    clock.advance(Duration::from_secs(1));
    assert!(!hourly.try_acquire().is_limited);
}

#[test]
fn each_limit_can_be_the_only_one() {
    type Change = fn(&mut RateLimitConfig);
    let table: [(Change, LimitKind); 6] = [
        (|c| c.requests_per_minute = 3, LimitKind::Minute),
        (|c| c.requests_per_hour = 3, LimitKind::Hour),
        (|c| c.requests_per_day = Some(3), LimitKind::Day),
        (|c| c.tokens_per_minute = 3, LimitKind::Tokens),
        (|c| c.tokens_per_day = Some(3), LimitKind::TokensPerDay),
        (
            |c| c.output_tokens_per_minute = Some(3),
            LimitKind::OutputTokens,
        ),
    ];
    for (change, kind) in table {
        let mut config = RateLimitConfig::UNLIMITED;
        change(&mut config);
        let (limiter, _) = self::limiter(config);
        for _ in 0..3 {
            drop(limiter.reserve_tokens(1).expect("3 are there")); // canceled
            let permit = limiter.reserve_tokens(1).expect("3 are there");
            permit.settle(1);
        }
        let refused = limiter.reserve_tokens(1).expect_err("used up");
        assert_eq!(refused.limited_by, Some(kind));
        assert!(limiter.try_acquire().is_limited, "{kind:?}");
        assert!(limiter.reserve_tokens(0).is_err());
    }
}

#[test]
fn limit_cannot_be_added_or_removed_in_use() {
    let config = RateLimitConfig {
        requests_per_minute: 50,
        ..RateLimitConfig::UNLIMITED
    };
    let (limiter, _) = limiter(config);
    let with_hour = RateLimitConfig {
        requests_per_hour: 500,
        ..config
    };
    let error = limiter.reconfigure(with_hour).expect_err("a new limit");
    assert_eq!(error.field(), "requests_per_hour");
    assert_eq!(error.kind(), ConfigErrorKind::Fixed);
    let error = limiter.reconfigure(RateLimitConfig::UNLIMITED);
    assert_eq!(error.expect_err("one less").field(), "requests_per_minute");
    let more = RateLimitConfig {
        requests_per_minute: 70,
        ..config
    };
    limiter.reconfigure(more).expect("the same limits");
    assert_eq!(limiter.check().requests_remaining, 70);
}
