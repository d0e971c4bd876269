//! Reads a provider's response for the state of its limits.
//!
//! | provider | remaining | reset |
//! |---|---|---|
//! | OpenAI and compatible | `x-ratelimit-remaining-requests`, `-tokens` | `x-ratelimit-reset-requests`, `-tokens`: `1s`, `6m0s`, `20ms` |
//! | Anthropic | `anthropic-ratelimit-requests-remaining`, `-tokens-`, `-input-tokens-`, `-output-tokens-` | the same with `-reset`: RFC 3339 |
//! | Anthropic, unified, also for `5h` and `7d` | `anthropic-ratelimit-unified-status: rejected` | `anthropic-ratelimit-unified-reset`: seconds since 1970 |
//! | GitHub, `OpenRouter`, Together | `x-ratelimit-remaining` | `x-ratelimit-reset`: seconds or milliseconds since 1970, or seconds; `x-ratelimit-reset-after`: seconds |
//! | all | | `retry-after`: seconds or an HTTP date of any form; `retry-after-ms` |
//!
//! Unreadable headers are ignored: a response is no reason to fail.

mod values;

use core::time::Duration;
use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

use super::ApiRateLimiter;
use super::status::LimitKind;
use crate::clock::Clock;
use crate::time::Timestamp;
use values::{ServerTime, duration, texts, whole_number};

/// The longest pause for a response. A day is the longest period of a provider's limits, and a
/// broken header must not stop a program forever.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// A limit in headers.
struct Field {
    /// What it lowers; `None` if the limit's period is not known.
    lowers: Option<LimitKind>,
    /// The requests or tokens that remain.
    remaining: &'static str,
    /// When it resets.
    resets: &'static [&'static str],
}

const FIELDS: [Field; 7] = [
    Field {
        lowers: Some(LimitKind::Minute),
        remaining: "x-ratelimit-remaining-requests",
        resets: &["x-ratelimit-reset-requests"],
    },
    Field {
        lowers: Some(LimitKind::Tokens),
        remaining: "x-ratelimit-remaining-tokens",
        resets: &["x-ratelimit-reset-tokens"],
    },
    Field {
        lowers: Some(LimitKind::Minute),
        remaining: "anthropic-ratelimit-requests-remaining",
        resets: &["anthropic-ratelimit-requests-reset"],
    },
    Field {
        lowers: Some(LimitKind::Tokens),
        remaining: "anthropic-ratelimit-tokens-remaining",
        resets: &["anthropic-ratelimit-tokens-reset"],
    },
    Field {
        lowers: Some(LimitKind::InputTokens),
        remaining: "anthropic-ratelimit-input-tokens-remaining",
        resets: &["anthropic-ratelimit-input-tokens-reset"],
    },
    Field {
        lowers: Some(LimitKind::OutputTokens),
        remaining: "anthropic-ratelimit-output-tokens-remaining",
        resets: &["anthropic-ratelimit-output-tokens-reset"],
    },
    Field {
        lowers: None,
        remaining: "x-ratelimit-remaining",
        resets: &["x-ratelimit-reset-after", "x-ratelimit-reset"],
    },
];

/// Headers with the status of a limit on all uses of a subscription, and with its reset.
const UNIFIED: [(&str, &str); 3] = [
    (
        "anthropic-ratelimit-unified-status",
        "anthropic-ratelimit-unified-reset",
    ),
    (
        "anthropic-ratelimit-unified-5h-status",
        "anthropic-ratelimit-unified-5h-reset",
    ),
    (
        "anthropic-ratelimit-unified-7d-status",
        "anthropic-ratelimit-unified-7d-reset",
    ),
];

/// Anthropic's status for "overloaded".
const OVERLOADED: u16 = 529;

impl<C: Clock> ApiRateLimiter<C> {
    /// Adjusts the limits to a response of the provider.
    ///
    /// The remaining requests and tokens in the headers can only lower what remains here. A refusal
    /// (429, 503 or 529) pauses all callers for as long as it says, but at most for a day.
    ///
    /// Reads the headers of OpenAI, Anthropic, GitHub and those that do as they do, and any
    /// provider's `retry-after`. A refusal without `retry-after` pauses until all limits have reset
    /// that its headers call used up. If they tell no number, it pauses until the first reset.
    /// Dates count from the `Date` of the response. Unreadable headers are ignored.
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
        for field in &FIELDS {
            if let (Some(kind), Some(remaining)) = (field.lowers, field.remaining(headers)) {
                self.shared.limits.lower(kind, remaining, now);
            }
        }
        let is_refusal = matches!(status.as_u16(), 429 | 503 | OVERLOADED);
        if is_refusal {
            let server = ServerTime::of(headers, wall_clock);
            let pause = retry_after(headers, server)
                .or_else(|| reset_of_used_up(headers, server))
                .unwrap_or_default();
            self.pause_until(now + pause.min(LONGEST_PAUSE));
        }
    }
}

impl Field {
    /// The smallest readable number.
    fn remaining(&self, headers: &HeaderMap) -> Option<u64> {
        texts(headers, self.remaining)
            .filter_map(whole_number)
            .min()
    }

    /// The time until the limit resets. Of several fields the first that is readable counts.
    fn until_reset(&self, headers: &HeaderMap, server: ServerTime) -> Option<Duration> {
        let mut resets = self.resets.iter();
        resets.find_map(|name| until_reset(headers, name, server))
    }
}

/// The longest time until a reset in a field.
fn until_reset(headers: &HeaderMap, name: &str, server: ServerTime) -> Option<Duration> {
    let resets = texts(headers, name).filter_map(|text| server.until_reset(text));
    resets.max()
}

/// The pause that a refusal asks for. Milliseconds are more exact than seconds beside them.
fn retry_after(headers: &HeaderMap, server: ServerTime) -> Option<Duration> {
    let millis = texts(headers, "retry-after-ms").filter_map(duration).max();
    millis.map(|seconds| seconds / 1_000).or_else(|| {
        let texts = texts(headers, "retry-after");
        texts.filter_map(|text| server.retry_after(text)).max()
    })
}

/// The time until the last limit that is used up resets.
///
/// A limit with something left is no reason to wait for its reset, which may be hours away. If no
/// number tells what is used up, nothing can change before the first reset.
fn reset_of_used_up(headers: &HeaderMap, server: ServerTime) -> Option<Duration> {
    let is_rejected = |status| texts(headers, status).any(|status| status == "rejected");
    let unified = UNIFIED
        .into_iter()
        .filter(|&(status, _)| is_rejected(status))
        .filter_map(|(_, reset)| until_reset(headers, reset, server));
    let used_up = FIELDS
        .iter()
        .filter(|field| field.remaining(headers) == Some(0))
        .filter_map(|field| field.until_reset(headers, server));
    let last = unified.chain(used_up).max();
    let mut numbers = FIELDS.iter().filter_map(|field| field.remaining(headers));
    if last.is_some() || numbers.next().is_some() {
        return last;
    }
    let resets = FIELDS
        .iter()
        .filter_map(|field| field.until_reset(headers, server));
    resets.filter(|wait| !wait.is_zero()).min()
}
