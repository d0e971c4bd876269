use alloc::sync::Arc;

use tidegate::{RateLimitConfig, configure_rate_limiter, get_rate_limiter};

/// One test, because all tests share the limiter. It is on the real clock, and no assertion depends
/// on less than a minute.
#[test]
fn global_limiter_is_shared_and_replaced() {
    let limiter = get_rate_limiter();
    assert_eq!(
        *limiter.config(),
        RateLimitConfig::default(),
        "created with defaults"
    );
    assert!(!limiter.try_acquire().is_limited);

    let config = RateLimitConfig {
        requests_per_minute: 30,
        ..RateLimitConfig::default()
    };
    let configured = configure_rate_limiter(config).unwrap();
    assert_eq!(configured.config().requests_per_minute, 30);
    assert!(
        Arc::ptr_eq(&configured, &get_rate_limiter()),
        "it returns the new limiter"
    );
    assert!(!Arc::ptr_eq(&configured, &limiter));
    assert_eq!(configured.stats().total_requests, 0, "it starts unused");

    let (limiter1, limiter2) = (get_rate_limiter(), get_rate_limiter());
    assert!(Arc::ptr_eq(&limiter1, &limiter2), "limiter1 is limiter2");
    assert!(!limiter1.try_acquire().is_limited);
    assert_eq!(limiter2.stats().total_requests, 1, "one count");

    let zero = RateLimitConfig {
        requests_per_minute: 0,
        ..config
    };
    assert!(configure_rate_limiter(zero).is_err());
    assert!(
        Arc::ptr_eq(&configured, &get_rate_limiter()),
        "an invalid one changes nothing"
    );
}
