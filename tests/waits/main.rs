//! Futures that wait: order, cancellation, deadlines, wake-ups, runtimes.

extern crate alloc;

mod api;
mod cancel;
mod crowd;
mod deadlines;
mod hand_over;
mod misuse;
mod order;
mod owned;
#[cfg(feature = "futures")]
mod pace;
mod random;
mod resets;
mod runtimes;
mod storm;
mod tokens;

#[path = "../parallel/mod.rs"]
mod parallel;

use core::time::Duration;

use tidegate::{Combined, ManualClock, Quota, SlidingWindow, TokenBucket};

const SECOND: Duration = Duration::from_secs(1);

/// One token per second.
fn bucket(capacity: u64, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(Quota::per_second(1).burst(capacity), clock.clone())
}

/// Room comes back a second after it was taken (and a slot, of 1/64 s).
fn window(limit: u64, clock: &ManualClock) -> SlidingWindow<ManualClock> {
    SlidingWindow::with_clock(limit, SECOND, clock.clone()).expect("valid")
}

/// A window and a bucket of the same size.
fn combined(limit: u64, clock: &ManualClock) -> Combined<ManualClock> {
    Combined::builder()
        .limit("window", window(limit, clock))
        .limit("bucket", bucket(limit, clock))
        .build()
}
