use super::*;

#[test]
fn statistics_have_the_documents_keys() {
    let (limiter, clock) = limiter(CONFIG);
    spend(&limiter, 3);
    limiter.record_tokens(1_000);
    limiter.record_tokens(500);
    let stats = limiter.stats();
    assert_eq!(stats.total_requests, 3);
    assert_eq!(stats.total_tokens_used, 1_500);
    assert_eq!(stats.requests_remaining_minute, 47);
    assert_eq!(stats.requests_remaining_hour, 497);
    assert_eq!(stats.tokens_remaining_minute, 98_500);

    clock.advance(2 * MINUTE);
    let stats = limiter.stats();
    assert_eq!((stats.total_requests, stats.total_tokens_used), (3, 1_500));
    assert_eq!(stats.requests_remaining_minute, 50);
    assert_eq!(stats.requests_remaining_hour, 497);
    assert_eq!(stats.tokens_remaining_minute, 100_000);
}

#[test]
fn refusals_are_not_counted() {
    let (limiter, _) = limiter(CONFIG);
    spend(&limiter, 10);
    for _ in 0..100 {
        assert!(limiter.try_acquire().is_limited);
    }
    assert_eq!(limiter.stats().total_requests, 10);
}
