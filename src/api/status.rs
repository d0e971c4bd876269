//! What a caller is told.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::usage::TokenUsage;

/// Which limit of an [`ApiRateLimiter`](crate::ApiRateLimiter).
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
    /// Others who wait, and are before it in line.
    Line,
}

impl LimitKind {
    /// A short name: `minute`, `hour`, `tokens`.
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
            Self::Line => "line",
        }
    }

    /// How many of the tokens count towards a limit of this kind.
    pub(super) const fn share_of(self, usage: TokenUsage) -> u64 {
        match self {
            Self::InputTokens => usage.input(),
            Self::OutputTokens => usage.output(),
            _ => usage.total(),
        }
    }

    /// In words: `minute limit of 50 requests`.
    fn described(self, most: u64) -> String {
        let (limit, one, more) = match self {
            Self::Minute => ("minute limit", "request", ""),
            Self::Hour => ("hour limit", "request", ""),
            Self::Day => ("day limit", "request", ""),
            Self::Burst => ("burst limit", "request", ""),
            Self::Tokens => ("minute limit", "token", ""),
            Self::TokensPerDay => ("day limit", "token", ""),
            Self::InputTokens => ("minute limit", "input token", ""),
            Self::OutputTokens => ("minute limit", "output token", ""),
            Self::InFlight => ("limit", "call", " in flight"),
            // Not numbers of anything, and told in other words.
            Self::Pause => ("pause", "pause", ""),
            Self::Line => ("line", "line", ""),
        };
        let plural = if most == 1 { "" } else { "s" };
        format!("{limit} of {most} {one}{plural}{more}")
    }
}

/// Whether a call may be made, and what is left.
///
/// Making one allocates only for the message of a refusal.
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
/// assert_eq!(status.message, "burst limit of 10 requests reached, next in 1.2 s");
/// assert_eq!(status.requests_remaining, 40);
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a call may be limited"]
#[non_exhaustive]
pub struct RateLimitStatus {
    /// Whether the call may not be made.
    pub is_limited: bool,
    /// How long to wait before trying again: [`retry_after`](Self::retry_after), stretched by the backoff. Zero if not
    /// limited, and where no time can be told: [`is_permanent`](Self::is_permanent), [`LimitKind::InFlight`] or
    /// [`LimitKind::Line`].
    pub wait_time: Duration,
    /// How many requests the minute, hour and day have room for.
    pub requests_remaining: u64,
    /// How many tokens are left in every limit on tokens.
    pub tokens_remaining: u64,
    /// For people: `minute limit of 50 requests reached, next in 1.2 s`.
    pub message: Cow<'static, str>,
    /// The limit that refuses the longest; `None` if not limited.
    pub limited_by: Option<LimitKind>,
    /// The earliest instant at which the same call can succeed, from now: it does if nobody else comes, and if a permit is to be had
    /// then where [`max_in_flight`](crate::RateLimitConfig::max_in_flight) is set. Zero where no time can be told, as for
    /// [`wait_time`](Self::wait_time).
    pub retry_after: Duration,
    /// No wait helps: the call asks for more than a limit can ever give.
    pub is_permanent: bool,
}

/// Why a call is limited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) kind: LimitKind,
    /// How much that limit allows.
    pub(super) most: u64,
    pub(super) until: Until,
}

/// When it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    After(Duration),
    /// When somebody else is done: one of the calls in flight, or who is before it in line.
    Released,
    Never,
}

impl RateLimitStatus {
    #[inline]
    pub(super) const fn free(requests_remaining: u64, tokens_remaining: u64) -> Self {
        Self {
            is_limited: false,
            wait_time: Duration::ZERO,
            requests_remaining,
            tokens_remaining,
            message: Cow::Borrowed("not limited"),
            limited_by: None,
            retry_after: Duration::ZERO,
            is_permanent: false,
        }
    }

    #[cold]
    pub(super) fn limited(
        refusal: Refusal,
        backoff: Duration,
        requests_remaining: u64,
        tokens_remaining: u64,
    ) -> Self {
        let Refusal { kind, most, until } = refusal;
        let retry_after = match until {
            Until::After(wait) => wait,
            Until::Released | Until::Never => Duration::ZERO,
        };
        let wait_time = retry_after.saturating_add(match until {
            Until::After(_) => backoff,
            Until::Released | Until::Never => Duration::ZERO,
        });
        let limit = kind.described(most);
        let message = match (kind, until) {
            (LimitKind::Pause, _) => format!("paused by the server, next in {}", Spoken(wait_time)),
            (LimitKind::Line, _) => String::from("others are before it in line"),
            (_, Until::After(_)) => {
                let wait = Spoken(wait_time);
                format!("{limit} reached, next in {wait}")
            }
            (_, Until::Released) => format!("{limit} reached, next when one ends"),
            (_, Until::Never) => format!("more than the {limit} can ever give"),
        };
        Self {
            is_limited: true,
            wait_time,
            requests_remaining,
            tokens_remaining,
            message: Cow::Owned(message),
            limited_by: Some(kind),
            retry_after,
            is_permanent: until == Until::Never,
        }
    }
}

/// A wait for people, rounded up to what matters: `1.2 s`, `2 min 5 s`, `3 h 20 min`.
struct Spoken(Duration);

impl core::fmt::Display for Spoken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
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

impl core::fmt::Display for RateLimitStatus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.message)?;
        if !self.is_limited {
            let (requests, tokens) = (self.requests_remaining, self.tokens_remaining);
            write!(f, ": {requests} requests and {tokens} tokens remaining")?;
        }
        Ok(())
    }
}

impl core::error::Error for RateLimitStatus {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use core::time::Duration;

    use super::Spoken;

    #[test]
    fn waits_are_rounded_up() {
        for (nanos, spoken) in [
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
            assert_eq!(Spoken(Duration::from_nanos(nanos)).to_string(), spoken);
        }
    }
}
