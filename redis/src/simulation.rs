//! What the simulator in `redis/simulation` replaces: the clock, the connection and the source of
//! names. The rest of the crate is as it is shipped.
//!
//! Only the simulator compiles this module, with `--cfg tidegate_simulation`.

use core::cell::Cell;
use core::fmt;
use core::pin::Pin;
use std::sync::Arc;

use redis::{Cmd, RedisResult, Value};
use tokio::time::Instant;

thread_local! {
    static ORIGIN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The reply to a command, which may never arrive.
pub type Reply = Pin<Box<dyn Future<Output = RedisResult<Value>> + Send>>;

/// What carries commands to a simulated server, and replies back.
pub trait Carrier: Send + Sync {
    /// Sends a command.
    fn send(&self, command: &Cmd) -> Reply;
}

/// A connection of a node to simulated servers.
#[derive(Clone)]
pub struct SimulatedConnection {
    /// What carries its commands.
    pub carrier: Arc<dyn Carrier>,
    /// Whether the servers are a cluster, which the store guards by ranges of slots.
    pub is_cluster: bool,
}

impl fmt::Debug for SimulatedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedConnection")
            .field("is_cluster", &self.is_cluster)
            .finish_non_exhaustive()
    }
}

/// Begins a simulation on this thread: its clock is at zero, and each random choice follows from
/// the seed.
///
/// # Panics
///
/// Outside of a tokio runtime whose clock is paused.
pub fn begin(seed: u64) {
    ORIGIN.set(Some(Instant::now()));
    fastrand::seed(seed);
}

/// Returns the nanoseconds of the paused clock since [`begin`].
///
/// # Panics
///
/// If no simulation has begun on this thread.
pub fn now() -> u64 {
    let origin = ORIGIN.get().expect("a simulation has begun");
    let elapsed = Instant::now().saturating_duration_since(origin);
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}
