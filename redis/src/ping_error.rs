//! Why a server could not decide now.

use core::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use redis::{ErrorKind, RedisError};

use crate::error_class::{ErrorClass, classify};
use crate::missing::{self, Missing};

/// What a decision lacks, as [`RedisStore::ping`](crate::RedisStore::ping) found it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PingError {
    /// The server cannot be reached, or does not answer in time.
    Unreachable {
        /// The error of the connection.
        cause: Option<RedisError>,
    },
    /// The server is a replica, which does not accept writes.
    ReadOnly {
        /// The server's error.
        cause: RedisError,
    },
    /// The server is older than Redis 6.2.
    TooOld {
        /// The server's error, with its version.
        cause: RedisError,
    },
    /// The user lacks a right.
    MissingRight {
        /// The server's error, with the rights that the user needs.
        cause: RedisError,
    },
    /// The server's clock is before the year 2015.
    WrongClock {
        /// What the server's clock shows.
        time: SystemTime,
    },
    /// The server answers with another error: the password is wrong, the memory is full, there are
    /// too few replicas, another script does not end.
    Refused {
        /// The server's error.
        cause: RedisError,
    },
    /// More calls than [`StoreBuilder::max_waiting`](crate::StoreBuilder::max_waiting) wait to be
    /// sent on this node.
    Overloaded,
}

impl PingError {
    pub(crate) fn new(error: RedisError) -> Self {
        let is_of_server = matches!(
            error.kind(),
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::AuthenticationFailed
        );
        match missing::stated(&error) {
            Some(Missing::Right) => Self::MissingRight { cause: error },
            Some(Missing::Version) => Self::TooOld { cause: error },
            None if classify(&error) == ErrorClass::WrongServer => Self::ReadOnly { cause: error },
            None if error.to_string().contains("TIME answers 0") => {
                Self::WrongClock { time: UNIX_EPOCH }
            }
            None if is_of_server => Self::Refused { cause: error },
            None => Self::Unreachable { cause: Some(error) },
        }
    }
}

impl fmt::Display for PingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { cause: Some(cause) } => {
                write!(f, "the limit server cannot be reached: {cause}")
            }
            Self::Unreachable { cause: None } => f.write_str("the limit server cannot be reached"),
            Self::ReadOnly { cause } => write!(f, "the limit server is a replica: {cause}"),
            Self::TooOld { cause } | Self::MissingRight { cause } => cause.fmt(f),
            Self::WrongClock { time } => {
                let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
                let seconds = since.as_secs();
                write!(
                    f,
                    "the limit server's clock is wrong: {seconds} s after 1970"
                )
            }
            Self::Refused { cause } => write!(f, "the limit server refuses calls: {cause}"),
            Self::Overloaded => f.write_str("too many calls wait to be sent to the limit server"),
        }
    }
}

impl core::error::Error for PingError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Unreachable { cause } => cause.as_ref().map(|cause| cause as _),
            Self::ReadOnly { cause }
            | Self::TooOld { cause }
            | Self::MissingRight { cause }
            | Self::Refused { cause } => Some(cause),
            Self::WrongClock { .. } | Self::Overloaded => None,
        }
    }
}
