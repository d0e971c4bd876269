use super::*;

const BACKOFF: RateLimitConfig = RateLimitConfig {
    burst_size: 1,
    enable_backoff: true,
    backoff_base: SECOND,
    backoff_max: Duration::from_secs(8),
    backoff_seed: Some(42),
    ..THOUSAND
};

/// What was added to the waits of refusals at these seconds of a streak.
fn added(config: RateLimitConfig, seconds: &[u64]) -> Vec<Duration> {
    let (limiter, clock) = limiter(config);
    limiter.pause_for(60 * MINUTE);
    let added_at = |&second: &u64| {
        clock.set(tidegate::Timestamp::ZERO + Duration::from_secs(second));
        let status = limiter.try_acquire();
        assert!(status.wait_time >= status.retry_after, "{status}");
        assert_eq!(
            status.retry_after,
            limiter.check().wait_time,
            "the bare wait"
        );
        status.wait_time.saturating_sub(status.retry_after)
    };
    seconds.iter().map(added_at).collect()
}

#[test]
fn a_told_wait_is_between_the_bare_one_and_the_ceiling_beyond_it() {
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
fn the_same_seed_gives_the_same_waits() {
    let seconds = [0, 1, 2, 3, 5, 8];
    assert_eq!(added(BACKOFF, &seconds), added(BACKOFF, &seconds));
    let other = RateLimitConfig {
        backoff_seed: Some(43),
        ..BACKOFF
    };
    assert_ne!(added(BACKOFF, &seconds), added(other, &seconds));
}

#[test]
fn without_backoff_the_bare_wait_is_told() {
    let off = RateLimitConfig {
        enable_backoff: false,
        ..BACKOFF
    };
    assert_eq!(added(off, &[0, 1, 100]), [Duration::ZERO; 3]);
}

#[test]
fn an_admission_ends_it() {
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
        let added = status.wait_time.saturating_sub(status.retry_after);
        assert!(added <= SECOND, "{added:?} a minute later");
    }
}

/// A refusal after an hour in which nobody came is a first one again.
#[test]
fn an_hour_without_callers_ends_it() {
    for seed in 0..100 {
        let (limiter, clock) = limiter(RateLimitConfig {
            backoff_seed: Some(seed),
            ..BACKOFF
        });
        spend(&limiter, 1);
        assert!(limiter.try_acquire().is_limited);
        clock.advance(60 * MINUTE);
        limiter.record_tokens(2_000); // a call that was made before the hour, and has come back
        let status = limiter.try_acquire();
        let added = status.wait_time.saturating_sub(status.retry_after);
        assert!(added <= SECOND, "{added:?} at the first refusal");
    }
}

/// Nobody is refused for it: it is for those who wait as they are told.
#[test]
fn who_comes_earlier_than_told_is_admitted_if_there_is_room() {
    let (limiter, clock) = limiter(BACKOFF);
    spend(&limiter, 1);
    let status = limiter.try_acquire();
    assert!(status.wait_time > status.retry_after);
    clock.advance(status.retry_after);
    assert!(!limiter.try_acquire().is_limited);
}

#[test]
fn a_wait_that_no_time_ends_is_not_stretched() {
    let (limiter, _) = limiter(RateLimitConfig {
        max_in_flight: Some(1),
        burst_size: 9,
        ..BACKOFF
    });
    assert_eq!(
        limiter.reserve_tokens(1_001).unwrap_err().wait_time,
        Duration::ZERO
    );
    let _permit = limiter.reserve_tokens(1).unwrap();
    assert_eq!(
        limiter.reserve_tokens(1).unwrap_err().wait_time,
        Duration::ZERO
    );
}

#[test]
fn who_waits_with_a_deadline_is_refused_for_the_bare_wait_only() {
    let (limiter, clock) = stepped(BACKOFF);
    spend(&limiter, 1);
    let turn = MINUTE / 50;
    let refused = limiter.acquire_blocking_timeout(turn.saturating_sub(NANO));
    assert!(refused.is_limited, "known beforehand");
    let (status, slept) = clock.sleep_in(|| limiter.acquire_blocking_timeout(turn));
    assert!(!status.is_limited);
    assert_eq!(slept, turn, "the deadline cuts the backoff off");
}
