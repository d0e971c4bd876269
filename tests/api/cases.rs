//! Cases that were published for other libraries and services, named as in our collection of them.

use super::*;

#[test]
fn r01_the_sum_of_admitted_reservations_never_exceeds_the_budget() {
    let (limiter, _) = limiter(RateLimitConfig {
        tokens_per_minute: 100,
        ..THOUSAND
    });
    let calls = [58, 80, 175, 175, 175];
    let reserved = parallel::in_parallel(calls.len(), |call| {
        let permit = limiter.reserve_tokens(calls[call]);
        // Kept until the others have asked, as calls that take a while.
        permit
            .map(|mut permit| permit.commit())
            .map_or(0, |()| calls[call])
    });
    let sum: u64 = reserved.iter().sum();
    assert!(sum == 58 || sum == 80, "R01: {reserved:?}");
    assert_eq!(tokens_left(&limiter), 100 - sum, "R01");
}

#[test]
fn r02_an_implicit_estimate_is_capped_and_an_explicit_one_is_refused_for_good() {
    let (limiter, _) = limiter(THOUSAND);
    let usage = TokenUsage::new(1, 1_024);
    let implicit = limiter.reserve_tokens(TokenEstimate::guess(usage));
    implicit.expect("R02").settle(TokenUsage::new(1, 20));
    let explicit = limiter.reserve_tokens(usage).unwrap_err();
    assert!(explicit.is_permanent, "R02: {explicit}");
}

#[test]
fn r04_refusals_leave_the_level_unchanged() {
    let (limiter, _) = limiter(THOUSAND);
    limiter.reserve_tokens(950).unwrap().settle(950);
    let before = (limiter.stats(), format!("{limiter:?}"));
    for _ in 0..1_000 {
        assert!(limiter.reserve_tokens(51).is_err(), "R04");
    }
    assert_eq!((limiter.stats(), format!("{limiter:?}")), before, "R04");
    assert!(limiter.reserve_tokens(50).is_ok(), "R04");
}

#[test]
fn r05_a_call_larger_than_a_seconds_budget_does_not_wait_for_ever() {
    let (limiter, _) = limiter(RateLimitConfig {
        tokens_per_minute: 90_000,
        ..THOUSAND
    });
    limiter
        .reserve_tokens_blocking(2_000)
        .expect("R05")
        .settle(2_000);
    assert_eq!(tokens_left(&limiter), 88_000, "R05");

    // And where a second's budget is all there is: an error for good, or a debt.
    let (limiter, clock) = self::limiter(RateLimitConfig {
        tokens_per_minute: 1_500,
        ..THOUSAND
    });
    assert!(
        limiter
            .reserve_tokens_blocking(2_000)
            .unwrap_err()
            .is_permanent,
        "R05"
    );
    spend(&limiter, 1);
    limiter.record_tokens(2_000);
    clock.advance(limiter.check().retry_after);
    spend(&limiter, 1);
}

#[test]
fn r08_reserve_then_settle_and_cache_reads_do_not_count() {
    let (limiter, clock) = limiter(RateLimitConfig {
        input_tokens_per_minute: Some(600),
        output_tokens_per_minute: Some(400),
        ..THOUSAND
    });
    // 500 of input, of which it turns out that 450 were read from the cache; 400 of output at the most.
    let permit = limiter.reserve_tokens(TokenUsage::new(500, 400)).unwrap();
    permit.settle(TokenUsage::new(50, 120));
    assert_eq!(tokens_left(&limiter), 830, "R08");
    assert_eq!(limiter.check().tokens_remaining, 280, "R08: of output");

    limiter.pause_for(7 * SECOND); // `retry-after: 7`
    clock.advance((7 * SECOND).saturating_sub(NANO));
    assert!(limiter.try_acquire().is_limited, "R08: certain to fail");
    clock.advance(NANO);
    assert!(!limiter.try_acquire().is_limited, "R08");
}

#[test]
fn r09_a_caller_who_waits_holds_nothing() {
    let (limiter, clock) = stepped(THOUSAND);
    limiter.record_tokens(1_000);
    let idle = limiter.stats();
    let results = clock.run(2, |thread| {
        if thread == 0 {
            limiter
                .reserve_tokens_blocking(500)
                .expect("R09")
                .settle(500);
            return limiter.stats();
        }
        // Wakes up while the other sleeps, and finds every request that there was.
        clock.sleep_until(clock.now() + SECOND);
        limiter.stats()
    });
    let meanwhile = results[1];
    assert_eq!(meanwhile.requests_remaining_minute, 50, "R09");
    assert_eq!(meanwhile.burst_remaining, idle.burst_remaining, "R09");
    assert_eq!(
        (meanwhile.total_requests, meanwhile.in_flight),
        (0, 0),
        "R09"
    );
    assert_eq!(results[0].total_requests, 1, "R09");
}

#[test]
fn r10_failed_requests_count_bursts_are_small_and_the_longer_reset_counts() {
    let (limiter, clock) = limiter(RateLimitConfig {
        requests_per_minute: 60_000,
        requests_per_hour: 1_000_000,
        burst_size: 1_000,
        ..THOUSAND
    });
    spend(&limiter, 1_000);
    assert_eq!(limiter.check().limited_by, Some(LimitKind::Burst), "R10");
    clock.advance(SECOND);
    spend(&limiter, 1_000);
    clock.advance(SECOND);

    // A request that fails is settled with what it used, and stays a request.
    limiter.reserve_tokens(100).unwrap().settle(0);
    assert_eq!(limiter.stats().total_requests, 2_001, "R10");

    limiter.pause_for(6 * MINUTE); // x-ratelimit-reset-tokens: 6m0s
    limiter.pause_for(SECOND); // x-ratelimit-reset-requests: 1s
    assert_eq!(limiter.check().wait_time, 6 * MINUTE, "R10");
}

#[test]
fn r12_the_refusal_names_the_limit_with_its_own_wait() {
    let (limiter, _) = limiter(THOUSAND);
    limiter.record_tokens(990);
    let status = limiter.reserve_tokens(30).unwrap_err();
    assert_eq!(status.limited_by, Some(LimitKind::Tokens), "R12");
    assert_eq!(status.retry_after, TOKEN * 20, "R12");
    assert!(
        status
            .message
            .starts_with("minute limit of 1000 tokens reached"),
        "R12"
    );
}

#[test]
fn r13_the_current_period_can_be_closed_and_the_next_opens_normally() {
    let (limiter, clock) = limiter(THOUSAND);
    spend(&limiter, 1);
    // A 429 while tokens remain: nobody until the reset, and what was left locally is not to be had any more.
    limiter.pause_for(20 * SECOND);
    limiter.record_tokens(limiter.check().tokens_remaining);
    assert!(limiter.try_acquire().is_limited, "R13");
    clock.advance(20 * SECOND);
    let status = limiter.try_acquire();
    assert!(!status.is_limited, "R13");
    assert_eq!(status.tokens_remaining, 333, "R13: a third of a minute's");
}
