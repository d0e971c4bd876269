//! Why an API limiter has not admitted a call.

use core::fmt;
use core::time::Duration;

use redis::RedisError;
use tidegate::RateLimitStatus;

/// A call that a [`RedisApiRateLimiter`](crate::RedisApiRateLimiter) did not admit, or a message
/// that the server did not take.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ApiError {
    /// A limit refuses the call. Nothing was charged.
    Limited(RateLimitStatus),
    /// The server did not answer, and the [`FailurePolicy`](crate::FailurePolicy) does not admit
    /// the call without it.
    Unavailable {
        /// When it is worth asking again.
        retry_after: Duration,
        /// The error of the connection or the server: that of this call, or of the last one that
        /// failed if this one was not sent because the server is known to be down.
        cause: Option<RedisError>,
    },
    /// More calls than [`StoreBuilder::max_waiting`](crate::StoreBuilder::max_waiting) wait to be
    /// sent on this node. Nothing was charged.
    Overloaded,
}

impl ApiError {
    /// Returns the status if a limit refuses the call.
    pub const fn status(&self) -> Option<&RateLimitStatus> {
        match self {
            Self::Limited(status) => Some(status),
            _ => None,
        }
    }

    /// Returns how long to wait before the same call can succeed; `None` if no wait is known to
    /// help.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited(status) if status.retry_after().is_zero() => None,
            Self::Limited(status) => Some(status.retry_after()),
            Self::Unavailable { retry_after, .. } => Some(*retry_after),
            Self::Overloaded => None,
        }
    }

    /// Returns whether the server did not answer.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limited(status) => status.fmt(f),
            Self::Unavailable { retry_after, cause } => {
                write!(
                    f,
                    "the limit server does not answer: retry after {retry_after:?}"
                )?;
                match cause {
                    Some(cause) => write!(f, " ({cause})"),
                    None => Ok(()),
                }
            }
            Self::Overloaded => f.write_str("too many calls wait to be sent to the limit server"),
        }
    }
}

impl core::error::Error for ApiError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Limited(status) => Some(status),
            Self::Unavailable { cause, .. } => cause.as_ref().map(|cause| cause as _),
            Self::Overloaded => None,
        }
    }
}
