//! The answer to a caller: admitted or limited, by which limit, and for how long.

use core::time::Duration;

use super::refusal::{LimitHit, LimitKind, Retry};
use crate::retry_after::RetryAfter;

/// Whether a call was admitted, what remains, and how long to wait if it was not.
///
/// It is as large as a cache line, and allocates nothing: its message is written where it is read.
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
/// assert_eq!(status.wait_time(), Duration::from_millis(1_200));
/// assert_eq!(status.message(), "burst limit of 10 requests reached, retry in 1.2 s");
/// assert_eq!(status.requests_remaining, 40);
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a call may be limited"]
#[non_exhaustive]
pub struct RateLimitStatus {
    /// Whether the call was refused, or would be.
    pub is_limited: bool,
    /// The requests that the minute, hour and day all have room for;
    /// [`NO_LIMIT`](crate::RateLimitConfig::NO_LIMIT) without such limits.
    pub requests_remaining: u64,
    /// The tokens that remain in every token limit; `NO_LIMIT` without one.
    pub tokens_remaining: u64,
    /// The limit that refuses the longest; `None` if not limited.
    pub limited_by: Option<LimitKind>,
    /// No wait helps, because the call asks for more than a limit can ever give.
    pub is_permanent: bool,
    wait_time: RetryAfter,
    retry_after: RetryAfter,
    /// The number of the limit that refuses.
    pub(super) limit: u64,
    limit_name: Option<&'static str>,
}

// More bytes cost every admission: they are written and copied before the next atomic operation.
const _: () = assert!(size_of::<RateLimitStatus>() <= 64);

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
    /// Returns how long to wait before the next try: [`retry_after`](Self::retry_after), and what
    /// the backoff adds.
    ///
    /// Zero if not limited, and where the wait is unknown: [`is_permanent`](Self::is_permanent),
    /// [`LimitKind::InFlight`] and [`LimitKind::Queue`].
    pub const fn wait_time(&self) -> Duration {
        self.wait_time.as_duration()
    }

    /// Returns the time until the same call can succeed.
    ///
    /// It does succeed then if no other call comes in between. With
    /// [`max_in_flight`](crate::RateLimitConfig::max_in_flight), a permit must also be free. Zero
    /// where the wait is unknown, as for [`wait_time`](Self::wait_time).
    pub const fn retry_after(&self) -> Duration {
        self.retry_after.as_duration()
    }

    /// Returns the name of the limit that refuses, if it was added by the
    /// [builder](crate::ApiRateLimiterBuilder).
    pub const fn limit_name(&self) -> Option<&'static str> {
        self.limit_name
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
    const FREE: Self = Self {
        is_limited: false,
        requests_remaining: 0,
        tokens_remaining: 0,
        limited_by: None,
        is_permanent: false,
        wait_time: RetryAfter::from_nanos(0),
        retry_after: RetryAfter::from_nanos(0),
        limit: 0,
        limit_name: None,
    };

    /// With a backoff in nanoseconds.
    #[inline]
    pub(super) fn limited(hit: LimitHit, backoff: u64, remaining: Remaining) -> Self {
        let (retry_after, wait_time) = match hit.retry {
            Retry::After(wait) => (wait, wait.saturating_add(backoff)),
            Retry::OnRelease | Retry::Never => (0, 0),
        };
        Self {
            is_limited: true,
            requests_remaining: remaining.requests,
            tokens_remaining: remaining.tokens,
            limited_by: Some(hit.kind),
            is_permanent: hit.retry == Retry::Never,
            wait_time: RetryAfter::from_nanos(wait_time),
            retry_after: RetryAfter::from_nanos(retry_after),
            limit: hit.limit,
            limit_name: hit.name,
        }
    }
}

impl core::error::Error for RateLimitStatus {}
