//! The answer to a caller: admitted or limited, by which limit, and for how long.

use alloc::borrow::Cow;
use alloc::format;
use core::fmt;
use core::time::Duration;

use super::config::RateLimitConfig;
use super::usage::TokenUsage;

/// A limit of an [`ApiRateLimiter`](crate::ApiRateLimiter).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// Requests in any minute.
    Minute,
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
    /// A limit with this name that was added by the builder, and that other limiters may share.
    Shared(&'static str),
}

impl LimitKind {
    /// Returns a short name: `minute`, `hour`, `tokens`, or that of a shared limit.
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
            Self::Shared(name) => name,
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

    /// The limit's period, and the unit that it counts. The last three have no number.
    const fn words(self) -> (&'static str, &'static str) {
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
            Self::Shared(name) => (name, "permit"),
            Self::Pause | Self::Queue | Self::Provider => (self.name(), ""),
        }
    }
}

/// Whether a call was admitted, what remains, and how long to wait if it was not.
///
/// Only a limited status allocates, for its message.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{ApiRateLimiter, LimitKind, ManualClock, RateLimitConfig};
///
/// let config = RateLimitConfig { enable_backoff: false, ..RateLimitConfig::DEFAULT };
/// let limiter = ApiRateLimiter::with_clock(config, ManualClock::new())?;
/// for _ in 0..10 {
///     assert!(!limiter.try_acquire().is_limited);
/// }
/// let status = limiter.try_acquire();
/// assert_eq!((status.is_limited, status.limited_by), (true, Some(LimitKind::Burst)));
/// assert_eq!(status.wait_time, Duration::from_millis(1_200));
/// assert_eq!(status.message, "burst limit of 10 requests reached, retry in 1.2 s");
/// assert_eq!(status.requests_remaining, 40);
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a call may be limited"]
#[non_exhaustive]
pub struct RateLimitStatus {
    /// Whether the call was refused, or would be.
    pub is_limited: bool,
    /// How long to wait before the next try: [`retry_after`](Self::retry_after), extended by the
    /// backoff.
    ///
    /// Zero if not limited, and where the wait is unknown: [`is_permanent`](Self::is_permanent),
    /// [`LimitKind::InFlight`] and [`LimitKind::Queue`].
    pub wait_time: Duration,
    /// The requests that the minute, hour and day all have room for;
    /// [`NO_LIMIT`](RateLimitConfig::NO_LIMIT) without such limits.
    pub requests_remaining: u64,
    /// The tokens that remain in every token limit; `NO_LIMIT` without one.
    pub tokens_remaining: u64,
    /// The reason for people: `minute limit of 50 requests reached, retry in 1.2 s`.
    pub message: Cow<'static, str>,
    /// The limit that refuses the longest; `None` if not limited.
    pub limited_by: Option<LimitKind>,
    /// The time until the same call can succeed.
    ///
    /// It does succeed then if no other call comes in between. With
    /// [`max_in_flight`](crate::RateLimitConfig::max_in_flight), a permit must also be free. Zero
    /// where the wait is unknown, as for [`wait_time`](Self::wait_time).
    pub retry_after: Duration,
    /// No wait helps, because the call asks for more than a limit can ever give.
    pub is_permanent: bool,
}

/// A refusal before its message is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitHit {
    pub(super) kind: LimitKind,
    /// The limit's number, for the message.
    pub(super) limit: u64,
    pub(super) retry: Retry,
}

/// When a refused call can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    After(Duration),
    /// At an unknown time, when a call in flight ends or the waiters ahead have left.
    OnRelease,
    Never,
}

impl LimitHit {
    /// For a caller that is still behind others in the wait queue.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) const QUEUE: Self = Self {
        kind: LimitKind::Queue,
        limit: 0,
        retry: Retry::OnRelease,
    };

    /// For a caller that the provider's views refuse.
    pub(super) const fn provider(left: Duration) -> Self {
        Self {
            kind: LimitKind::Provider,
            limit: 0,
            retry: Retry::After(left),
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
            limit: 0,
            retry: Retry::After(left),
        }
    }
}

/// What remains of the limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remaining {
    /// In the minute, hour and day. Without the burst, which only spreads requests out and is back
    /// soon.
    pub(super) requests: u64,
    /// In every token limit.
    pub(super) tokens: u64,
}

