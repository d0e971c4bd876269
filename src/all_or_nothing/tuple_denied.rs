//! Which member of a tuple refused, and when to retry.

use core::fmt;
use core::time::Duration;

use crate::all_or_none::Refusal;
use crate::denied::Denied;

/// A refusal by a tuple of limiters ([`AllOrNothing`](crate::AllOrNothing)) that names the member.
///
/// Where several members refuse, it is the one that refuses the longest.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{AllOrNothing, ManualClock, Quota, TokenBucket};
///
/// let clock = ManualClock::new();
/// let global = TokenBucket::with_clock(Quota::per_second(100), clock.clone());
/// let user = TokenBucket::with_clock(Quota::per_second(1), clock);
/// (&global, &user).try_acquire(1)?;
///
/// let denied = (&global, &user).try_acquire(1).unwrap_err();
/// assert_eq!(denied.index(), 1);
/// assert_eq!(denied.retry_after(), Some(Duration::from_secs(1)));
/// assert_eq!(denied.forfeited(), 0);
/// assert_eq!(denied.to_string(), "member 1: not yet: retry after 1s");
/// # Ok::<(), tidegate::TupleDenied>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TupleDenied {
    pub(super) index: usize,
    pub(super) denied: Denied,
    pub(super) forfeited: u64,
}

impl TupleDenied {
    /// Returns the index in the tuple of the member that refuses the longest.
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

    /// Returns the permits that the call had charged to members, in all, and could not return.
    /// Mostly 0.
    ///
    /// They are lost only if the call found room in every member, charged some, and lost the race
    /// for another, while later calls were decided on top of its charges. A tuple is a temporary
    /// value and counts nothing. To keep a count, add this number of each refusal.
    pub const fn forfeited(&self) -> u64 {
        self.forfeited
    }
}

impl Refusal for TupleDenied {
    fn outlasts(&self, other: &Self) -> bool {
        self.denied.outlasts(&other.denied)
    }

    fn forfeited(&self) -> u64 {
        self.forfeited
    }

    fn with_forfeited(self, forfeited: u64) -> Self {
        Self { forfeited, ..self }
    }
}

impl fmt::Display for TupleDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {}: {}", self.index, self.denied)?;
        match self.forfeited {
            0 => Ok(()),
            permits => write!(f, " (forfeited: {permits})"),
        }
    }
}

impl core::error::Error for TupleDenied {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.denied)
    }
}
