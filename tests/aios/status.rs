use super::*;

#[test]
fn fields_while_not_limited() {
    let (limiter, _) = limiter(CONFIG);
    spend(&limiter, 1);
    limiter.record_tokens(100);
    let status = limiter.check();
    assert!(!status.is_limited);
    assert_eq!(status.wait_time(), Duration::ZERO);
    assert_eq!(status.requests_remaining, 49);
    assert_eq!(status.tokens_remaining, 99_900);
    assert_eq!(status.message(), "not limited");
}

/// The message names the limit, as "Reason" in the document does.
#[test]
fn fields_while_limited() {
    let (limiter, _) = limiter(CONFIG);
    spend(&limiter, 10);
    let status = limiter.check();
    assert!(status.is_limited);
    assert_eq!(status.wait_time(), TURN);
    assert_eq!(status.requests_remaining, 40);
    assert_eq!(status.tokens_remaining, 100_000);
    assert_eq!(
        status.message(),
        "burst limit of 10 requests reached, retry in 1.2 s"
    );
}

/// In Python it is a float; `as_secs_f64` returns one.
#[test]
fn wait_time_prints_as_seconds() {
    let (limiter, _) = limiter(STEADY);
    spend(&limiter, 10);
    let status = limiter.try_acquire();
    assert_eq!(
        format!("Wait {:.2}s", status.wait_time().as_secs_f64()),
        "Wait 1.20s"
    );
}

/// The number that both the minute and the hour have room for.
#[test]
fn requests_remaining_is_the_fewest_of_all_windows() {
    let (limiter, clock) = limiter(RateLimitConfig {
        requests_per_hour: 55,
        burst_size: 100,
        ..STEADY
    });
    spend(&limiter, 50);
    assert_eq!(limiter.check().requests_remaining, 0);
    clock.advance(2 * MINUTE);
    assert_eq!(limiter.stats().requests_remaining_minute, 50);
    assert_eq!(limiter.check().requests_remaining, 5);
}
