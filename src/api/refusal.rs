//! A refusal: by which limit, and for how long.

use core::time::Duration;

use super::usage::{TokenEstimate, TokenUsage};
use crate::time::nanos;

/// A limit of an [`ApiRateLimiter`](crate::ApiRateLimiter).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// Requests in any minute.
    // From 1, so that a status without a limit is all zeros, which is written fastest.
    Minute = 1,
    /// Requests in any hour.
    Hour,
    /// Requests in any 24 hours.
    Day,
    /// Requests at once.
    Burst,
    /// Tokens per minute.
    Tokens,
    /// Tokens per day.
    TokensPerDay,
    /// Input tokens per minute.
    InputTokens,
    /// Output tokens per minute.
    OutputTokens,
    /// Calls at the same time.
    InFlight,
    /// A pause that the server asked for.
    Pause,
    /// The wait queue: other waiters are ahead.
    Queue,
    /// What the provider has told in a response: that less remains than the call asks for.
    Provider,
    /// A limit that was added by the builder, and that other limiters may share.
    Shared,
    /// The pace that was found after refusals of the server.
    Adaptive,
}

impl LimitKind {
    /// Returns a short name: `minute`, `hour`, `tokens`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Burst => "burst",
            Self::Tokens => "tokens",
            Self::TokensPerDay => "tokens per day",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::InFlight => "in flight",
            Self::Pause => "pause",
            Self::Queue => "queue",
            Self::Provider => "provider",
            Self::Shared => "shared",
            Self::Adaptive => "adaptive",
        }
    }

    pub(super) const fn counts_tokens(self) -> bool {
        matches!(
            self,
            Self::Tokens | Self::TokensPerDay | Self::InputTokens | Self::OutputTokens
        )
    }

    /// The part of `usage` that counts toward a limit of this kind.
    pub(super) const fn share_of(self, usage: TokenUsage) -> u64 {
        match self {
            Self::InputTokens => usage.input(),
            Self::OutputTokens => usage.output(),
            _ => usage.total(),
        }
    }

    /// What a limit of this kind with such a capacity is charged for an estimate.
    pub(super) fn charge_of(self, estimate: TokenEstimate, capacity: u64) -> u64 {
        let tokens = self.share_of(estimate.usage());
        if estimate.is_guess() {
            tokens.min(capacity)
        } else {
            tokens
        }
    }

    /// Whether what a limit of this kind is charged bounds what a call is expected to use in all.
    pub(super) const fn bounds_usage(self) -> bool {
        !matches!(self, Self::InputTokens | Self::OutputTokens)
    }

    /// The limit's period, and the unit that it counts. Some have no number.
    pub(super) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Minute => ("minute limit", "request"),
            Self::Hour => ("hour limit", "request"),
            Self::Day => ("day limit", "request"),
            Self::Burst => ("burst limit", "request"),
            Self::Tokens => ("minute limit", "token"),
            Self::TokensPerDay => ("day limit", "token"),
            Self::InputTokens => ("minute limit", "input token"),
            Self::OutputTokens => ("minute limit", "output token"),
            Self::InFlight => ("in-flight limit", "call"),
            Self::Shared => ("shared limit", "permit"),
            Self::Pause | Self::Queue | Self::Provider | Self::Adaptive => (self.name(), ""),
        }
    }
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LimitHit {
    pub(super) kind: LimitKind,
    /// That of a shared limit.
    pub(super) name: Option<&'static str>,
    /// The limit's number, for the message.
    pub(super) limit: u64,
    pub(super) retry: Retry,
}

/// When a refused call can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// After this number of nanoseconds: not a `Duration`, which is taken apart and put together
    /// again at each step.
    After(u64),
    /// At an unknown time, when a call in flight ends or the waiters ahead have left.
    OnRelease,
    Never,
}

impl LimitHit {
    /// For a caller that is still behind others in the wait queue.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) const QUEUE: Self = Self {
        kind: LimitKind::Queue,
        name: None,
        limit: 0,
        retry: Retry::OnRelease,
    };

    /// For a caller that the provider's views refuse.
    pub(super) const fn provider(left: Duration) -> Self {
        Self {
            kind: LimitKind::Provider,
            name: None,
            limit: 0,
            retry: Retry::After(nanos(left)),
        }
    }

    /// Of two refusals the one that lasts longer; the first if both do.
    pub(super) fn longer(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(hit), Some(other)) => Some(match (hit.retry, other.retry) {
                (Retry::After(wait), Retry::After(longer)) if longer > wait => other,
                (Retry::OnRelease, Retry::After(_)) => other,
                _ => hit,
            }),
            (one, other) => one.or(other),
        }
    }

    /// For a caller during a pause.
    pub(super) const fn pause(left: Duration) -> Self {
        Self {
            kind: LimitKind::Pause,
            name: None,
            limit: 0,
            retry: Retry::After(nanos(left)),
        }
    }
}
