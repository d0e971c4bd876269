//! The answer to a caller: admitted or limited, by which limit, and for how long.

use core::fmt;
use core::time::Duration;

use super::config::RateLimitConfig;
use super::message::LimitMessage;
use super::refusal::{LimitHit, LimitKind, Retry};

/// Whether a call was admitted, what remains, and how long to wait if it was not.
///
/// A refusal allocates nothing before its message is read.
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
    pub message: LimitMessage,
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
    /// Returns the name of the limit that refuses, if it was added by the
    /// [builder](crate::ApiRateLimiterBuilder).
    pub fn limit_name(&self) -> Option<&'static str> {
        self.message.limit_name()
    }

    #[inline]
    pub(super) const fn free(remaining: Remaining) -> Self {
        let mut status = Self::FREE;
        status.requests_remaining = remaining.requests;
        status.tokens_remaining = remaining.tokens;
        status
    }

    /// What admitted calls return, apart from what remains.
    ///
    /// A constant, so that it is copied in the same wide words in which a caller moves the status.
    /// Written field by field, it has gaps: a caller then reads words that were stored in parts,
    /// which stalls the processor for 1 to 4 ns of a call.
    #[cfg_attr(
        all(feature = "std", not(tidegate_loom)),
        expect(
            clippy::declare_interior_mutable_const,
            reason = "each status is a copy, with a text of its own"
        )
    )]
    const FREE: Self = Self {
        is_limited: false,
        wait_time: Duration::ZERO,
        requests_remaining: 0,
        tokens_remaining: 0,
        message: LimitMessage::not_limited(),
        limited_by: None,
        retry_after: Duration::ZERO,
        is_permanent: false,
    };

    /// With a backoff in nanoseconds.
    #[inline]
    pub(super) fn limited(hit: LimitHit, backoff: u64, remaining: Remaining) -> Self {
        let (retry_after, wait) = match hit.retry {
            Retry::After(wait) => (wait, wait.saturating_add(backoff)),
            Retry::OnRelease | Retry::Never => (0, 0),
        };
        Self {
            is_limited: true,
            wait_time: Duration::from_nanos(wait),
            requests_remaining: remaining.requests,
            tokens_remaining: remaining.tokens,
            message: LimitMessage::limited(hit, wait),
            limited_by: Some(hit.kind),
            retry_after: Duration::from_nanos(retry_after),
            is_permanent: hit.retry == Retry::Never,
        }
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
