use super::*;

#[test]
fn input_and_output_tokens_have_separate_limits() {
    let (limiter, _) = limiter(RateLimitConfig {
        input_tokens_per_minute: Some(600),
        output_tokens_per_minute: Some(200),
        ..THOUSAND
    });
    limiter
        .reserve_tokens(TokenUsage::new(500, 50))
        .unwrap()
        .settle(TokenUsage::new(500, 50));
    let limited_by = |input, output| {
        let refused = limiter.reserve_tokens(TokenUsage::new(input, output));
        refused.map_or_else(|status| status.limited_by, |_| None)
    };
    assert_eq!(limited_by(100, 150), None);
    assert_eq!(limited_by(101, 150), Some(LimitKind::InputTokens));
    assert_eq!(limited_by(100, 151), Some(LimitKind::OutputTokens));
    assert_eq!(
        limiter.check().tokens_remaining,
        100,
        "the limit with the fewest"
    );
    assert_eq!(tokens_left(&limiter), 450);
}

#[test]
fn total_without_split_counts_in_each_limit() {
    let (limiter, _) = limiter(RateLimitConfig {
        input_tokens_per_minute: Some(600),
        output_tokens_per_minute: Some(200),
        ..THOUSAND
    });
    limiter.record_tokens(150);
    assert_eq!(limiter.check().tokens_remaining, 50);
    let status = limiter.reserve_tokens(201).unwrap_err();
    assert!(status.is_permanent);
    assert_eq!(status.limited_by, Some(LimitKind::OutputTokens));
    assert_eq!(
        status.message(),
        "above the minute limit of 200 output tokens, no wait helps"
    );
}

#[test]
fn requests_per_day() {
    let (limiter, clock) = limiter(RateLimitConfig {
        requests_per_day: Some(60),
        ..THOUSAND
    });
    spend(&limiter, 40);
    clock.advance(60 * MINUTE);
    spend(&limiter, 20);
    let status = limiter.try_acquire();
    assert_eq!(status.limited_by, Some(LimitKind::Day));
    assert_eq!(status.requests_remaining, 0);
    assert!(
        status
            .message()
            .to_string()
            .starts_with("day limit of 60 requests reached"),
        "{status}"
    );
    assert_eq!(limiter.stats().requests_remaining_day, Some(0));
    clock.advance(status.wait_time());
    assert_eq!(limiter.stats().requests_remaining_day, Some(40));
    assert_eq!(
        self::limiter(THOUSAND).0.stats().requests_remaining_day,
        None
    );
}

#[test]
fn tokens_per_day() {
    let (limiter, clock) = limiter(RateLimitConfig {
        tokens_per_day: Some(1_500),
        ..THOUSAND
    });
    limiter.record_tokens(1_000);
    clock.advance(MINUTE);
    assert_eq!(tokens_left(&limiter), 1_000);
    assert_eq!(
        limiter.stats().tokens_remaining_day,
        Some(501),
        "one flowed in"
    );
    let status = limiter.reserve_tokens(600).unwrap_err();
    assert_eq!(status.limited_by, Some(LimitKind::TokensPerDay));
    assert_eq!(status.tokens_remaining, 501);
    assert!(limiter.reserve_tokens(501).is_ok());
    let status = limiter.reserve_tokens(1_501).unwrap_err();
    assert!(status.is_permanent, "above the minute's limit");
    assert_eq!(self::limiter(THOUSAND).0.stats().tokens_remaining_day, None);
}

#[test]
fn longest_refusal_is_named() {
    let (limiter, clock) = limiter(RateLimitConfig {
        requests_per_minute: 60,
        burst_size: 2,
        ..THOUSAND
    });
    spend(&limiter, 2);
    assert_eq!(limiter.check().limited_by, Some(LimitKind::Burst));
    limiter.record_tokens(1_009); // ten tokens are 0.6 s
    assert_eq!(limiter.check().limited_by, Some(LimitKind::Burst));
    limiter.record_tokens(10);
    let status = limiter.check();
    assert_eq!(status.limited_by, Some(LimitKind::Tokens));
    assert_eq!(status.retry_after(), TOKEN * 20);
    // After this wait all other limits have room, too.
    clock.advance(status.retry_after());
    assert!(!limiter.try_acquire().is_limited);
}

#[test]
fn permanent_refusal_is_named_before_a_long_one() {
    let (limiter, _) = limiter(RateLimitConfig {
        output_tokens_per_minute: Some(200),
        ..THOUSAND
    });
    limiter.record_tokens(TokenUsage::new(5_000, 0));
    let status = limiter.reserve_tokens(TokenUsage::new(0, 201)).unwrap_err();
    assert!(status.is_permanent);
    assert_eq!(status.limited_by, Some(LimitKind::OutputTokens));
}
