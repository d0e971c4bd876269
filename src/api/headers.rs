//! Reads a provider's response for the state of its limits.
//!
//! | provider | remaining | reset |
//! |---|---|---|
//! | OpenAI and compatible | `x-ratelimit-remaining-requests`, `-tokens` | `x-ratelimit-reset-requests`, `-tokens`: `1s`, `6m0s`, `20ms` |
//! | Anthropic | `anthropic-ratelimit-requests-remaining`, `-tokens-`, `-input-tokens-`, `-output-tokens-` | the same with `-reset`: RFC 3339 |
//! | all | | `retry-after`: seconds or an HTTP date; `retry-after-ms` |
//!
//! Unreadable headers are ignored: a response is no reason to fail.

use core::time::Duration;
use std::time::SystemTime;

use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp as WallClock};

use super::ApiRateLimiter;
use super::status::LimitKind;
use crate::clock::Clock;
use crate::time::Timestamp;

/// The longest pause for a response. A day is the longest period of a provider's limits, and a
/// broken header must not stop a program forever.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// Headers with the requests or tokens that remain.
const REMAINING: [(LimitKind, &str); 6] = [
    (LimitKind::Minute, "x-ratelimit-remaining-requests"),
    (LimitKind::Minute, "anthropic-ratelimit-requests-remaining"),
    (LimitKind::Tokens, "x-ratelimit-remaining-tokens"),
    (LimitKind::Tokens, "anthropic-ratelimit-tokens-remaining"),
    (
        LimitKind::InputTokens,
        "anthropic-ratelimit-input-tokens-remaining",
    ),
    (
        LimitKind::OutputTokens,
        "anthropic-ratelimit-output-tokens-remaining",
    ),
];

/// Headers with the time until a limit resets.
const RESETS_AFTER: [&str; 2] = ["x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"];

/// Headers with the date at which a limit resets.
const RESETS_AT: [&str; 4] = [
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-reset",
    "anthropic-ratelimit-input-tokens-reset",
    "anthropic-ratelimit-output-tokens-reset",
];

/// Anthropic's status for "overloaded".
const OVERLOADED: u16 = 529;

impl<C: Clock> ApiRateLimiter<C> {
    /// Adjusts the limits to a response of the provider.
    ///
    /// The remaining requests and tokens in the headers can only lower what remains here. A refusal
    /// (429, 503 or 529) pauses all callers for as long as it says, but at most for a day.
    ///
    /// Reads the headers of OpenAI and Anthropic, and any provider's `retry-after`. A refusal
    /// without `retry-after` pauses until the latest reset in its headers. Unreadable headers are
    /// ignored.
    ///
    /// Settle the [permit](crate::TokenPermit) of a successful call *before*. The headers already
    /// exclude the unused part of its estimate, which would otherwise come back on top. Settle the
    /// permit of a refused call *after*, with 0. Otherwise other calls are admitted with its tokens
    /// before the pause begins.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue, StatusCode};
    /// use tidegate::{ApiRateLimiter, LimitKind, ManualClock, RateLimitConfig};
    ///
    /// let limiter = ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, ManualClock::new())?;
    /// let mut headers = HeaderMap::new();
    ///
    /// let mut permit = limiter.reserve_tokens(60_000).unwrap();
    /// permit.commit();
    /// // The response: it used 1 000, and 70 000 remain, because other programs share the account.
    /// headers.insert("x-ratelimit-remaining-tokens", HeaderValue::from_static("70000"));
    /// permit.settle(1_000);
    /// limiter.observe_response(StatusCode::OK, &headers);
    /// assert_eq!(limiter.stats().tokens_remaining_minute, 70_000);
    ///
    /// let mut permit = limiter.reserve_tokens(60_000).unwrap();
    /// permit.commit();
    /// // The response is a refusal. The request counts, and the tokens come back.
    /// headers.insert("retry-after", HeaderValue::from_static("20"));
    /// limiter.observe_response(StatusCode::TOO_MANY_REQUESTS, &headers);
    /// permit.settle(0);
    /// let status = limiter.check();
    /// assert_eq!((status.limited_by, status.wait_time.as_secs()), (Some(LimitKind::Pause), 20));
    /// let stats = limiter.stats();
    /// assert_eq!((stats.total_requests, stats.total_tokens_used), (2, 1_000));
    /// assert_eq!(stats.tokens_remaining_minute, 70_000);
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn observe_response(&self, status: StatusCode, headers: &HeaderMap) {
        self.observe_response_at(status, headers, self.clock().now(), SystemTime::now());
    }

    /// [`observe_response`](Self::observe_response) as of `now` on the limiter's clock, and
    /// `wall_clock` for the dates in headers.
    pub fn observe_response_at(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        now: Timestamp,
        wall_clock: SystemTime,
    ) {
        for (kind, name) in REMAINING {
            if let Some(remaining) = texts(headers, name).filter_map(whole_number).min() {
                self.shared.limits.lower(kind, remaining, now);
            }
        }
        let is_refusal = matches!(status.as_u16(), 429 | 503 | OVERLOADED);
        if is_refusal {
            let pause = retry_after(headers, wall_clock)
                .or_else(|| latest_reset(headers, wall_clock))
                .unwrap_or_default();
            self.pause_until(now + pause.min(LONGEST_PAUSE));
        }
    }
}

/// The values of a header, without those that are not text.
fn texts<'h>(headers: &'h HeaderMap, name: &'static str) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok().map(str::trim))
}

fn whole_number(text: &str) -> Option<u64> {
    // `parse` would accept a sign.
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// `1s`, `6m0s`, `20ms`, `1h2m3.5s`; a bare number is seconds.
fn duration(text: &str) -> Option<Duration> {
    if let Some(seconds) = whole_number(text) {
        return Some(Duration::from_secs(seconds));
    }
    // jiff requires a unit after fractional seconds.
    let is_number = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let unit = if is_number { "s" } else { "" };
    let parsed: SignedDuration = alloc::format!("{text}{unit}").parse().ok()?;
    Duration::try_from(parsed).ok()
}

/// The time until a date; zero if it has passed.
fn until(date: WallClock, wall_clock: SystemTime) -> Option<Duration> {
    let now = WallClock::try_from(wall_clock).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

fn retry_after(headers: &HeaderMap, wall_clock: SystemTime) -> Option<Duration> {
    let millis = texts(headers, "retry-after-ms")
        .filter_map(whole_number)
        .map(Duration::from_millis);
    let others = texts(headers, "retry-after").filter_map(|text| {
        duration(text).or_else(|| {
            let date = jiff::fmt::rfc2822::parse(text).ok()?;
            until(date.timestamp(), wall_clock)
        })
    });
    millis.chain(others).max()
}

fn latest_reset(headers: &HeaderMap, wall_clock: SystemTime) -> Option<Duration> {
    let after = RESETS_AFTER
        .into_iter()
        .flat_map(|name| texts(headers, name).filter_map(duration));
    let at = RESETS_AT.into_iter().flat_map(|name| {
        texts(headers, name).filter_map(|text| until(text.parse().ok()?, wall_clock))
    });
    after.chain(at).max()
}
