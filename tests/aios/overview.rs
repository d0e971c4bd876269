use super::*;

#[test]
fn four_parts_limit_requests() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(1), clock.clone());
    assert!(bucket.try_acquire(1).is_ok() && bucket.try_acquire(1).is_err());
    let window = SlidingWindow::with_clock(1, MINUTE, clock).unwrap();
    assert!(window.try_acquire(1).is_ok() && window.try_acquire(1).is_err());

    let one = RateLimitConfig {
        burst_size: 1,
        ..CONFIG
    };
    let (limiter, _) = limiter(one);
    let call = rate_limited(&limiter, |()| "called");
    assert_eq!(call.try_call(()), Ok("called"));
    assert!(call.try_call(()).is_err() && limiter.try_acquire().is_limited);
}

/// The document calls it "fixed-window request counting". A fixed window admits 200 within two
/// seconds around its edge, which a provider's limit per minute refuses. Our window has no edge.
#[test]
fn window_counts_in_any_minute() {
    let clock = ManualClock::new();
    let counter = SlidingWindow::with_clock(100, MINUTE, clock.clone()).unwrap();
    clock.advance(59 * SECOND);
    assert!(counter.try_acquire(100).is_ok());
    clock.advance(2 * SECOND);
    assert!(
        counter.try_acquire(1).is_err(),
        "a new minute began at 60 s"
    );
}
