//! What a response tells, read without a limiter.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;
use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

use super::told_limits::{ToldLimit, told_limits, unified_reset};
use super::values::{ServerTime, duration, texts};
use crate::api::config::RateLimitConfig;
use crate::api::numbers::{DAY, HOUR, MINUTE, Numbers};
use crate::api::provider::{Flow, MOST, Unit};
use crate::api::refusal::LimitKind;

/// The longest that a response can stop calls. A day is the longest period of a provider's limits,
/// and a broken header must not stop a program forever.
const LONGEST: Duration = DAY;

/// What a response tells of its limits. Times count from when it was read.
#[derive(Debug)]
pub(crate) struct ToldResponse {
    pub(crate) limits: Vec<ToldLimitState>,
    /// The `Date` of the response, in seconds since 1970.
    pub(crate) date: Option<u64>,
    pub(crate) is_refusal: bool,
    /// How long a refusal asks callers to wait; not zero.
    pub(crate) pause: Option<Duration>,
    /// How many values could not be read.
    pub(crate) unreadable: u64,
}

/// The state of one limit.
#[derive(Debug)]
pub(crate) struct ToldLimitState {
    /// Which limit it is: a later response replaces what this one tells.
    pub(crate) name: Box<str>,
    pub(crate) unit: Unit,
    pub(crate) remaining: u64,
    /// How long it counts.
    pub(crate) lasts: Duration,
    pub(crate) flow: Option<Flow>,
}

impl ToldResponse {
    /// Reads a response. `wall_clock` counts where it has no `Date`.
    pub(crate) fn of(
        status: StatusCode,
        headers: &HeaderMap,
        config: &RateLimitConfig,
        wall_clock: SystemTime,
    ) -> Self {
        let server = ServerTime::of(headers, wall_clock);
        let (told, unreadable) = told_limits(headers, server);
        let wait = retry_after(headers, server);
        let is_refusal = is_refusal(status, &told, wait);
        // A refusal that says when to come back knows better than the reset of what is used up,
        // which is when all of it is back.
        let back = wait.filter(|wait| is_refusal && !wait.is_zero());
        let state = |limit: &ToldLimit<'_>| {
            let mut state = limit.state(config)?;
            if let Some(back) = back.filter(|_| limit.is_used_up()) {
                state.lasts = state.lasts.min(back);
            }
            Some(state)
        };
        let limits = told.iter().filter_map(state).collect();
        let pause = is_refusal
            .then(|| wait.or_else(|| reset_of_used_up(headers, &told, server)))
            .flatten();
        let unread_waits = u64::from(wait.is_none() && has_retry_after(headers));
        Self {
            limits,
            date: server.date(),
            is_refusal,
            pause: bounded_pause(pause),
            unreadable: unreadable + unread_waits,
        }
    }
}

/// How long a refusal pauses callers that tells this wait; `None` if it tells nothing, or only that
/// the call can be repeated at once.
pub(crate) fn bounded_pause(wait: Option<Duration>) -> Option<Duration> {
    let wait = wait.filter(|wait| !wait.is_zero());
    wait.map(|wait| wait.min(LONGEST))
}

/// Whether a server with this status refuses for now, whatever its header fields tell.
pub(crate) const fn is_refusal_status(status: StatusCode) -> bool {
    /// Anthropic's status for "overloaded".
    const OVERLOADED: u16 = 529;
    matches!(status.as_u16(), 429 | 503 | OVERLOADED)
}

/// 403 is GitHub's for limits that it calls secondary.
fn is_refusal(status: StatusCode, told: &[ToldLimit<'_>], wait: Option<Duration>) -> bool {
    let is_used_up = || wait.is_some() || told.iter().any(ToldLimit::is_used_up);
    is_refusal_status(status) || (status == StatusCode::FORBIDDEN && is_used_up())
}

fn has_retry_after(headers: &HeaderMap) -> bool {
    headers.contains_key("retry-after") || headers.contains_key("retry-after-ms")
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
fn reset_of_used_up(
    headers: &HeaderMap,
    told: &[ToldLimit<'_>],
    server: ServerTime,
) -> Option<Duration> {
    let used_up = told.iter().filter(|limit| limit.is_used_up());
    let resets = used_up.filter_map(|limit| limit.until_reset);
    let last = resets.chain(unified_reset(headers, server)).max();
    if last.is_some() || told.iter().any(|limit| limit.remaining.is_some()) {
        return last;
    }
    let resets = told.iter().filter_map(|limit| limit.until_reset);
    resets.filter(|wait| !wait.is_zero()).min()
}

impl ToldLimit<'_> {
    /// What counts of it. If no reset is told, what was used flows back at the rate that the
    /// response tells, or at the configured one.
    fn state(&self, config: &RateLimitConfig) -> Option<ToldLimitState> {
        let unit = self.unit?;
        let allowed = || self.allowed.or_else(|| config.allowed(unit, self.period));
        let flow = match self.until_reset {
            Some(_) => None,
            None => allowed().map(|amount| Flow {
                amount: amount.min(MOST),
                period: u64::try_from(self.period.as_nanos()).unwrap_or(u64::MAX),
            }),
        };
        Some(ToldLimitState {
            name: self.full_name().into(),
            unit,
            remaining: self.remaining?,
            lasts: self.until_reset.unwrap_or(self.period).min(LONGEST),
            flow,
        })
    }
}

impl RateLimitConfig {
    /// What is configured for a unit and a period.
    fn allowed(&self, unit: Unit, period: Duration) -> Option<u64> {
        let kind = match (unit, period) {
            (Unit::Requests, MINUTE) => LimitKind::Minute,
            (Unit::Requests, HOUR) => LimitKind::Hour,
            (Unit::Requests, DAY) => LimitKind::Day,
            (Unit::Tokens, MINUTE) => LimitKind::Tokens,
            (Unit::Tokens, DAY) => LimitKind::TokensPerDay,
            (Unit::InputTokens, MINUTE) => LimitKind::InputTokens,
            (Unit::OutputTokens, MINUTE) => LimitKind::OutputTokens,
            _ => return None,
        };
        self.numbers(kind).map(Numbers::stated)
    }
}
