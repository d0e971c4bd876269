//! Reads a provider's responses for the state of its limits.
//!
//! | file | reads |
//! |---|---|
//! | `told_response` | what a response tells, without a limiter |
//! | `told_limits` | for each limit, what remains and when it resets |
//! | `body` | the wait in the body of a refusal |
//! | `values` | numbers, durations and dates |
//!
//! What cannot be read is ignored and counted: a response is no reason to fail.

mod body;
mod told_limits;
mod told_response;
mod values;

pub(super) use body::read as read_body;
pub(super) use told_response::{ToldResponse, bounded_pause};

use core::time::Duration;
use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

use super::ApiRateLimiter;
use super::provider::{Amounts, Seen};
use crate::clock::Clock;
use crate::sync::lock;
use crate::time::Timestamp;
pub(crate) use told_response::is_refusal_status;

impl<C: Clock> ApiRateLimiter<C> {
    /// Takes what a provider's response tells of its limits.
    ///
    /// See [what is read](crate::docs::providers) for each provider.
    ///
    /// # What remains
    ///
    /// What the header fields tell to remain of a limit can only lower what is admitted here, and
    /// counts until the limit resets: for a day at most. If no reset is told, what was used flows
    /// back bit by bit in the limit's period. A newer response replaces it. Newer is what the field
    /// `Date` says, not what arrives later. Of two responses in one second, the one that leaves
    /// less counts.
    ///
    /// Calls in flight count against what remains, because it is not known whether the provider has
    /// seen them: the estimates of all [permits](crate::TokenPermit) that are out. Calls without a
    /// permit count when they are admitted. A call that finds too little left is refused with
    /// [`LimitKind::Provider`](crate::LimitKind::Provider).
    ///
    /// # Refusals
    ///
    /// A refusal (429, 503, 529, and 403 with a wait or with nothing left) pauses all callers for
    /// as long as it says, a day at most. Without a `retry-after`, it pauses until all limits have
    /// reset that its header fields call used up, and if they tell no number, until the first
    /// reset. A refusal that tells nothing starts a [backoff](ApiRateLimiter#backoff) of all
    /// callers. Dates count from the `Date` of the response.
    ///
    /// # Order of calls
    ///
    /// For a call with a [permit](crate::TokenPermit), use
    /// [`TokenPermit::observe_response`](crate::TokenPermit::observe_response) instead: it knows
    /// that the response is that call's. Without permits, [record](Self::record_tokens) the tokens
    /// of a call before its response is observed, or they count twice until the next one. Otherwise
    /// settle the permit of a successful call *before*, or it counts as a call in flight against
    /// what remains without it. Settle the permit of a refused call *after*, with 0, or other calls
    /// are admitted with its tokens before the pause begins.
    ///
    /// ```
    /// use core::time::Duration;
    /// use http::{HeaderMap, HeaderValue, StatusCode};
    /// use tidegate::{ApiRateLimiter, LimitKind, ManualClock, RateLimitConfig};
    ///
    /// let clock = ManualClock::new();
    /// let limiter = ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, clock.clone())?;
    /// let mut headers = HeaderMap::new();
    ///
    /// let mut permit = limiter.reserve_tokens(60_000).unwrap();
    /// permit.commit();
    /// // The response: it used 1 000, and 70 000 remain, because other programs share the account.
    /// headers.insert("x-ratelimit-remaining-tokens", HeaderValue::from_static("70000"));
    /// headers.insert("x-ratelimit-reset-tokens", HeaderValue::from_static("18s"));
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
    /// assert_eq!((status.limited_by, status.wait_time().as_secs()), (Some(LimitKind::Pause), 20));
    ///
    /// clock.advance(Duration::from_secs(20)); // the pause and the limit's period are over
    /// assert_eq!(limiter.stats().tokens_remaining_minute, 100_000);
    /// let stats = limiter.stats();
    /// assert_eq!((stats.total_requests, stats.total_tokens_used), (2, 1_000));
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
        self.observe_end_at(None, status, headers, now, wall_clock);
    }

    /// Observes a response. `ends` is what its call was counted with, if that ends here.
    pub(super) fn observe_end_at(
        &self,
        ends: Option<Amounts>,
        status: StatusCode,
        headers: &HeaderMap,
        now: Timestamp,
        wall_clock: SystemTime,
    ) {
        let told = ToldResponse::of(status, headers, &self.shared.config(), wall_clock);
        let seen = told.limits.into_iter().map(|limit| Seen {
            limit: limit.name,
            unit: limit.unit,
            remaining: limit.remaining,
            until: now + limit.lasts,
            flow: limit.flow,
        });
        self.shared.provider.observe(seen, told.date, ends, now);
        self.adapt(told.is_refusal, now);
        if told.is_refusal {
            self.pause_for_refusal(told.pause, now);
        } else {
            self.shared
                .gate
                .shared_backoff
                .succeeded(self.paused_until(), now);
        }
        self.shared.totals.add_unreadable(told.unreadable);
        // What the response leaves may be more than before.
        self.wake_head();
    }

    /// Takes the wait that the body of a refusal tells, besides what
    /// [`observe_response`](Self::observe_response) takes from its header fields.
    ///
    /// Reads `retryDelay` of Google's `RetryInfo`, wherever it is in the JSON, and the header
    /// fields that `OpenRouter` puts into `error.metadata.headers`. Any other body, and one that is
    /// longer than a mebibyte, is ignored.
    ///
    /// ```
    /// use core::time::Duration;
    /// use http::{HeaderMap, StatusCode};
    /// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig};
    ///
    /// let limiter = ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, ManualClock::new())?;
    /// let body = br#"{"error": {"code": 429, "details": [{
    ///     "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "45.5s"}]}}"#;
    /// limiter.observe_body(StatusCode::TOO_MANY_REQUESTS, body);
    /// assert_eq!(limiter.check().retry_after(), Duration::from_millis(45_500));
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn observe_body(&self, status: StatusCode, body: impl AsRef<[u8]>) {
        self.observe_body_at(status, body, self.clock().now(), SystemTime::now());
    }

    /// [`observe_body`](Self::observe_body) as of `now` on the limiter's clock, and `wall_clock`
    /// for dates.
    pub fn observe_body_at(
        &self,
        status: StatusCode,
        body: impl AsRef<[u8]>,
        now: Timestamp,
        wall_clock: SystemTime,
    ) {
        if !is_refusal_status(status) {
            return;
        }
        let told = body::read(body.as_ref());
        if let Some(wait) = bounded_pause(told.retry_delay) {
            let end = now + wait;
            let gate = &self.shared.gate;
            // Header fields without a wait have begun a backoff, if they were observed before.
            gate.shared_backoff.withdraw(&gate.paused_until, end);
            self.pause_until(end);
            self.wake_head();
        }
        if !told.headers.is_empty() {
            self.observe_response_at(status, &told.headers, now, wall_clock);
        }
    }

    /// Adapts the pace to a response.
    fn adapt(&self, is_refused: bool, now: Timestamp) {
        let Some(adaptive) = &self.shared.adaptive else {
            return;
        };
        let mut adaptive = lock(adaptive);
        let sent = self.shared.totals.requests();
        let quota = adaptive.observe(is_refused, sent, now);
        // Under the lock, so that the last pace that was found is the one that holds.
        if let (Some(quota), Some(bucket)) = (quota, self.shared.limits.adaptive()) {
            bucket.set_quota_at(quota, now);
        }
    }

    /// Pauses all callers for as long as a refusal says. One that says nothing starts a backoff,
    /// unless the pace is adapted instead.
    fn pause_for_refusal(&self, wait: Option<Duration>, now: Timestamp) {
        if let Some(wait) = wait {
            self.pause_until(now + wait);
            return;
        }
        if self.shared.adaptive.is_some() {
            return;
        }
        let gate = &self.shared.gate;
        let paused_until = &gate.paused_until;
        gate.shared_backoff.pause(&gate.backoff, paused_until, now);
    }
}
