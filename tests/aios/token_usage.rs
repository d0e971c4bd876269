use super::*;

#[test]
fn tokens_are_recorded_after_the_call() {
    let (limiter, _) = limiter(CONFIG);
    spend(&limiter, 1);
    limiter.record_tokens(1_234);
    assert_eq!(limiter.check().tokens_remaining, 98_766);
    assert_eq!(limiter.stats().total_tokens_used, 1_234);
}

#[test]
fn request_is_limited_while_no_token_remains() {
    let (limiter, clock) = limiter(STEADY);
    limiter.record_tokens(99_999);
    assert!(!limiter.check().is_limited, "one remains");
    limiter.record_tokens(1);
    let status = limiter.try_acquire();
    assert_eq!((status.is_limited, status.tokens_remaining), (true, 0));
    assert_eq!(status.limited_by, Some(LimitKind::Tokens));
    assert_eq!(status.requests_remaining, 50, "not charged");
    clock.advance(status.wait_time());
    assert_eq!(limiter.check().tokens_remaining, 1);
    assert!(!limiter.try_acquire().is_limited);
}

/// The tokens were used before they are recorded. Those beyond the level are a debt, which is
/// repaid first.
#[test]
fn tokens_beyond_the_level_are_a_debt() {
    let (limiter, clock) = limiter(STEADY);
    limiter.record_tokens(150_000);
    let status = limiter.try_acquire();
    assert_eq!((status.is_limited, status.tokens_remaining), (true, 0));
    let one = MINUTE / 100_000;
    assert_eq!(status.wait_time(), MINUTE / 2 + one);
    clock.advance(status.wait_time().saturating_sub(NANO));
    assert!(limiter.try_acquire().is_limited);
    clock.advance(NANO);
    assert!(!limiter.try_acquire().is_limited);
}
