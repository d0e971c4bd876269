//! Why a call was refused, and when to retry.

use core::fmt;
use core::time::Duration;

use crate::retry_after::RetryAfter;

/// A refusal. Nothing was charged.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Denied, ManualClock, Quota, TokenBucket};
///
/// let bucket = TokenBucket::with_clock(Quota::per_second(2), ManualClock::new());
/// bucket.try_acquire(2).unwrap();
/// let denied = bucket.try_acquire(1).unwrap_err();
/// assert_eq!(denied, Denied::NotYet { retry_after: Duration::from_millis(500).into() });
/// assert_eq!(denied.to_string(), "not yet: retry after 500ms");
///
/// let denied = bucket.try_acquire(3).unwrap_err();
/// assert_eq!(denied, Denied::Never { capacity: 2 });
/// assert_eq!(denied.retry_after(), None); // no wait helps
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Denied {
    /// Too few permits are available.
    ///
    /// With no waiters ahead, the wait is exact. After `retry_after` the same call succeeds if no
    /// other call comes in between, and one nanosecond earlier it is refused. That holds for every
    /// call that does not wait, such as `try_acquire`.
    ///
    /// A call that would wait, and is refused because of its timeout or because the queue is full,
    /// learns the whole wait: for its own permits and those of the waiters ahead, if all of them
    /// stay. It is shorter if waiters leave. At a window or a combination it may turn out longer.
    NotYet {
        /// The wait, from the clock reading that the call was decided on. Never zero.
        retry_after: RetryAfter,
    },
    /// Something other than the limit is in the way, and how long it lasts is unknown.
    ///
    /// * A table of keys has no room for a new key.
    /// * The call could not wait, or not any longer: the queue is full, or the timeout passed
    ///   behind other waiters. There are permits for all of them, but the waiters ahead have not
    ///   taken theirs yet.
    Busy {
        /// An estimate. A retry may succeed earlier, and may be refused again. Never zero.
        retry_after: RetryAfter,
    },
    /// More permits than the limiter can ever admit at once. No wait helps.
    Never {
        /// The most permits that one call can be admitted for.
        capacity: u64,
    },
}

/// A decision is returned in two registers.
const _: () = assert!(size_of::<Result<(), Denied>>() == 16);

impl Denied {
    #[inline]
    pub(crate) const fn not_yet(nanos: u64) -> Self {
        let retry_after = RetryAfter::from_nanos(nanos);
        Self::NotYet { retry_after }
    }

    pub(crate) const fn busy(nanos: u64) -> Self {
        let retry_after = RetryAfter::from_nanos(nanos);
        Self::Busy { retry_after }
    }

    /// Returns how long to wait before a retry; `None` if no wait helps.
    #[inline]
    pub const fn retry_after(&self) -> Option<Duration> {
        match *self {
            Self::NotYet { retry_after } | Self::Busy { retry_after } => {
                Some(retry_after.as_duration())
            }
            Self::Never { .. } => None,
        }
    }

    /// Whether this refusal lasts longer than another.
    #[inline]
    pub(crate) fn outlasts(&self, other: &Self) -> bool {
        match (self.retry_after(), other.retry_after()) {
            (None, theirs) => theirs.is_some(),
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => mine > theirs,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotYet { retry_after } => write!(f, "not yet: retry after {retry_after:?}"),
            Self::Busy { retry_after } => write!(f, "busy: retry after about {retry_after:?}"),
            Self::Never { capacity } => write!(f, "never: more than the capacity of {capacity}"),
        }
    }
}

impl core::error::Error for Denied {}
