//! What waits are good for: while callers ask for more than a limiter allows, they get all of it,
//! in order, whatever their patience and however late the timer is.
//!
//! Most tests run on simulated time: real [`Acquire`](tidegate::Acquire) futures on a deterministic
//! executor, whose timer ticks every millisecond and may be later still.

extern crate alloc;

mod api;
mod buckets;
mod cancellations;
mod combinations;
mod crowd;
mod field_cases;
mod load;
mod meter;
mod oracle;
#[cfg(feature = "tokio")]
mod real_time;
mod record;
mod scenario;
mod simulation;
mod timeouts;
mod timer;
mod tuples;
mod windows;

#[path = "../waits/random.rs"]
mod random;

const NANOS: u64 = 1_000_000_000;
/// Nanoseconds of a millisecond, the tick of the simulated timer.
const TICK: u64 = 1_000_000;
/// The slack of a limiter by default, in nanoseconds.
const SLACK: u64 = 2 * TICK;
