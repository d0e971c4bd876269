//! Which limit refused, and when to retry.

use core::fmt;
use core::time::Duration;

use crate::denied::Denied;

/// A refusal by a [`Combined`](crate::Combined) that names the limit. Nothing was charged.
///
/// Where several limits refuse, it is the one that refuses the longest.
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
    /// Returns the name of the limit that refuses the longest.
    pub const fn limit(&self) -> &'static str {
        self.name
    }

    /// Returns the index of that limit in the order of declaration.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Returns its refusal.
    pub const fn denied(&self) -> Denied {
        self.denied
    }

    /// Returns how long to wait before the same call can succeed; `None` if no wait helps.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.denied.retry_after()
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
