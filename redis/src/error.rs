//! Why a call was not admitted, and why a limiter cannot be built.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use redis::RedisError;
use tidegate::{ConfigError, Denied, WindowError};

use crate::scaled_quota::ScaleError;

/// A call that was not admitted. Nothing was charged, except where a variant says otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AcquireError {
    /// A limit denies the call.
    Denied {
        /// Not yet, or never.
        denied: Denied,
        /// The name of the limit, if it has one. Of several, the one with the longest wait.
        limit: Option<Arc<str>>,
    },
    /// The server did not answer, and the [`FailurePolicy`](crate::FailurePolicy) does not admit
    /// the call without it. If the server was asked, it may have charged the call.
    Unavailable {
        /// When it is worth asking again.
        retry_after: Duration,
        /// The error of the connection or the server: that of this call, or of the last one that
        /// failed if this one was not sent because the server is known to be down.
        cause: Option<RedisError>,
    },
    /// The number of costs differs from the number of limits.
    CostCount {
        /// The number of limits.
        limits: usize,
    },
    /// The lease was closed on this node.
    Closed,
    /// The time of [`Acquire::timeout`](crate::Acquire::timeout) was over before it was this call's
    /// turn.
    TimedOut,
    /// More calls than [`StoreBuilder::max_waiting`](crate::StoreBuilder::max_waiting) wait to be
    /// sent on this node.
    Overloaded,
}

impl AcquireError {
    /// Returns how long to wait before the same call can succeed; `None` if no wait helps.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Denied { denied, .. } => denied.retry_after(),
            Self::Unavailable { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// Returns the denial if a limit denies the call.
    pub const fn denied(&self) -> Option<Denied> {
        match self {
            Self::Denied { denied, .. } => Some(*denied),
            _ => None,
        }
    }

    /// Returns the name of the limit that denies the call, if it has one.
    pub fn limit(&self) -> Option<&str> {
        match self {
            Self::Denied { limit, .. } => limit.as_deref(),
            _ => None,
        }
    }

    /// Returns whether the call failed because the server did not answer.
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
                    "the limit server does not answer: retry after {retry_after:?}"
                )?;
                match cause {
                    Some(cause) => write!(f, " ({cause})"),
                    None => Ok(()),
                }
            }
            Self::CostCount { limits } => write!(f, "expected {limits} costs, one for each limit"),
            Self::Closed => f.write_str("the lease is closed"),
            Self::TimedOut => f.write_str("the time was over before the call's turn"),
            Self::Overloaded => f.write_str("too many calls wait to be sent to the limit server"),
        }
    }
}

impl core::error::Error for AcquireError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Denied { denied, .. } => Some(denied),
            Self::Unavailable { cause, .. } => cause.as_ref().map(|cause| cause as _),
            Self::CostCount { .. } | Self::Closed | Self::TimedOut | Self::Overloaded => None,
        }
    }
}

/// Why a limiter cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The scripts cannot represent a quota.
    Scale(ScaleError),
    /// There is no such window, or the scripts cannot represent it.
    Window(WindowError),
    /// No limit was given.
    NoLimits,
    /// Two limits have the same name, or are one on the server. This is the name of the second.
    DuplicateLimit(Arc<str>),
    /// The share of one of so many nodes is too small for a quota.
    TooManyNodes,
    /// A semaphore has between 1 and this many permits.
    PermitCount {
        /// The most permits.
        max: u64,
    },
    /// A field of a configuration is invalid.
    Config(ConfigError),
    /// This cannot be built.
    Unsupported(&'static str),
    /// The shared limit with this name is on another store or, in a cluster, in another slot.
    OtherServer(Arc<str>),
    /// A bucket has one limit, and the table has several.
    SeveralLimits,
}

impl From<ScaleError> for BuildError {
    fn from(error: ScaleError) -> Self {
        Self::Scale(error)
    }
}

impl From<WindowError> for BuildError {
    fn from(error: WindowError) -> Self {
        Self::Window(error)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scale(error) => error.fmt(f),
            Self::Window(error) => error.fmt(f),
            Self::NoLimits => f.write_str("no limit was given"),
            Self::SeveralLimits => f.write_str("a key of the table has several limits"),
            Self::DuplicateLimit(name) => write!(f, "the limit `{name}` is there twice"),
            Self::TooManyNodes => {
                f.write_str("the quota divided by the number of nodes is too small")
            }
            Self::PermitCount { max } => {
                write!(f, "a semaphore has between 1 and {max} permits")
            }
            Self::Config(error) => error.fmt(f),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
            Self::OtherServer(name) => write!(
                f,
                "shared limit `{name}` is on another store, or in another slot of the cluster"
            ),
        }
    }
}

impl core::error::Error for BuildError {}

/// Why a quota was not changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SetQuotaError {
    /// The scripts cannot represent the quota.
    Scale(ScaleError),
    /// The share of one of so many nodes is too small for the quota.
    TooManyNodes,
    /// There is no limit of this name, or the limits have names and none was given.
    UnknownLimit,
    /// The limit is a window, and windows do not change while nodes use them.
    Window,
    /// The bucket is a [key of a table](crate::RedisKeyed::bucket), whose keys all have the quota of
    /// the table.
    KeyOfTable,
    /// Other nodes changed the limit again and again at the same time.
    Contended,
    /// The server did not answer. The change may have been made.
    Unavailable(AcquireError),
}

impl From<ScaleError> for SetQuotaError {
    fn from(error: ScaleError) -> Self {
        Self::Scale(error)
    }
}

impl From<AcquireError> for SetQuotaError {
    fn from(error: AcquireError) -> Self {
        Self::Unavailable(error)
    }
}

impl fmt::Display for SetQuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scale(error) => error.fmt(f),
            Self::TooManyNodes => {
                f.write_str("the quota divided by the number of nodes is too small")
            }
            Self::UnknownLimit => f.write_str("there is no limit of this name"),
            Self::Window => f.write_str("a window cannot be changed while nodes use it"),
            Self::KeyOfTable => f.write_str("a key of a table has the quota of the table"),
            Self::Contended => f.write_str("other nodes changed the limit at the same time"),
            Self::Unavailable(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SetQuotaError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Scale(error) => Some(error),
            Self::Unavailable(error) => Some(error),
            Self::TooManyNodes
            | Self::UnknownLimit
            | Self::Window
            | Self::KeyOfTable
            | Self::Contended => None,
        }
    }
}
