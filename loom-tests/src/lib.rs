//! Models of tidegate's lock-free algorithms under loom, with the clock advancing and with stale
//! readers.
//!
//! The models run on copies of the shipped sources, which the build script makes. A copy holds
//! every mutant of `src/mutants/`, and a test chooses which one runs. Run `cargo test --release` in
//! this folder; `README.md` says how to add a model or a mutant.
#![cfg(test)]

extern crate alloc;

#[cfg(not(tidegate_loom))]
compile_error!("run cargo inside loom-tests/, or add --cfg tidegate_loom to RUSTFLAGS");

mod model;
mod mutant;
mod waiting;

/// The crate under test.
#[allow(
    warnings,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    reason = "a generated copy"
)]
mod tidegate {
    include!(concat!(env!("OUT_DIR"), "/tidegate/lib.rs"));
}

/// The lock-free parts of tidegate-redis.
#[allow(
    warnings,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    reason = "a generated copy"
)]
mod redis {
    include!(concat!(env!("OUT_DIR"), "/redis/lib.rs"));
}

mod all_or_none;
mod api_waits;
mod breaker;
mod bucket;
mod change;
mod combined;
mod hold_deadline;
mod in_flight;
mod keyed;
mod keyed_change;
mod last_refusal;
mod local_lease;
mod lowered;
mod progress;
mod provider;
mod rules;
mod sharded;
mod two_windows;
mod unreported;
mod wait_queue;
mod window;
mod window_limits;
