//! Tuples of limiters: all are charged, or none.

extern crate alloc;

mod arities;
mod keys;
mod races;
mod refusals;

#[path = "../parallel/mod.rs"]
mod parallel;

use core::time::Duration;

use tidegate::{ManualClock, Quota, SlidingWindow, TokenBucket};

const SECOND: Duration = Duration::from_secs(1);

/// Refills one token per second.
fn bucket(capacity: u64, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(Quota::per_second(1).burst(capacity), clock.clone())
}

fn window(limit: u64, clock: &ManualClock) -> SlidingWindow<ManualClock> {
    SlidingWindow::with_clock(limit, SECOND, clock.clone()).expect("valid")
}
