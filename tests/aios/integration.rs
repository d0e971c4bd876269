use super::*;

struct Response {
    text: String,
    input_tokens: u64,
    output_tokens: u64,
}

/// A model that repeats the message.
fn create(message: &str) -> Response {
    Response {
        text: message.to_uppercase(),
        input_tokens: 300,
        output_tokens: 700,
    }
}

#[test]
fn chat_records_usage_waits_and_warns() {
    let (limiter, clock) = limiter(RateLimitConfig {
        burst_size: 5,
        ..CONFIG
    });
    let waited = Cell::new(0);
    let chat_with_claude = rate_limited(&limiter, |message: &str| {
        let response = create(message);
        limiter.record_tokens(response.input_tokens + response.output_tokens);
        response
    })
    .on_limited(|status| {
        waited.set(waited.get() + 1);
        clock.advance(status.wait_time());
    });

    let mut warnings = Vec::new();
    for _ in 0..50 {
        let status = limiter.check();
        if status.requests_remaining < 5 {
            warnings.push(format!(
                "Warning: Only {} requests remaining this minute",
                status.requests_remaining
            ));
        }
        assert_eq!(chat_with_claude.call("hello").text, "HELLO");
    }
    let stats = chat_with_claude.stats();
    assert_eq!(
        (stats.total_requests, stats.total_tokens_used),
        (50, 50_000)
    );
    assert_eq!(waited.get(), 45, "the first five were a burst");
    // At 50 per minute all fall within one minute, whatever the backoff added.
    let warning = |left| format!("Warning: Only {left} requests remaining this minute");
    assert_eq!(warnings, [4, 3, 2, 1].map(warning));
}
