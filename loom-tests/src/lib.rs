//! Models of tidegate's lock-free algorithms under loom, with the clock advancing and stale readers.
//!
//! Each model is written once, generic over what it judges: the shipped limiter, a twin of it that must pass as well, and the
//! twin with one check, step or ordering removed, which must fail (`tests/mutants.rs`). Run `cargo test --release` in this
//! folder.

#[cfg(not(tidegate_loom))]
compile_error!("run cargo inside loom-tests/, or add --cfg tidegate_loom to RUSTFLAGS");

pub mod api_models;
pub mod breaker_models;
pub mod breaker_twin;
pub mod bucket_models;
pub mod bucket_twin;
pub mod combined_models;
pub mod combined_twin;
pub mod in_flight_models;
pub mod in_flight_twin;
pub mod keyed_models;
pub mod keyed_twin;
pub mod line_models;
pub mod line_twin;
pub mod owed_models;
pub mod owed_twin;
pub mod refusal_models;
pub mod refusal_twin;
pub mod sharded_models;
pub mod sharded_twin;
pub mod tank_models;
pub mod tank_twin;
pub mod window_models;
pub mod window_twin;

// The lock-free parts of tidegate-redis, which as a crate would bring a client and a runtime along.
#[path = "../../redis/src/breaker.rs"]
mod breaker;
#[path = "../../redis/src/owed.rs"]
mod owed;
#[path = "../../redis/src/refusal.rs"]
#[allow(
    dead_code,
    reason = "one of its questions guards nothing, and no model asks it"
)]
mod refusal;
#[path = "../../redis/src/sync.rs"]
mod sync;
#[path = "../../redis/src/tank.rs"]
mod tank;

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::{AcqRel, Acquire};

/// Explores a model up to `preemptions` preemptions.
pub fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    builder.check(model);
}

/// A clock that threads read and advance. Reading comes before deciding, so a thread may hold an old reading.
#[derive(Debug)]
pub struct SharedClock(AtomicU64);

impl SharedClock {
    pub fn at(nanos: u64) -> Self {
        Self(AtomicU64::new(nanos))
    }

    // Acquire and Release: time is at least as strong as a real clock, which orders what is before and after it.
    pub fn now(&self) -> u64 {
        self.0.load(Acquire)
    }

    /// The newest time. A plain load may be as old as the memory model allows, as a reading that was held for a while; when a
    /// call ended is a fact about the world.
    pub fn latest(&self) -> u64 {
        self.0.fetch_add(0, AcqRel)
    }

    pub fn advance(&self, nanos: u64) {
        self.0.fetch_add(nanos, AcqRel);
    }
}

/// Asserts that over every interval, both ends included, the events sum to at most `capacity + length / interval`, plus
/// `extra`.
pub fn assert_bound(capacity: u64, interval: u64, extra: u64, events: &[(u64, u64)]) {
    for &(start, _) in events {
        for &(end, _) in events {
            if start > end {
                continue;
            }
            let sum: u64 = events
                .iter()
                .filter(|(at, _)| (start..=end).contains(at))
                .map(|(_, n)| n)
                .sum();
            let bound = capacity + (end - start) / interval + extra;
            assert!(
                sum <= bound,
                "{sum} in [{start}, {end}] of {bound}: {events:?}"
            );
        }
    }
}
