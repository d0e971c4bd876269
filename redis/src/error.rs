//! Why a call was not admitted.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use redis::RedisError;
use tidegate::Denied;

use crate::scaled_quota::ScaleError;

/// A call that was not admitted. Nothing was charged, unless it says so.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AcquireError {
    /// The limit refuses.
    Denied {
        /// Not yet, or never.
        denied: Denied,
        /// ScriptKind of several limits: the one that refuses the longest.
        limit: Option<Arc<str>>,
    },
    /// The server did not answer, and the limiter does without it only if its [`FailurePolicy`](crate::FailurePolicy) lets it. If the
    /// server was asked, it may have charged the call.
    Unavailable {
        /// When it is worth asking again.
        retry_after: Duration,
        /// What the connection or the server said; `None` if the server was not asked because it is known not to answer.
        cause: Option<RedisError>,
    },
    /// A call for several limits named more or fewer costs than there are limits.
    CostCount {
        /// How many limits there are.
        limits: usize,
    },
    /// The lease was closed on this node.
    Closed,
}

impl AcquireError {
    /// How long to wait before the same call can succeed; `None` if no wait helps.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Denied { denied, .. } => denied.retry_after(),
            Self::Unavailable { retry_after, .. } => Some(*retry_after),
            Self::CostCount { .. } | Self::Closed => None,
        }
    }

    /// The refusal, if it is the limit that refuses.
    pub const fn denied(&self) -> Option<Denied> {
        match self {
            Self::Denied { denied, .. } => Some(*denied),
            Self::Unavailable { .. } | Self::CostCount { .. } | Self::Closed => None,
        }
    }

    /// The name of the limit that refuses the longest, if it has one.
    pub fn limit(&self) -> Option<&str> {
        match self {
            Self::Denied { limit, .. } => limit.as_deref(),
            Self::Unavailable { .. } | Self::CostCount { .. } | Self::Closed => None,
        }
    }

    /// Whether it is for want of the server.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl From<Denied> for AcquireError {
    fn from(denied: Denied) -> Self {
        Self::Denied {
            denied,
            limit: None,
        }
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied {
                denied,
                limit: Some(limit),
            } => write!(f, "limit `{limit}`: {denied}"),
            Self::Denied { denied, .. } => denied.fmt(f),
            Self::Unavailable { retry_after, cause } => {
                write!(
                    f,
                    "the limits' server does not answer: retry after {retry_after:?}"
                )?;
                match cause {
                    Some(cause) => write!(f, " ({cause})"),
                    None => Ok(()),
                }
            }
            Self::CostCount { limits } => write!(f, "there are {limits} limits, and so must costs"),
            Self::Closed => f.write_str("the lease is closed"),
        }
    }
}

impl core::error::Error for AcquireError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Denied { denied, .. } => Some(denied),
            Self::Unavailable { cause, .. } => cause.as_ref().map(|cause| cause as _),
            Self::CostCount { .. } | Self::Closed => None,
        }
    }
}

/// A limiter that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A quota that the server's numbers do not hold.
    Scale(ScaleError),
    /// There is no limit.
    NoLimits,
    /// Two limits have one name.
    DuplicateLimit(Arc<str>),
    /// The share of one of so many nodes is less than a quota can say.
    TooManyNodes,
}

impl From<ScaleError> for BuildError {
    fn from(error: ScaleError) -> Self {
        Self::Scale(error)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scale(error) => error.fmt(f),
            Self::NoLimits => f.write_str("there is no limit"),
            Self::DuplicateLimit(name) => write!(f, "two limits are named `{name}`"),
            Self::TooManyNodes => f.write_str("the share of one of so many nodes is too small"),
        }
    }
}

impl core::error::Error for BuildError {}
