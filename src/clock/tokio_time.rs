//! tokio's clock, which tests can pause.

use tokio::time::Instant;

use crate::clock::Clock;
use crate::time::Timestamp;

/// tokio's time ([`tokio::time::Instant`]), so that limiters and waits work under
/// `tokio::time::pause`.
///
/// Readings are nanoseconds since the clock was created; clones share that origin. A paused time
/// belongs to one runtime. Create the clock inside that runtime and read it only there; elsewhere
/// it reads the operating system's time. There is no shared or constant value, because the time of
/// another runtime may have been advanced by days.
///
/// Without tokio's feature `test-util` this is the operating system's monotonic clock. A thread
/// that *blocks* on this clock while time is paused waits until another task advances it.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Clock, Quota, Timestamp, TokenBucket, TokioClock};
///
/// let runtime = tokio::runtime::Builder::new_current_thread()
///     .enable_time()
///     .start_paused(true)
///     .build()?;
/// runtime.block_on(async {
///     let bucket = TokenBucket::with_clock(Quota::per_hour(1), TokioClock::new());
///     bucket.acquire(1).await?;
///     // An hour later, without waiting: tokio advances a paused time when all tasks are idle.
///     bucket.acquire(1).await?;
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
    /// Creates a clock that reads 0 now.
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
        // Saturates at zero outside of the runtime, at a time before the origin.
        Timestamp::ZERO + Instant::now().saturating_duration_since(self.origin)
    }
}
