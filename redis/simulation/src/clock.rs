//! The simulated time: tokio's paused clock.

use std::time::Duration;

use tidegate_redis::simulation;
use tokio::runtime::Builder;
use tokio::time::Instant;

/// How far time moves at least: tokio's timers tick once a millisecond.
pub const TICK: Duration = Duration::from_millis(1);

/// Runs a simulation on a clock of its own, which begins at zero.
///
/// # Panics
///
/// If tokio cannot start a runtime, or the simulation panics.
pub fn simulate<T>(seed: u64, simulation: impl Future<Output = T>) -> T {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without input and output needs no resources");
    runtime.block_on(async {
        simulation::begin(seed);
        simulation.await
    })
}

/// Returns the nanoseconds since the simulation began.
///
/// # Panics
///
/// Outside of [`simulate`].
pub fn now() -> u64 {
    simulation::now()
}

/// The ticks of the clock, one after the other.
#[derive(Debug)]
pub struct Ticks {
    next: Instant,
}

impl Ticks {
    /// Begins with the tick after the present one.
    pub fn new() -> Self {
        let next = Instant::now() + TICK;
        Self { next }
    }

    /// Waits for the next tick, and returns its nanoseconds.
    ///
    /// # Panics
    ///
    /// As [`now`].
    pub async fn next(&mut self) -> u64 {
        tokio::time::sleep_until(self.next).await;
        self.next += TICK;
        now()
    }
}

impl Default for Ticks {
    fn default() -> Self {
        Self::new()
    }
}

/// Converts a time to nanoseconds.
///
/// # Panics
///
/// From 584 years on.
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("less than 584 years")
}
