use super::*;

const BACKOFF: RateLimitConfig = RateLimitConfig {
    burst_size: 1,
    enable_backoff: true,
    backoff_base: SECOND,
    backoff_max: Duration::from_secs(8),
    backoff_seed: Some(42),
    ..THOUSAND
};

/// The extra waits of refusals at these seconds of a streak.
fn added(config: RateLimitConfig, seconds: &[u64]) -> Vec<Duration> {
    let (limiter, clock) = limiter(config);
    limiter.pause_for(60 * MINUTE);
    let added_at = |&second: &u64| {
        clock.set(tidegate::Timestamp::ZERO + Duration::from_secs(second));
        let status = limiter.try_acquire();
        assert!(status.wait_time() >= status.retry_after(), "{status}");
        assert_eq!(
            status.retry_after(),
            limiter.check().wait_time(),
            "without the backoff"
        );
        status.wait_time().saturating_sub(status.retry_after())
    };
    seconds.iter().map(added_at).collect()
}

#[test]
fn wait_stays_below_the_ceiling() {
    for seed in 0..200 {
        let config = RateLimitConfig {
            backoff_seed: Some(seed),
            ..BACKOFF
        };
        let seconds = [0, 1, 3, 7, 100];
        let ceilings = [1, 2, 4, 8, 8].map(Duration::from_secs);
        for (added, ceiling) in added(config, &seconds).into_iter().zip(ceilings) {
            assert!(added <= ceiling, "{added:?} of {ceiling:?}");
        }
    }
}

#[test]
fn same_seed_gives_same_waits() {
    let seconds = [0, 1, 2, 3, 5, 8];
    assert_eq!(added(BACKOFF, &seconds), added(BACKOFF, &seconds));
    let other = RateLimitConfig {
        backoff_seed: Some(43),
        ..BACKOFF
    };
    assert_ne!(added(BACKOFF, &seconds), added(other, &seconds));
}

#[test]
fn no_backoff_adds_nothing() {
    let off = RateLimitConfig {
        enable_backoff: false,
        ..BACKOFF
    };
    assert_eq!(added(off, &[0, 1, 100]), [Duration::ZERO; 3]);
}

#[test]
fn admission_ends_the_backoff() {
    for seed in 0..100 {
        let (limiter, clock) = limiter(RateLimitConfig {
            backoff_seed: Some(seed),
            ..BACKOFF
        });
        limiter.pause_for(MINUTE);
        assert!(limiter.try_acquire().is_limited);
        clock.advance(MINUTE);
        spend(&limiter, 1);
        let status = limiter.try_acquire();
        let added = status.wait_time().saturating_sub(status.retry_after());
        assert!(added <= SECOND, "{added:?} a minute later");
    }
}

/// Backoff refuses no call. It only asks callers to wait longer.
#[test]
fn early_caller_is_admitted_if_limits_have_room() {
    let (limiter, clock) = limiter(BACKOFF);
    spend(&limiter, 1);
    let status = limiter.try_acquire();
    assert!(status.wait_time() > status.retry_after());
    clock.advance(status.retry_after());
    assert!(!limiter.try_acquire().is_limited);
}

#[test]
fn unknown_wait_is_not_extended() {
    let (limiter, _) = limiter(RateLimitConfig {
        max_in_flight: Some(1),
        burst_size: 9,
        ..BACKOFF
    });
    assert_eq!(
        limiter.reserve_tokens(1_001).unwrap_err().wait_time(),
        Duration::ZERO
    );
    let _permit = limiter.reserve_tokens(1).unwrap();
    assert_eq!(
        limiter.reserve_tokens(1).unwrap_err().wait_time(),
        Duration::ZERO
    );
}

#[test]
fn deadline_is_compared_with_retry_after() {
    let (limiter, clock) = stepped(BACKOFF);
    spend(&limiter, 1);
    let turn = MINUTE / 50;
    let refused = limiter.acquire().timeout(turn.saturating_sub(NANO)).wait();
    assert!(refused.is_limited, "before sleeping");
    let (status, slept) = clock.sleep_in(|| limiter.acquire().timeout(turn).wait());
    assert!(!status.is_limited);
    assert_eq!(slept, turn, "the deadline shortens the backoff");
}
