//! Times admissions of the API limiter and of a bucket in turns, for machines where other programs
//! run.
//!
//! `api [ROUNDS]` times a slice of calls of each row in each round, on one thread. It prints the
//! lower decile, the lower quartile and the median of the slices, in nanoseconds per call. The
//! bench `side_by_side` measures one row after the other.

#![expect(
    clippy::disallowed_methods,
    reason = "another clock measures the cost of tidegate's"
)]

use std::time::Instant;

use tidegate::{DefaultClock, TokenBucket};
use tidegate_compare::gate::without_status;
use tidegate_compare::{Gate, HIGH, api, on_threads, plenty};

/// Calls in a slice, which take about a tenth of a millisecond.
const CALLS: u32 = 4_000;

/// Nanoseconds per call of a slice.
fn slice(gate: &impl Gate) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        _ = gate.admit();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

fn main() {
    let rounds = std::env::args()
        .nth(1)
        .map_or(12_000, |rounds| rounds.parse().expect("a number of rounds"));
    DefaultClock::calibrate();
    let bucket = TokenBucket::new(plenty());
    let (status, brief) = (api(HIGH), without_status(api(HIGH)));
    assert!(bucket.admit() && status.admit() && brief.admit());
    let round = |_| [slice(&bucket), slice(&status), slice(&brief)];
    // A thread of its own, because that is pinned to a core.
    let (_, slices) = on_threads(1, |_| (0..rounds).map(round).collect::<Vec<_>>());
    let names = ["bucket", "ApiRateLimiter", "ApiRateLimiter, no status"];
    println!("limiter,lower_decile_ns,lower_quartile_ns,median_ns");
    for (row, name) in names.iter().enumerate() {
        let mut times: Vec<f64> = slices[0].iter().map(|times| times[row]).collect();
        times.sort_by(f64::total_cmp);
        let [decile, quartile, median] = [10, 4, 2].map(|part| times[times.len() / part]);
        println!("\"{name}\",{decile:.1},{quartile:.1},{median:.1}");
    }
}
