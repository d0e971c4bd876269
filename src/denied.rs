//! Why a call was refused, and when to come back.

use core::fmt;
use core::time::Duration;

/// A refusal. Nothing was charged.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Denied, ManualClock, Quota, TokenBucket};
///
/// let bucket = TokenBucket::with_clock(Quota::per_second(2), ManualClock::new());
/// bucket.try_acquire(2).unwrap();
/// let denied = bucket.try_acquire(1).unwrap_err();
/// assert_eq!(denied, Denied::NotYet { retry_after: Duration::from_millis(500) });
/// assert_eq!(denied.to_string(), "not yet: retry after 500ms");
///
/// let denied = bucket.try_acquire(3).unwrap_err();
/// assert_eq!(denied, Denied::Never { capacity: 2 });
/// assert_eq!(denied.retry_after(), None); // no wait helps
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Denied {
    /// Not now. After exactly `retry_after` as much can be had at once, if nobody else came in between, and one nanosecond
    /// earlier not yet.
    NotYet {
        /// How long to wait, from the clock reading that the call was decided on, before trying again. Never zero.
        retry_after: Duration,
    },
    /// More was asked for than the limiter can ever give at once: no wait helps.
    Never {
        /// The most that one call can ask for.
        capacity: u64,
    },
}

impl Denied {
    /// How long to wait before the same call can succeed; `None` if no wait helps.
    #[inline]
    pub const fn retry_after(&self) -> Option<Duration> {
        match *self {
            Self::NotYet { retry_after } => Some(retry_after),
            Self::Never { .. } => None,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotYet { retry_after } => write!(f, "not yet: retry after {retry_after:?}"),
            Self::Never { capacity } => write!(f, "never: more than the capacity of {capacity}"),
        }
    }
}

impl core::error::Error for Denied {}
