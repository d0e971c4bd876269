//! What the API limiter of a fleet has in common with that of one process: the numbers of its
//! limits, its statuses, the backoff of refused callers, and what responses tell.
//!
//! For `tidegate-redis`, which depends on exactly this version. It is no public interface and
//! changes at any time.

use alloc::vec::Vec;
use core::time::Duration;

use super::backoff::Backoff;
use super::config::{ConfigError, RateLimitConfig};
#[cfg(feature = "http")]
pub use super::fleet_responses::{Told, ToldFlow, ToldLimit, read_refusal_body, read_response};
use super::numbers::{KINDS, Numbers};
use super::refusal::{LimitHit, LimitKind, Retry};
use super::status::{RateLimitStatus, Remaining};
use super::totals::RateLimitStats;
use super::usage::{TokenEstimate, TokenUsage};
use crate::quota::Quota;
use crate::sync::const_fn;
use crate::time::{Timestamp, nanos};

/// A limit of a configuration.
#[derive(Clone, Copy, Debug)]
pub struct LimitRule {
    /// What it limits.
    pub kind: LimitKind,
    /// Its number in the configuration.
    pub stated: u64,
    /// The most that one call can take.
    pub capacity: u64,
    /// How it counts.
    pub counted: Counted,
}

/// How a limit counts.
#[derive(Clone, Copy, Debug)]
pub enum Counted {
    /// In a sliding window of this length.
    Window(Duration),
    /// In a token bucket.
    Bucket(Quota),
}

/// Returns the limits of a configuration: those on requests and then those on tokens, in the order
/// in which an [`ApiRateLimiter`](crate::ApiRateLimiter) reports the first of several.
///
/// # Errors
///
/// As [`RateLimitConfig::validate`].
pub fn limit_rules(config: &RateLimitConfig) -> Result<Vec<LimitRule>, ConfigError> {
    config.validate()?;
    let mut rules = Vec::new();
    for kind in KINDS {
        // The adaptive pace has no number.
        let Some(numbers) = config.numbers(kind).filter(|_| kind != LimitKind::Adaptive) else {
            continue;
        };
        rules.push(LimitRule {
            kind,
            stated: numbers.stated(),
            capacity: numbers.capacity(),
            counted: match numbers {
                Numbers::Window { length, .. } => Counted::Window(length),
                Numbers::Bucket { .. } => Counted::Bucket(numbers.quota(kind)?),
            },
        });
    }
    // The burst first, as in one process.
    rules.sort_by_key(|rule| (rule.kind.counts_tokens(), rule.kind != LimitKind::Burst));
    Ok(rules)
}

/// Returns whether a limit of this kind counts tokens.
pub const fn counts_tokens(kind: LimitKind) -> bool {
    kind.counts_tokens()
}

/// Returns the part of `usage` that counts toward a limit of this kind.
pub const fn share_of(kind: LimitKind, usage: TokenUsage) -> u64 {
    kind.share_of(usage)
}

/// Returns what each token limit of these kinds and capacities is charged for a call, and what the
/// call is expected to use: of a guess no more than the limits can give.
pub fn charges(
    estimate: TokenEstimate,
    limits: impl Iterator<Item = (LimitKind, u64)>,
) -> (Vec<u64>, TokenUsage) {
    let mut most = u64::MAX;
    let charges = limits.map(|(kind, capacity)| {
        let charge = kind.charge_of(estimate, capacity);
        if kind.bounds_usage() {
            most = most.min(charge);
        }
        charge
    });
    let charges = charges.collect();
    (charges, estimate.usage().at_most(most))
}

/// Returns what a call has used that reported so much. `charged` is what it was charged.
pub fn used_so_far(
    estimate: TokenEstimate,
    reported: TokenUsage,
    charged: TokenUsage,
) -> TokenUsage {
    estimate.used_so_far(reported, charged)
}

/// Returns the sum of two usages.
pub const fn plus(one: TokenUsage, more: TokenUsage) -> TokenUsage {
    one.plus(more)
}

/// Returns the larger of each part of two usages.
pub fn at_least(one: TokenUsage, other: TokenUsage) -> TokenUsage {
    one.at_least(other)
}

/// Returns the requests that flow in, and in which time: those of the shortest period that is
/// limited.
pub fn pace(config: &RateLimitConfig) -> Option<(u64, Duration)> {
    config.pace()
}

/// A refusal.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// The limit that refuses.
    pub kind: LimitKind,
    /// The name of a shared limit.
    pub name: Option<&'static str>,
    /// The limit's number, for the message.
    pub limit: u64,
    /// What helps.
    pub help: Help,
}

/// What helps a refused call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Help {
    /// To wait so long.
    Wait(Duration),
    /// The end of another call.
    Release,
    /// Nothing.
    Never,
}

/// Returns the status of a call that is not limited.
pub const fn free_status(requests_remaining: u64, tokens_remaining: u64) -> RateLimitStatus {
    RateLimitStatus::free(Remaining {
        requests: requests_remaining,
        tokens: tokens_remaining,
    })
}

/// Returns the status of a call that is limited, with what the backoff adds to its wait.
pub fn limited_status(
    refusal: Refusal,
    backoff: Duration,
    requests_remaining: u64,
    tokens_remaining: u64,
) -> RateLimitStatus {
    let hit = LimitHit {
        kind: refusal.kind,
        name: refusal.name,
        limit: refusal.limit,
        retry: match refusal.help {
            Help::Wait(wait) => Retry::After(nanos(wait)),
            Help::Release => Retry::OnRelease,
            Help::Never => Retry::Never,
        },
    };
    let remaining = Remaining {
        requests: requests_remaining,
        tokens: tokens_remaining,
    };
    RateLimitStatus::limited(hit, nanos(backoff), remaining)
}

/// Returns statistics in which nothing has happened, without limits.
pub const fn no_stats() -> RateLimitStats {
    RateLimitStats {
        total_requests: 0,
        total_tokens_used: 0,
        requests_remaining_minute: u64::MAX,
        requests_remaining_hour: u64::MAX,
        requests_remaining_day: None,
        burst_remaining: u64::MAX,
        tokens_remaining_minute: u64::MAX,
        tokens_remaining_day: None,
        in_flight: 0,
        forfeited: 0,
        unreadable: 0,
    }
}

/// The backoff of this process's callers.
#[derive(Debug)]
pub struct CallerBackoff(Backoff);

impl CallerBackoff {
    const_fn! {
        /// Returns a backoff without refusals.
        pub const fn new(config: &RateLimitConfig) -> Self {
            Self(Backoff::new(config))
        }
    }

    /// Ends a streak of refusals.
    pub fn end_streak(&self) {
        self.0.end_streak();
    }

    /// Returns what to add to the wait of a caller that is refused at `now`.
    pub fn extra_wait(&self, now: Timestamp, retry_after: Duration) -> Duration {
        Duration::from_nanos(self.0.extra_wait(now, nanos(retry_after)))
    }
}
