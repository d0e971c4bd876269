//! Limits that are tried on live traffic: they change no decision, and every call is counted once.

extern crate alloc;

mod decisions;
mod keys;
#[path = "../parallel/mod.rs"]
mod parallel;
mod threads;
mod tuples;
mod waits;

use tidegate::{ManualClock, Quota, ShadowStats, TokenBucket};

/// One token per second.
fn bucket(capacity: u64, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(Quota::per_second(1).burst(capacity), clock.clone())
}

/// In the order of the fields.
const fn counts(stats: ShadowStats) -> [u64; 4] {
    [
        stats.both_admitted,
        stats.only_candidate_refused,
        stats.only_live_refused,
        stats.both_refused,
    ]
}
