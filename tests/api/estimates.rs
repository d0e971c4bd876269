use super::*;

#[test]
fn a_guess_is_capped_at_each_limit() {
    let (limiter, _) = limiter(RateLimitConfig {
        output_tokens_per_minute: Some(400),
        ..THOUSAND
    });
    let guess = TokenEstimate::guess(TokenUsage::new(100, 64_000));
    let permit = limiter.reserve_tokens(guess).unwrap();
    assert_eq!(limiter.check().tokens_remaining, 0);
    permit.settle(TokenUsage::new(100, 150));
    assert_eq!(tokens_left(&limiter), 750);
    assert_eq!(limiter.check().tokens_remaining, 250, "of output");
}

#[test]
fn a_guess_that_is_kept_counts_as_capped() {
    let (limiter, _) = limiter(THOUSAND);
    let mut permit = limiter
        .reserve_tokens(TokenEstimate::guess(64_000))
        .unwrap();
    permit.commit();
    drop(permit);
    assert_eq!(limiter.stats().total_tokens_used, 1_000);
}

#[test]
fn an_explicit_estimate_above_a_limit_is_refused_for_good() {
    let (limiter, _) = limiter(THOUSAND);
    let status = limiter.reserve_tokens(1_001).unwrap_err();
    assert!(status.is_limited && status.is_permanent);
    assert_eq!(status.limited_by, Some(LimitKind::Tokens));
    assert_eq!(
        (status.wait_time, status.retry_after),
        (Duration::ZERO, Duration::ZERO)
    );
    assert_eq!(
        status.message,
        "above the minute limit of 1000 tokens, no wait helps"
    );
    assert_eq!(status.tokens_remaining, 1_000);
    assert_eq!(limiter.stats(), self::limiter(THOUSAND).0.stats());
}

#[test]
fn who_would_wait_is_told_that_no_wait_helps() {
    let (limiter, _) = limiter(THOUSAND);
    let status = limiter.reserve_tokens_blocking(1_001).unwrap_err();
    assert!(status.is_permanent);
}

#[test]
fn who_waits_for_tokens_is_admitted_when_they_are_there() {
    let (limiter, clock) = stepped(THOUSAND);
    limiter.record_tokens(1_000);
    let (left, slept) = clock.sleep_in(|| {
        limiter.reserve_tokens_blocking(100).unwrap().settle(100);
        tokens_left(&limiter)
    });
    assert_eq!((left, slept), (0, TOKEN * 100));
}

#[test]
fn an_estimate_of_nothing_is_a_request() {
    let (limiter, _) = limiter(THOUSAND);
    limiter.reserve_tokens(0).unwrap().settle(7);
    assert_eq!(tokens_left(&limiter), 993);
    limiter.record_tokens(993);
    let status = limiter.reserve_tokens(0).unwrap_err();
    assert_eq!(
        status.limited_by,
        Some(LimitKind::Tokens),
        "while no token is left"
    );
}

/// The debt ends where a bucket's does, far away: the next call waits long, and is told how long.
#[test]
fn any_use_is_a_debt_with_an_end() {
    let (limiter, clock) = limiter(THOUSAND);
    limiter.record_tokens(u64::MAX);
    limiter.record_tokens(u64::MAX);
    let status = limiter.try_acquire();
    assert!(!status.is_permanent && status.retry_after > 365 * 24 * 60 * MINUTE);
    clock.advance(status.retry_after.saturating_sub(NANO));
    assert!(limiter.check().is_limited);
    clock.advance(NANO);
    assert!(!limiter.check().is_limited);
}
