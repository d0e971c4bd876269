//! What is read in a provider's header fields, and for how long refusals pause.

use core::time::Duration;

use http::StatusCode;
use tidegate::{ApiRateLimiter, LimitKind, TokenUsage};

use super::{headers, limiter, observe};

/// Returns the pause after a response with status 429.
fn pause(pairs: &[(&'static str, &str)]) -> Duration {
    let limiter = limiter();
    observe(&limiter, 429, pairs);
    let status = limiter.check();
    if status.is_limited {
        assert_eq!(status.limited_by, Some(LimitKind::Pause));
    }
    status.wait_time()
}

#[test]
fn openai_headers_lower_what_is_left() {
    let limiter = limiter();
    let pairs = [
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "7"),
        ("x-ratelimit-remaining-tokens", "1499"),
        ("x-ratelimit-reset-requests", "1s"),
        ("x-ratelimit-reset-tokens", "6m0s"),
    ];
    observe(&limiter, 200, &pairs);
    let stats = limiter.stats();
    assert_eq!(stats.requests_remaining_minute, 7);
    assert_eq!(stats.burst_remaining, 7);
    assert_eq!(stats.tokens_remaining_minute, 1_499);
    assert_eq!(stats.requests_remaining_hour, 500, "not in the headers");
    // A response is neither a call nor a refusal.
    assert_eq!((stats.total_requests, stats.total_tokens_used), (0, 0));
    assert!(!limiter.check().is_limited);
}

#[test]
fn anthropic_headers_lower_what_is_left() {
    let limiter = limiter();
    let pairs = [
        ("anthropic-ratelimit-requests-remaining", "12"),
        ("anthropic-ratelimit-tokens-remaining", "30000"),
        ("anthropic-ratelimit-input-tokens-remaining", "25000"),
        ("anthropic-ratelimit-output-tokens-remaining", "5000"),
        ("anthropic-ratelimit-tokens-reset", "2026-11-24T12:00:30Z"),
    ];
    observe(&limiter, 200, &pairs);
    let stats = limiter.stats();
    assert_eq!(stats.requests_remaining_minute, 12);
    assert_eq!(stats.tokens_remaining_minute, 30_000);
    // The smallest of all token limits.
    assert_eq!(limiter.check().tokens_remaining, 5_000);
}

#[test]
fn headers_never_raise_what_is_left() {
    let limiter = limiter();
    limiter.record_tokens(TokenUsage::new(20_000, 1_000));
    assert!(!limiter.try_acquire().is_limited);
    let before = limiter.stats();
    let pairs = [
        ("x-ratelimit-remaining-requests", "1000000"),
        ("x-ratelimit-remaining-tokens", "18446744073709551616"),
    ];
    observe(&limiter, 200, &pairs);
    assert_eq!(limiter.stats(), before);
}

/// Without a number that tells what is used up, nothing changes before the first reset.
#[test]
fn refusal_without_numbers_pauses_until_the_first_reset() {
    let pairs = [
        ("x-ratelimit-reset-tokens", "6m0s"),
        ("x-ratelimit-reset-requests", "1s"),
    ];
    assert_eq!(pause(&pairs), Duration::from_secs(1));
    let pairs = [
        ("anthropic-ratelimit-requests-reset", "2026-11-24T12:00:50Z"),
        (
            "anthropic-ratelimit-output-tokens-reset",
            "2026-11-24T14:00:45+02:00",
        ),
        // Passed.
        ("anthropic-ratelimit-tokens-reset", "2026-11-24T11:00:00Z"),
    ];
    assert_eq!(pause(&pairs), Duration::from_secs(45));
}

#[test]
fn only_the_resets_of_used_up_limits_pause() {
    let pairs = |requests, tokens| {
        [
            ("x-ratelimit-remaining-requests", requests),
            ("x-ratelimit-reset-requests", "12h0m0s"),
            ("x-ratelimit-remaining-tokens", tokens),
            ("x-ratelimit-reset-tokens", "1.2s"),
        ]
    };
    assert_eq!(pause(&pairs("5000", "0")), Duration::from_millis(1_200));
    assert_eq!(pause(&pairs("0", "0")), Duration::from_secs(43_200));
    assert_eq!(pause(&pairs("9999", "29000")), Duration::ZERO);
    let limiter = limiter();
    observe(&limiter, 503, &pairs("9999", "29000"));
    assert!(!limiter.try_acquire().is_limited);
}

#[test]
fn resets_are_read_in_the_forms_of_all_providers() {
    let seconds = Duration::from_secs;
    for (pairs, wait) in [
        // GitHub.
        (
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1795521637"),
            ][..],
            37,
        ),
        // OpenRouter.
        (
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1795521637000"),
            ],
            37,
        ),
        (
            &[
                ("x-ratelimit-remaining", "4"),
                ("x-ratelimit-reset", "1795521637"),
            ],
            0,
        ),
        (
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset-after", "7"),
                ("x-ratelimit-reset", "1795529999"),
            ],
            7,
        ),
        (
            &[
                ("anthropic-ratelimit-unified-status", "rejected"),
                ("anthropic-ratelimit-unified-reset", "1795525200"),
            ],
            3_600,
        ),
        (
            &[
                ("anthropic-ratelimit-unified-status", "allowed"),
                ("anthropic-ratelimit-unified-reset", "1795525200"),
            ],
            0,
        ),
        // That no more can be bought is not what it was refused for.
        (
            &[
                ("anthropic-ratelimit-unified-5h-status", "rejected"),
                ("anthropic-ratelimit-unified-5h-reset", "1795521660"),
                ("anthropic-ratelimit-unified-overage-status", "rejected"),
                ("anthropic-ratelimit-unified-overage-reset", "1795608000"),
            ],
            60,
        ),
        // The last of those that reject.
        (
            &[
                ("anthropic-ratelimit-unified-5h-status", "rejected"),
                ("anthropic-ratelimit-unified-5h-reset", "1795521660"),
                ("anthropic-ratelimit-unified-7d-status", "rejected"),
                ("anthropic-ratelimit-unified-7d-reset", "1795521720"),
            ],
            120,
        ),
        (&[("retry-after", "120, 120")], 120),
        (&[("retry-after", "Tuesday, 24-Nov-26 12:00:37 GMT")], 37),
        (&[("retry-after", "Tue Nov 24 12:00:37 2026")], 37),
        // Another clock than the server's.
        (
            &[
                ("date", "Tue, 24 Nov 2026 12:01:00 GMT"),
                ("retry-after", "Tue, 24 Nov 2026 12:01:37 GMT"),
            ],
            37,
        ),
        (
            &[
                ("date", "Tue, 24 Nov 2026 11:59:00 GMT"),
                ("retry-after", "Tue, 24 Nov 2026 11:59:37 GMT"),
            ],
            37,
        ),
    ] {
        assert_eq!(pause(pairs), seconds(wait), "{pairs:?}");
    }
    let millis = |value| pause(&[("retry-after-ms", value), ("retry-after", "2")]);
    assert_eq!(millis("1500.5"), Duration::from_micros(1_500_500));
    assert_eq!(millis("soon"), seconds(2));
}