impl RateLimitStatus {
    #[inline]
    pub(super) const fn free(remaining: Remaining) -> Self {
        Self {
            is_limited: false,
            wait_time: Duration::ZERO,
            requests_remaining: remaining.requests,
            tokens_remaining: remaining.tokens,
            message: Cow::Borrowed("not limited"),
            limited_by: None,
            retry_after: Duration::ZERO,
            is_permanent: false,
        }
    }

    #[cold]
    pub(super) fn limited(hit: LimitHit, backoff: Duration, remaining: Remaining) -> Self {
        let (retry_after, wait_time) = match hit.retry {
            Retry::After(wait) => (wait, wait.saturating_add(backoff)),
            Retry::OnRelease | Retry::Never => (Duration::ZERO, Duration::ZERO),
        };
        Self {
            is_limited: true,
            wait_time,
            requests_remaining: remaining.requests,
            tokens_remaining: remaining.tokens,
            message: message(hit, wait_time),
            limited_by: Some(hit.kind),
            retry_after,
            is_permanent: hit.retry == Retry::Never,
        }
    }
}

fn message(hit: LimitHit, wait: Duration) -> Cow<'static, str> {
    let (name, unit) = hit.kind.words();
    let plural = if hit.limit == 1 { "" } else { "s" };
    let shared = if matches!(hit.kind, LimitKind::Shared(_)) {
        "shared limit "
    } else {
        ""
    };
    let limit = format_args!("{shared}{name} of {} {unit}{plural}", hit.limit);
    let wait = RoundedWait(wait);
    Cow::Owned(match (hit.kind, hit.retry) {
        (LimitKind::Queue, _) => return Cow::Borrowed("other waiters are ahead in the queue"),
        (LimitKind::Pause, _) => format!("paused by the server, retry in {wait}"),
        (LimitKind::Provider, _) => {
            format!("too little left according to the server, retry in {wait}")
        }
        (_, Retry::After(_)) => format!("{limit} reached, retry in {wait}"),
        (_, Retry::OnRelease) => format!("{limit} reached, retry when one ends"),
        (_, Retry::Never) => format!("above the {limit}, no wait helps"),
    })
}

/// A wait for people, rounded up: `1.2 s`, `2 min 5 s`, `3 h 20 min`.
struct RoundedWait(Duration);

impl fmt::Display for RoundedWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_nanos().div_ceil(1_000_000);
        if millis < 100 {
            return write!(f, "{millis} ms");
        }
        let tenths = millis.div_ceil(100);
        if tenths < 600 {
            return write!(f, "{}.{} s", tenths / 10, tenths % 10);
        }
        let seconds = tenths.div_ceil(10);
        if seconds < 3_600 {
            return write!(f, "{} min {} s", seconds / 60, seconds % 60);
        }
        let minutes = seconds.div_ceil(60);
        write!(f, "{} h {} min", minutes / 60, minutes % 60)
    }
}

impl fmt::Display for RateLimitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.is_limited {
            let requests = Count(self.requests_remaining, "requests");
            let tokens = Count(self.tokens_remaining, "tokens");
            write!(f, ": {requests} and {tokens} remaining")?;
        }
        Ok(())
    }
}

/// A number that may be without a limit: `12 requests`, `unlimited tokens`.
struct Count(u64, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(RateLimitConfig::NO_LIMIT, unit) => write!(f, "unlimited {unit}"),
            Self(count, unit) => write!(f, "{count} {unit}"),
        }
    }
}

impl core::error::Error for RateLimitStatus {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use core::time::Duration;

    use super::RoundedWait;

    #[test]
    fn waits_are_rounded_up() {
        for (nanos, text) in [
            (1, "1 ms"),
            (99_000_000, "99 ms"),
            (99_000_001, "0.1 s"),
            (1_200_000_000, "1.2 s"),
            (1_200_000_001, "1.3 s"),
            (59_900_000_001, "1 min 0 s"),
            (125_000_000_000, "2 min 5 s"),
            (3_600_000_000_000, "1 h 0 min"),
            (12_000_000_000_000, "3 h 20 min"),
        ] {
            assert_eq!(RoundedWait(Duration::from_nanos(nanos)).to_string(), text);
        }
    }
}
