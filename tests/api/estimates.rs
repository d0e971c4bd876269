use super::*;

#[test]
fn guess_is_capped_at_each_limit() {
    let (limiter, _) = limiter(RateLimitConfig {
        output_tokens_per_minute: Some(400),
        ..THOUSAND
    });
    let guess = TokenEstimate::guess(TokenUsage::new(100, 64_000));
    let permit = limiter.reserve_tokens(guess).unwrap();
    assert_eq!(limiter.check().tokens_remaining, 0);
    permit.settle(TokenUsage::new(100, 150));
    assert_eq!(tokens_left(&limiter), 750);
    assert_eq!(limiter.check().tokens_remaining, 250, "output tokens");
}

#[test]
fn committed_guess_counts_as_capped() {
    let (limiter, _) = limiter(THOUSAND);
    let mut permit = limiter
        .reserve_tokens(TokenEstimate::guess(64_000))
        .unwrap();
    permit.commit();
    drop(permit);
    assert_eq!(limiter.stats().total_tokens_used, 1_000);
}

#[test]
fn explicit_estimate_above_a_limit_is_refused_permanently() {
    let (limiter, _) = limiter(THOUSAND);
    let status = limiter.reserve_tokens(1_001).unwrap_err();
    assert!(status.is_limited && status.is_permanent);
    assert_eq!(status.limited_by, Some(LimitKind::Tokens));
    assert_eq!(
        (status.wait_time(), status.retry_after()),
        (Duration::ZERO, Duration::ZERO)
    );
    assert_eq!(
        status.message(),
        "above the minute limit of 1000 tokens, no wait helps"
    );
    assert_eq!(status.tokens_remaining, 1_000);
    assert_eq!(limiter.stats(), self::limiter(THOUSAND).0.stats());
}

#[test]
fn blocking_call_is_admitted_when_tokens_are_back() {
    let (limiter, clock) = stepped(THOUSAND);
    limiter.record_tokens(1_000);
    let (left, slept) = clock.sleep_in(|| {
        limiter.acquire_tokens(100).wait().unwrap().settle(100);
        tokens_left(&limiter)
    });
    assert_eq!((left, slept), (0, TOKEN * 100));
}

#[test]
fn zero_estimate_is_a_request() {
    let (limiter, _) = limiter(THOUSAND);
    limiter.reserve_tokens(0).unwrap().settle(7);
    assert_eq!(tokens_left(&limiter), 993);
    limiter.record_tokens(993);
    let status = limiter.reserve_tokens(0).unwrap_err();
    assert_eq!(
        status.limited_by,
        Some(LimitKind::Tokens),
        "no token remains"
    );
}

/// A debt is bounded as a bucket's is. It lasts for years, and the wait is exact.
#[test]
fn largest_debt_ends() {
    let (limiter, clock) = limiter(THOUSAND);
    limiter.record_tokens(u64::MAX);
    limiter.record_tokens(u64::MAX);
    let status = limiter.try_acquire();
    assert!(!status.is_permanent && status.retry_after() > 365 * 24 * 60 * MINUTE);
    clock.advance(status.retry_after().saturating_sub(NANO));
    assert!(limiter.check().is_limited);
    clock.advance(NANO);
    assert!(!limiter.check().is_limited);
}
