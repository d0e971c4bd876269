//! tokio's clock, which tests can pause.

use tokio::time::Instant;

use crate::clock::Clock;
use crate::time::Timestamp;

/// tokio's time ([`tokio::time::Instant`]), so that limiters and whatever waits for them work under `tokio::time::pause`.
///
/// Reads nanoseconds since it was made; clones share that origin. A paused time belongs to a runtime: make the clock within it, and
/// read it there only, as elsewhere it reads the operating system's time. (It has no value that all share, and no constant one,
/// because another runtime's time may have been moved on by days.)
///
/// Where tokio's feature `test-util` is off it is the operating system's monotonic clock. A thread that *blocks* on it while the time
/// is paused waits until somebody moves the time on.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Clock, Quota, Timestamp, TokenBucket, TokioClock, TokioTimer};
///
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
/// runtime.block_on(async {
///     let bucket = TokenBucket::with_clock(Quota::per_hour(1), TokioClock::new());
///     bucket.acquire_with(TokioTimer, 1).await?;
///     bucket.acquire_with(TokioTimer, 1).await?; // an hour later, and at once: tokio moves on when all are idle
///     assert_eq!(bucket.clock().now(), Timestamp::ZERO + Duration::from_secs(3_600));
///     Ok::<(), tidegate::Denied>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: Instant,
}

impl TokioClock {
    /// A clock that reads 0 now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

/// [`TokioClock::new`].
impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        // Zero where it is read outside of the runtime, in a time before the origin.
        Timestamp::ZERO + Instant::now().saturating_duration_since(self.origin)
    }
}
