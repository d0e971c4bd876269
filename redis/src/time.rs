//! The monotonic clock of this node, in nanoseconds.

use core::time::Duration;

#[cfg(not(tidegate_simulation))]
use tidegate::{Clock, DefaultClock};

/// Returns the current time.
#[cfg(not(tidegate_simulation))]
#[inline]
pub(crate) fn now() -> u64 {
    DefaultClock.now().as_nanos()
}

#[cfg(tidegate_simulation)]
pub(crate) use crate::simulation::now;

/// Returns how long it is until `instant`; zero if it has passed.
pub(crate) fn until(instant: u64) -> Duration {
    Duration::from_nanos(instant.saturating_sub(now()))
}

/// Converts a duration to nanoseconds, at most `u64::MAX`.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
