//! What a provider's response says about its limits.
//!
//! | provider | what is left | until when |
//! |---|---|---|
//! | OpenAI and those who copy it | `x-ratelimit-remaining-requests`, `-tokens` | `x-ratelimit-reset-requests`, `-tokens`: `1s`, `6m0s`, `20ms` |
//! | Anthropic | `anthropic-ratelimit-requests-remaining`, `-tokens-`, `-input-tokens-`, `-output-tokens-` | the same with `-reset`: RFC 3339 |
//! | all | | `retry-after`: seconds or an HTTP date; `retry-after-ms` |
//!
//! What cannot be read is ignored: a response is no reason to fail.

use core::time::Duration;
use std::time::SystemTime;

use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp as WallClock};

use super::ApiRateLimiter;
use super::status::LimitKind;
use crate::clock::Clock;
use crate::time::Timestamp;

/// No response pauses the limiter for longer: the longest period of a provider's limits is a day, and a broken header must not
/// stop a program for good.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// Headers that say how much of a limit is left.
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

/// Headers that say how long until a limit is as at first.
const RESETS_AFTER: [&str; 2] = ["x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"];

/// Headers that say when a limit is as at first.
const RESETS_AT: [&str; 4] = [
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-reset",
    "anthropic-ratelimit-input-tokens-reset",
    "anthropic-ratelimit-output-tokens-reset",
];

/// Anthropic's "overloaded".
const OVERLOADED: u16 = 529;

impl<C: Clock> ApiRateLimiter<C> {
    /// Takes a response of the provider into account: what it says is left can only lower what is left here, and a refusal
    /// (429, 503 or 529) pauses all callers for as long as it says, for a day at the most.
    ///
    /// Reads the headers of OpenAI and Anthropic, and `retry-after` of anybody. A refusal without `retry-after` pauses until
    /// the latest of the resets that it names. What cannot be read is ignored.
    ///
    /// The [permit](crate::TokenPermit) of a call that succeeded is settled *before*, since the headers already tell what is left
    /// without the rest of its estimate, which would be given back on top. The permit of a call that was refused is settled *after*,
    /// with 0: or others get through with its tokens before the pause is there.
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
    /// // The answer: it used 1 000, and 70 000 are left, as others use the account too.
    /// headers.insert("x-ratelimit-remaining-tokens", HeaderValue::from_static("70000"));
    /// permit.settle(1_000);
    /// limiter.observe_response(StatusCode::OK, &headers);
    /// assert_eq!(limiter.stats().tokens_remaining_minute, 70_000);
    ///
    /// let mut permit = limiter.reserve_tokens(60_000).unwrap();
    /// permit.commit();
    /// // The answer: not now. The request counts, the tokens come back.
    /// headers.insert("retry-after", HeaderValue::from_static("20"));
    /// limiter.observe_response(StatusCode::TOO_MANY_REQUESTS, &headers);
    /// permit.settle(0);
    /// assert_eq!(limiter.check().limited_by, Some(LimitKind::Pause));
    /// let stats = limiter.stats();
    /// assert_eq!((stats.total_requests, stats.total_tokens_used), (2, 1_000));
    /// assert_eq!(stats.tokens_remaining_minute, 70_000);
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue, StatusCode};
    /// use tidegate::{ApiRateLimiter, LimitKind, ManualClock, RateLimitConfig};
    ///
    /// let limiter = ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, ManualClock::new())?;
    /// let mut headers = HeaderMap::new();
    /// headers.insert("x-ratelimit-remaining-tokens", HeaderValue::from_static("1200"));
    /// limiter.observe_response(StatusCode::OK, &headers);
    /// assert_eq!(limiter.stats().tokens_remaining_minute, 1_200);
    ///
    /// headers.insert("retry-after", HeaderValue::from_static("20"));
    /// limiter.observe_response(StatusCode::TOO_MANY_REQUESTS, &headers);
    /// let status = limiter.check();
    /// assert_eq!((status.limited_by, status.wait_time.as_secs()), (Some(LimitKind::Pause), 20));
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn observe_response(&self, status: StatusCode, headers: &HeaderMap) {
        self.observe_response_at(status, headers, self.clock().now(), SystemTime::now());
    }

    /// [`observe_response`](Self::observe_response) as of `now` on the limiter's clock, and `wall_clock` for the dates in headers.
    pub fn observe_response_at(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        now: Timestamp,
        wall_clock: SystemTime,
    ) {
        for (kind, name) in REMAINING {
            if let Some(remaining) = texts(headers, name).filter_map(whole_number).min() {
                self.limits.lower(kind, remaining, now);
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

/// The values of a header that are text.
fn texts<'h>(headers: &'h HeaderMap, name: &'static str) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok().map(str::trim))
}

fn whole_number(text: &str) -> Option<u64> {
    // `parse` would take a sign.
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// `1s`, `6m0s`, `20ms`, `1h2m3.5s`; a bare number is seconds.
fn duration(text: &str) -> Option<Duration> {
    if let Some(seconds) = whole_number(text) {
        return Some(Duration::from_secs(seconds));
    }
    // Of fractional seconds, jiff wants the unit.
    let text = if text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        alloc::format!("{text}s")
    } else {
        alloc::string::String::from(text)
    };
    let parsed: SignedDuration = text.parse().ok()?;
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
