use super::*;

#[test]
fn choose_appropriate_limits() {
    let free = RateLimitConfig {
        requests_per_minute: 20,
        requests_per_hour: 200,
        ..RateLimitConfig::default()
    };
    let paid = RateLimitConfig {
        requests_per_minute: 100,
        requests_per_hour: 2_000,
        ..RateLimitConfig::default()
    };
    for (config, minute, hour) in [(free, 20, 200), (paid, 100, 2_000)] {
        let stats = limiter(config).0.stats();
        assert_eq!(stats.requests_remaining_minute, minute);
        assert_eq!(stats.requests_remaining_hour, hour);
    }
}

/// The document's `make_request_with_retry`.
fn request_with_retry(
    limiter: &ApiRateLimiter<ManualClock>,
    max_retries: u32,
    sleep: impl Fn(Duration),
) -> Result<&'static str, &'static str> {
    for attempt in 0..max_retries {
        let status = limiter.try_acquire();
        if !status.is_limited {
            return Ok("response");
        }
        if attempt + 1 < max_retries {
            sleep(status.wait_time());
        }
    }
    Err("Max retries exceeded")
}

#[test]
fn retry_after_the_wait() {
    let (limiter, clock) = limiter(CONFIG);
    spend(&limiter, 10);
    let slept = Cell::new(0);
    let sleep = |wait| {
        slept.set(slept.get() + 1);
        clock.advance(wait);
    };
    assert_eq!(request_with_retry(&limiter, 3, sleep), Ok("response"));
    assert_eq!(slept.get(), 1, "one wait of `wait_time` is enough");
}

#[test]
fn give_up_after_the_last_retry() {
    let (limiter, clock) = limiter(STEADY);
    spend(&limiter, 10);
    let slept = Cell::new(0);
    // Each time another caller is faster.
    let sleep = |wait| {
        slept.set(slept.get() + 1);
        clock.advance(wait);
        spend(&limiter, 1);
    };
    let result = request_with_retry(&limiter, 3, sleep);
    assert_eq!(result, Err("Max retries exceeded"));
    assert_eq!(slept.get(), 2, "not after the last attempt");
}

/// The document's `log_rate_limit_stats`.
fn warnings<C: Clock>(limiter: &ApiRateLimiter<C>) -> Vec<String> {
    let stats = limiter.stats();
    let mut warnings = Vec::new();
    if stats.requests_remaining_minute < 10 {
        let left = stats.requests_remaining_minute;
        warnings.push(format!("Low on requests: {left} remaining"));
    }
    if stats.tokens_remaining_minute < 10_000 {
        let left = stats.tokens_remaining_minute;
        warnings.push(format!("Low on tokens: {left} remaining"));
    }
    warnings
}

#[test]
fn monitor_usage() {
    let (limiter, _) = limiter(RateLimitConfig {
        burst_size: 50,
        ..CONFIG
    });
    spend(&limiter, 40);
    limiter.record_tokens(90_000);
    assert_eq!(warnings(&limiter), [""; 0]);
    spend(&limiter, 1);
    assert_eq!(warnings(&limiter), ["Low on requests: 9 remaining"]);
    limiter.record_tokens(1);
    assert_eq!(
        warnings(&limiter),
        [
            "Low on requests: 9 remaining",
            "Low on tokens: 9999 remaining"
        ]
    );
}

#[test]
fn burst_first_and_back_off_when_limited() {
    let (limiter, clock) = limiter(CONFIG);
    spend(&limiter, 10);
    // Full jitter. The ceiling starts at a second and grows by the time for which refusals last.
    let waits = [Duration::ZERO, SECOND].map(|lasted| {
        clock.advance(lasted);
        let status = limiter.try_acquire();
        let ceiling = SECOND + lasted;
        assert!(status.wait_time() >= status.retry_after(), "{status}");
        assert!(
            status.wait_time() <= status.retry_after() + ceiling,
            "{status}"
        );
        status.retry_after()
    });
    assert_eq!(waits, [TURN, Duration::from_millis(200)]);
}

#[test]
fn wait_without_backoff_is_exact() {
    let (limiter, clock) = limiter(STEADY);
    spend(&limiter, 10);
    for _ in 0..12 {
        let status = limiter.try_acquire();
        assert_eq!(status.wait_time(), status.retry_after());
        clock.advance(Duration::from_millis(99));
    }
}

#[test]
fn separate_limiters_do_not_share_limits() {
    let (chat_limiter, _) = limiter(RateLimitConfig {
        requests_per_minute: 50,
        ..CONFIG
    });
    let (embedding_limiter, _) = limiter(RateLimitConfig {
        requests_per_minute: 100,
        ..CONFIG
    });
    let chat = rate_limited(&chat_limiter, |message: &str| message.len());
    let embed = rate_limited(&embedding_limiter, |text: &str| text.len());
    for _ in 0..10 {
        chat.call("hello");
    }
    assert!(chat.try_call("hello").is_err());
    assert_eq!(embed.try_call("text"), Ok(4));
    assert_eq!(chat.stats().requests_remaining_minute, 40);
    assert_eq!(embed.stats().requests_remaining_minute, 99);
}
