//! Which limit refused, and when to come back.

use core::fmt;
use core::time::Duration;

use crate::denied::Denied;

/// A refusal by a [`Combined`](crate::Combined), and which of its limits is to blame. Nothing was charged.
///
/// Where several limits refuse, it is the one that does so the longest: its hint is the latest of their instants.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Combined, ManualClock, Quota, SlidingWindow, TokenBucket};
///
/// let clock = ManualClock::new();
/// let calls = Combined::builder()
///     .limit("burst", TokenBucket::with_clock(Quota::per_second(1).burst(2), clock.clone()))
///     .limit("hour", SlidingWindow::with_clock(10, Duration::from_secs(3_600), clock)?)
///     .build();
/// calls.try_acquire(2).unwrap();
/// let denied = calls.try_acquire(1).unwrap_err();
/// assert_eq!(denied.limit(), "burst");
/// assert_eq!(denied.retry_after(), Some(Duration::from_secs(1)));
/// assert_eq!(denied.to_string(), "limit `burst`: not yet: retry after 1s");
/// # Ok::<(), tidegate::WindowError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CombinedDenied {
    pub(super) name: &'static str,
    pub(super) index: usize,
    pub(super) denied: Denied,
}

impl CombinedDenied {
    /// The name of the limit that refuses the longest.
    pub const fn limit(&self) -> &'static str {
        self.name
    }

    /// Its place in the order of declaration.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Why it refused: not yet, or never.
    pub const fn denied(&self) -> Denied {
        self.denied
    }

    /// How long to wait before the same call can succeed; `None` if no wait helps.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.denied.retry_after()
    }

    /// Whether this refusal lasts longer than another.
    pub(super) fn outlasts(&self, other: &Self) -> bool {
        match (self.retry_after(), other.retry_after()) {
            (None, _) => other.retry_after().is_some(),
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => mine > theirs,
        }
    }
}

impl fmt::Display for CombinedDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit `{}`: {}", self.name, self.denied)
    }
}

impl core::error::Error for CombinedDenied {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.denied)
    }
}
