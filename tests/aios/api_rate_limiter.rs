use super::*;

/// The requests that are admitted at once, and the limit that refuses the next.
fn at_once(config: RateLimitConfig) -> (u64, Option<LimitKind>) {
    let (limiter, _) = limiter(config);
    for admitted in 0.. {
        let status = limiter.try_acquire();
        if status.is_limited {
            return (admitted, status.limited_by);
        }
    }
    unreachable!("no limit refuses");
}

#[test]
fn requests_per_minute_is_the_most_per_minute() {
    let config = RateLimitConfig {
        burst_size: 1_000,
        ..CONFIG
    };
    assert_eq!(at_once(config), (50, Some(LimitKind::Minute)));
}

#[test]
fn requests_per_hour_is_the_most_per_hour() {
    let config = RateLimitConfig {
        requests_per_hour: 30,
        burst_size: 1_000,
        ..CONFIG
    };
    assert_eq!(at_once(config), (30, Some(LimitKind::Hour)));
}

#[test]
fn tokens_per_minute_is_the_most_per_minute() {
    let (limiter, clock) = limiter(STEADY);
    limiter.record_tokens(100_000);
    assert_eq!(limiter.check().limited_by, Some(LimitKind::Tokens));
    clock.advance(MINUTE);
    assert_eq!(limiter.check().tokens_remaining, 100_000);
}

#[test]
fn burst_size_allows_bursts_up_to_it() {
    assert_eq!(at_once(CONFIG), (10, Some(LimitKind::Burst)));
}

#[test]
fn enable_backoff_extends_waits() {
    for enable_backoff in [true, false] {
        let (limiter, clock) = limiter(RateLimitConfig {
            enable_backoff,
            backoff_seed: Some(1),
            ..CONFIG
        });
        spend(&limiter, 10);
        clock.advance(SECOND);
        let status = limiter.try_acquire();
        assert_eq!(status.wait_time() > status.retry_after(), enable_backoff);
    }
}

#[test]
fn limiter_combines_all_limits() {
    let (limiter, clock) = limiter(STEADY);
    let mut refused_by = Vec::new();
    // As fast as allowed, for a bit more than an hour, with the tokens of long prompts.
    while clock.now().as_nanos() < 3_700_000_000_000 {
        let status = limiter.try_acquire();
        if status.is_limited {
            let kind = status.limited_by.unwrap();
            if !refused_by.contains(&kind) {
                refused_by.push(kind);
            }
            clock.advance(status.wait_time());
        } else {
            let prompt = if limiter.stats().total_requests == 300 {
                150_000
            } else {
                1_500
            };
            limiter.record_tokens(prompt);
        }
    }
    let all = [
        LimitKind::Burst,
        LimitKind::Minute,
        LimitKind::Tokens,
        LimitKind::Hour,
    ];
    assert_eq!(refused_by.len(), 4, "{refused_by:?}");
    assert!(
        all.iter().all(|kind| refused_by.contains(kind)),
        "{refused_by:?}"
    );
}

#[test]
fn defaults_match_the_document() {
    let limiter = ApiRateLimiter::default();
    let config = limiter.config();
    assert_eq!(config.requests_per_minute, 50);
    assert_eq!(config.requests_per_hour, 500);
    assert_eq!(config.tokens_per_minute, 100_000);
    assert_eq!((config.burst_size, config.enable_backoff), (10, true));
    assert_eq!(*config, RateLimitConfig::default());
    assert_eq!(
        *config, CONFIG,
        "the document's example spells the defaults out"
    );
}

#[test]
fn check_changes_nothing() {
    let (limiter, _) = limiter(CONFIG);
    for _ in 0..100 {
        let status = limiter.check();
        assert!(!status.is_limited);
        assert_eq!(status.requests_remaining, 50);
        assert_eq!(status.tokens_remaining, 100_000);
    }
    assert_eq!(limiter.stats().total_requests, 0);
}

/// `limiter.acquire(blocking=True)`.
#[test]
fn blocking_acquire_waits() {
    let (limiter, clock) = stepped(STEADY);
    for _ in 0..10 {
        assert!(!limiter.acquire().wait().is_limited);
    }
    let (status, slept) = clock.sleep_in(|| limiter.acquire().wait());
    assert!(!status.is_limited);
    assert_eq!(slept, TURN);
}

/// `limiter.acquire(blocking=False)`.
#[test]
fn non_blocking_acquire_returns_the_wait() {
    let (limiter, clock) = limiter(STEADY);
    spend(&limiter, 10);
    let status = limiter.try_acquire();
    assert!(status.is_limited);
    assert_eq!(status.wait_time(), TURN);
    clock.advance(status.wait_time());
    assert!(!limiter.try_acquire().is_limited);
}
