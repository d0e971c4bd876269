//! Why the state of a server cannot be shown or changed.

use core::fmt;
use core::time::Duration;

use redis::RedisError;

use super::stored_limit::StoredKind;
use crate::error_class::{ErrorClass, classify};
use crate::missing::{self, Missing};
use crate::scaled_quota::ScaleError;
use crate::store::{CallFailure, RedisStore};

/// What operators need besides the rights of limiters.
const OPERATOR_RIGHTS: &str = "`+scan +pttl`";

/// Why the state of a server cannot be shown or changed. Nothing was changed, except that a call
/// whose reply was lost may have been made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum InspectError {
    /// The server did not answer, or a right is missing: see the [module](crate::inspect).
    Server(RedisError),
    /// The call was not sent, because the server is known to be down.
    Down {
        /// When it is asked again.
        retry_after: Duration,
        /// Why the last call failed.
        cause: Option<RedisError>,
    },
    /// The key holds something else, no limit.
    NotALimit,
    /// The change is for limits of another kind.
    OtherKind {
        /// What the key holds, or what its name belongs to.
        kind: StoredKind,
    },
    /// More calls than [`StoreBuilder::max_waiting`](crate::StoreBuilder::max_waiting) wait to be
    /// sent.
    Overloaded,
    /// The quota of a single key in a table cannot be changed, only that of the table.
    KeyOfTable,
    /// The scripts cannot represent the quota.
    Scale(ScaleError),
    /// The bucket cannot hold so many tokens.
    AboveCapacity {
        /// The capacity.
        capacity: u64,
    },
}

impl InspectError {
    pub(crate) fn of_call(store: &RedisStore, failure: CallFailure) -> Self {
        match failure {
            CallFailure::Failed(error) => Self::of_error(error),
            CallFailure::BreakerOpen(until) => Self::Down {
                retry_after: RedisStore::wait_for_probe(until),
                cause: store.last_error(),
            },
            CallFailure::Overloaded => Self::Overloaded,
        }
    }

    pub(crate) fn of_error(error: RedisError) -> Self {
        let text = error.detail().unwrap_or_default();
        let signs = ["WRONGTYPE", "Operation against a key", "TIDEGATE the key"];
        let is_foreign = error.code() == Some("WRONGTYPE")
            || error.code() == Some("TIDEGATE")
            || signs.iter().any(|sign| text.contains(sign));
        if is_foreign && classify(&error) == ErrorClass::ThisCall {
            Self::NotALimit
        } else {
            Self::Server(error)
        }
    }
}

impl From<ScaleError> for InspectError {
    fn from(error: ScaleError) -> Self {
        Self::Scale(error)
    }
}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(error) if missing::suspected(error) == Some(Missing::Right) => {
                write!(f, "{error}; lists and levels need {OPERATOR_RIGHTS}, too")
            }
            Self::Server(error) => error.fmt(f),
            Self::Down { cause: None, .. } => f.write_str("the limit server does not answer"),
            Self::Down {
                cause: Some(cause), ..
            } => write!(f, "the limit server does not answer ({cause})"),
            Self::NotALimit => f.write_str("the key holds something else, not a limit"),
            Self::OtherKind { kind } => {
                write!(f, "not for a key of this kind ({kind}): ")?;
                f.write_str(match kind {
                    StoredKind::Bucket => "a bucket has a level and a quota",
                    StoredKind::Window => "its nodes have the limit; it can be reset",
                    StoredKind::Semaphore => {
                        "its nodes have the limit; permits come back from their nodes, or when \
                         their leases end"
                    }
                    StoredKind::Api => {
                        "its nodes have the limits; a reset of the key that ends in `:?api` \
                         resumes it"
                    }
                })
            }
            Self::KeyOfTable => {
                f.write_str("all keys of a table have one quota: change that of the table")
            }
            Self::Overloaded => f.write_str("too many calls wait to be sent to the limit server"),
            Self::Scale(error) => error.fmt(f),
            Self::AboveCapacity { capacity } => {
                write!(f, "the bucket holds at most {capacity} tokens")
            }
        }
    }
}

impl core::error::Error for InspectError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Server(error) => Some(error),
            Self::Down { cause, .. } => cause.as_ref().map(|cause| cause as _),
            Self::Scale(error) => Some(error),
            Self::NotALimit
            | Self::OtherKind { .. }
            | Self::KeyOfTable
            | Self::Overloaded
            | Self::AboveCapacity { .. } => None,
        }
    }
}
