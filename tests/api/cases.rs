//! Cases that were published for other libraries and services.

use super::*;

#[test]
fn concurrent_reservations_stay_within_the_budget() {
    let (limiter, _) = limiter(RateLimitConfig {
        tokens_per_minute: 100,
        ..THOUSAND
    });
    let calls = [58, 80, 175, 175, 175];
    let reserved = parallel::in_parallel(calls.len(), |call| {
        let permit = limiter.reserve_tokens(calls[call]);
        // Committed, so that the charge stays as for a long call.
        permit
            .map(|mut permit| permit.commit())
            .map_or(0, |()| calls[call])
    });
    let sum: u64 = reserved.iter().sum();
    assert!(sum == 58 || sum == 80, "{reserved:?}");
    assert_eq!(tokens_left(&limiter), 100 - sum);
}

#[test]
fn refusals_change_no_level() {
    let (limiter, _) = limiter(THOUSAND);
    limiter.reserve_tokens(950).unwrap().settle(950);
    let before = (limiter.stats(), format!("{limiter:?}"));
    for _ in 0..1_000 {
        assert!(limiter.reserve_tokens(51).is_err());
    }
    assert_eq!((limiter.stats(), format!("{limiter:?}")), before);
    assert!(limiter.reserve_tokens(50).is_ok());
}

#[test]
fn call_above_a_budget_per_second_does_not_wait_forever() {
    let (limiter, _) = limiter(RateLimitConfig {
        tokens_per_minute: 90_000,
        ..THOUSAND
    });
    limiter.acquire_tokens(2_000).wait().unwrap().settle(2_000);
    assert_eq!(tokens_left(&limiter), 88_000);

    // If the budget per second is the whole limit: a permanent refusal, or a debt.
    let (limiter, clock) = self::limiter(RateLimitConfig {
        tokens_per_minute: 1_500,
        ..THOUSAND
    });
    assert!(
        limiter
            .acquire_tokens(2_000)
            .wait()
            .unwrap_err()
            .is_permanent
    );
    spend(&limiter, 1);
    limiter.record_tokens(2_000);
    clock.advance(limiter.check().retry_after());
    spend(&limiter, 1);
}

#[test]
fn settling_excludes_cached_tokens() {
    let (limiter, clock) = limiter(RateLimitConfig {
        input_tokens_per_minute: Some(600),
        output_tokens_per_minute: Some(400),
        ..THOUSAND
    });
    // Of 500 input tokens, 450 turn out to come from the cache. At most 400 are output.
    let permit = limiter.reserve_tokens(TokenUsage::new(500, 400)).unwrap();
    permit.settle(TokenUsage::new(50, 120));
    assert_eq!(tokens_left(&limiter), 830);
    assert_eq!(limiter.check().tokens_remaining, 280, "output tokens");

    limiter.pause_for(7 * SECOND); // `retry-after: 7`
    clock.advance((7 * SECOND).saturating_sub(NANO));
    assert!(limiter.try_acquire().is_limited, "certain to fail");
    clock.advance(NANO);
    assert!(!limiter.try_acquire().is_limited);
}

#[test]
fn waiter_holds_no_permit() {
    let (limiter, clock) = stepped(THOUSAND);
    limiter.record_tokens(1_000);
    let idle = limiter.stats();
    let results = clock.run(2, |thread| {
        if thread == 0 {
            limiter.acquire_tokens(500).wait().unwrap().settle(500);
            return limiter.stats();
        }
        // Runs while the other thread sleeps, and sees every request still available.
        clock.sleep_until(clock.now() + SECOND);
        limiter.stats()
    });
    let meanwhile = results[1];
    assert_eq!(meanwhile.requests_remaining_minute, 50);
    assert_eq!(meanwhile.burst_remaining, idle.burst_remaining);
    assert_eq!((meanwhile.total_requests, meanwhile.in_flight), (0, 0));
    assert_eq!(results[0].total_requests, 1);
}

#[test]
fn failed_request_counts_and_longer_pause_wins() {
    let (limiter, clock) = limiter(RateLimitConfig {
        requests_per_minute: 60_000,
        requests_per_hour: 1_000_000,
        burst_size: 1_000,
        ..THOUSAND
    });
    spend(&limiter, 1_000);
    assert_eq!(limiter.check().limited_by, Some(LimitKind::Burst));
    clock.advance(SECOND);
    spend(&limiter, 1_000);
    clock.advance(SECOND);

    // A failed request is settled with the tokens that it used, and stays a request.
    limiter.reserve_tokens(100).unwrap().settle(0);
    assert_eq!(limiter.stats().total_requests, 2_001);

    limiter.pause_for(6 * MINUTE); // x-ratelimit-reset-tokens: 6m0s
    limiter.pause_for(SECOND); // x-ratelimit-reset-requests: 1s
    assert_eq!(limiter.check().wait_time(), 6 * MINUTE);
}

#[test]
fn current_period_can_be_closed() {
    let (limiter, clock) = limiter(THOUSAND);
    spend(&limiter, 1);
    // A 429 while tokens remain: no call is admitted until the reset, and the local tokens are
    // spent.
    limiter.pause_for(20 * SECOND);
    limiter.record_tokens(limiter.check().tokens_remaining);
    assert!(limiter.try_acquire().is_limited);
    clock.advance(20 * SECOND);
    let status = limiter.try_acquire();
    assert!(!status.is_limited);
    assert_eq!(status.tokens_remaining, 333, "a third of a minute's");
}
