//! Several limits in one text.

use tidegate::{ParseConfigErrorKind as Kind, ParseQuotaErrorKind as Text};

use super::*;

const UNLIMITED: RateLimitConfig = RateLimitConfig::UNLIMITED;

#[test]
fn limits_are_read_from_text() {
    let all = RateLimitConfig {
        requests_per_minute: 50,
        requests_per_hour: 500,
        requests_per_day: Some(10_000),
        burst_size: 10,
        tokens_per_minute: 100_000,
        token_burst_size: Some(20_000),
        tokens_per_day: Some(2_000_000),
        input_tokens_per_minute: Some(40_000),
        output_tokens_per_minute: Some(8_000),
        max_in_flight: Some(8),
        ..UNLIMITED
    };
    #[rustfmt::skip]
    let table = [
        ("50/min", RateLimitConfig { requests_per_minute: 50, ..UNLIMITED }),
        ("50 requests per 60 seconds", RateLimitConfig { requests_per_minute: 50, ..UNLIMITED }),
        (" 50/min burst 10 ,", RateLimitConfig {
            requests_per_minute: 50, burst_size: 10, ..UNLIMITED
        }),
        ("50/min, 500/h, 100k tokens/min, burst 10", RateLimitConfig {
            requests_per_minute: 50,
            requests_per_hour: 500,
            tokens_per_minute: 100_000,
            burst_size: 10,
            ..UNLIMITED
        }),
        ("50/min,500/h,10k/day,burst=10,100k tokens/min burst 20k,2M tokens/d,40k input/min,\
          8k output tokens per minute,8 in flight", all),
        ("50/min\n100k tokens/min\nburst 10\n1k tokens/d", RateLimitConfig {
            requests_per_minute: 50,
            tokens_per_minute: 100_000,
            burst_size: 10,
            tokens_per_day: Some(1_000),
            ..UNLIMITED
        }),
        ("50/min; 500/h\n10_000 req/day\n\n burst 10\n 100k token/min;\nburst 20k tokens\n
          2M tokens/d\n40k input tokens/min\n8k OUTPUT/min\n8 in flight\n", all),
    ];
    for (text, expected) in table {
        assert_eq!(text.parse(), Ok(expected), "{text}");
        assert_eq!(expected.validate(), Ok(()), "{text}");
    }
}

#[test]
fn mistakes_are_found_at_their_offset() {
    #[rustfmt::skip]
    let table = [
        ("", Kind::Text(Text::ExpectedNumber), 0),
        ("fast", Kind::Text(Text::ExpectedNumber), 0),
        ("50/min, ,x", Kind::Text(Text::ExpectedNumber), 9),
        ("50/min burst", Kind::Text(Text::ExpectedNumber), 12),
        ("50", Kind::Text(Text::ExpectedPer), 2),
        ("50/min 500/h", Kind::Text(Text::UnexpectedText), 7),
        ("8 in total", Kind::Text(Text::UnexpectedText), 5),
        ("50/fortnight", Kind::Text(Text::UnknownUnit), 3),
        ("99999999999999999999/min", Kind::Text(Text::NumberTooLarge), 0),
        ("0.5/min", Kind::Text(Text::ExpectedPer), 1),
        ("5/s", Kind::UnsupportedPeriod, 2),
        ("50/min, 5/week", Kind::UnsupportedPeriod, 10),
        ("5/1ns", Kind::UnsupportedPeriod, 2),
        ("5k tokens/h", Kind::UnsupportedPeriod, 10),
        ("5k input tokens/day", Kind::UnsupportedPeriod, 16),
        ("2M tokens/day burst 50k", Kind::UnsupportedBurst, 14),
        ("40k input tokens/min burst 5k", Kind::UnsupportedBurst, 21),
        ("burst 3 output tokens", Kind::UnsupportedBurst, 0),
        ("50/min, 60/min", Kind::Duplicate, 8),
        ("burst 3, 50/min burst 4", Kind::Duplicate, 9),
        ("3 in flight, 4 in flight", Kind::Duplicate, 13),
        ("burst 3 tokens, 5k tokens/min burst 4", Kind::Duplicate, 16),
    ];
    for (text, kind, offset) in table {
        let error = text.parse::<RateLimitConfig>().expect_err(text);
        assert_eq!((error.kind(), error.offset()), (kind, offset), "{text:?}");
        let message = error.to_string();
        assert!(
            message.ends_with(&format!(" at byte {offset}")),
            "{message}"
        );
    }
}

#[test]
fn any_text_is_read_or_refused() {
    let pieces = [
        "50",
        "/",
        "min",
        ",",
        "\n",
        " ",
        "burst",
        "in flight",
        "tokens",
        "é",
        "k",
        ".",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let length = random.usize(0..12);
        let text: String = (0..length)
            .map(|_| pieces[random.usize(0..pieces.len())])
            .collect();
        if let Err(error) = text.parse::<RateLimitConfig>() {
            assert!(text.is_char_boundary(error.offset()), "{text:?}");
        }
    }
}