#[test]
fn retry_after_is_read_in_all_forms() {
    let seconds = Duration::from_secs_f64;
    for (value, wait) in [
        ("20", seconds(20.0)),
        (" 20 ", seconds(20.0)),
        ("0", Duration::ZERO),
        ("1.5", seconds(1.5)),
        ("20ms", seconds(0.02)),
        ("1m30s", seconds(90.0)),
        ("1h2m3s", seconds(3_723.0)),
        ("Tue, 24 Nov 2026 12:01:00 GMT", seconds(60.0)),
        ("Tue, 24 Nov 2026 11:00:00 GMT", Duration::ZERO),
        // Capped at a day.
        ("9999999999", seconds(86_400.0)),
        ("99999999999999999999999999", seconds(86_400.0)),
        ("Tue, 24 Nov 2099 12:01:00 GMT", seconds(86_400.0)),
        // Ignored.
        ("-5", Duration::ZERO),
        ("+5", Duration::ZERO),
        ("soon", Duration::ZERO),
        ("", Duration::ZERO),
        ("\u{e9}", Duration::ZERO),
        ("1e400", Duration::ZERO),
        ("-1m", Duration::ZERO),
    ] {
        assert_eq!(pause(&[("retry-after", value)]), wait, "{value:?}");
    }
    assert_eq!(pause(&[("retry-after-ms", "1250")]), seconds(1.25));
    // The longest `retry-after` counts, and resets do not.
    let pairs = [
        ("retry-after", "3"),
        ("retry-after", "5"),
        ("x-ratelimit-reset-tokens", "6m0s"),
    ];
    assert_eq!(pause(&pairs), seconds(5.0));
}

#[test]
fn only_refusals_pause_and_no_pause_is_shortened() {
    for (status, pauses) in [
        (200, false),
        (400, false),
        (500, false),
        (429, true),
        (503, true),
        (529, true),
    ] {
        let limiter = limiter();
        observe(&limiter, status, &[("retry-after", "9")]);
        assert_eq!(limiter.check().is_limited, pauses, "{status}");
    }
    let limiter = limiter();
    observe(&limiter, 429, &[("retry-after", "9")]);
    observe(&limiter, 429, &[("retry-after", "2")]);
    assert_eq!(limiter.check().wait_time(), Duration::from_secs(9));
    limiter.clock().advance(Duration::from_secs(9));
    assert!(!limiter.try_acquire().is_limited);
}

#[test]
fn unreadable_numbers_are_ignored() {
    for value in [
        "", "-1", "+1", "1.5", "0x10", "NaN", "1 2", "\u{e9}", "seven",
    ] {
        let limiter = limiter();
        let before = limiter.stats();
        let pairs = [
            ("x-ratelimit-remaining-requests", value),
            ("anthropic-ratelimit-tokens-remaining", value),
        ];
        observe(&limiter, 200, &pairs);
        let mut after = limiter.stats();
        assert_eq!(after.unreadable, 2, "{value:?}");
        after.unreadable = 0;
        assert_eq!(after, before, "{value:?}");
    }
    // The smallest readable number counts.
    let limiter = limiter();
    let name = "x-ratelimit-remaining-tokens";
    observe(&limiter, 200, &[(name, "x"), (name, "500"), (name, "400")]);
    assert_eq!(limiter.stats().tokens_remaining_minute, 400);
}

#[test]
fn headers_lower_what_is_left_during_other_charges() {
    for _ in 0..200 {
        let limiter = limiter();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..50).for_each(|_| limiter.record_tokens(TokenUsage::new(1, 0))));
            observe(&limiter, 200, &[("x-ratelimit-remaining-tokens", "0")]);
        });
        assert_eq!(limiter.stats().tokens_remaining_minute, 0);
    }
}

/// Reads the limiter's clock and the system time.
#[test]
fn observe_response_reads_both_clocks() {
    let limiter = ApiRateLimiter::default();
    limiter.observe_response(
        StatusCode::TOO_MANY_REQUESTS,
        &headers(&[("retry-after", "3600")]),
    );
    let status = limiter.try_acquire();
    assert_eq!(status.limited_by, Some(LimitKind::Pause));
    assert!(
        status
            .message()
            .to_string()
            .starts_with("paused by the server, retry in "),
        "{status}"
    );
}
