use alloc::sync::Arc;

use tidegate::{RateLimitConfig, configure_rate_limiter, get_rate_limiter};

/// One test, as the limiter is one for all tests. It is on the real clock; nothing asserted here is sooner than a minute.
#[test]
fn the_global_limiter() {
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
    assert_eq!(configured.stats().total_requests, 0, "which starts afresh");

    let (limiter1, limiter2) = (get_rate_limiter(), get_rate_limiter());
    assert!(Arc::ptr_eq(&limiter1, &limiter2), "limiter1 is limiter2");
    assert!(!limiter1.try_acquire().is_limited);
    assert_eq!(limiter2.stats().total_requests, 1, "both count the same");

    let zero = RateLimitConfig {
        requests_per_minute: 0,
        ..config
    };
    assert!(configure_rate_limiter(zero).is_err());
    assert!(
        Arc::ptr_eq(&configured, &get_rate_limiter()),
        "a wrong one changes nothing"
    );
}
