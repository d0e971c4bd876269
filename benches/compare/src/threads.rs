//! The same work on several threads at once.

#![expect(
    clippy::disallowed_methods,
    reason = "what a clock costs is measured by another one"
)]

use std::sync::Barrier;
use std::time::{Duration, Instant};

/// 1, 2, 4 and so on, up to as many threads as the machine runs at once.
pub fn thread_counts() -> Vec<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut counts: Vec<usize> = (0..)
        .map(|power| 1 << power)
        .take_while(|&n| n <= cores)
        .collect();
    if counts.last() != Some(&cores) {
        counts.push(cores);
    }
    counts
}

/// Does `work` on each of `threads` threads, which it gets the number of: the longest time that one took, and the sum of what they
/// return.
pub fn on_threads(threads: usize, work: impl Fn(usize) -> u64 + Sync) -> (Duration, u64) {
    let timed = |thread| {
        let start = Instant::now();
        let result = work(thread);
        (start.elapsed(), result)
    };
    if threads == 1 {
        return timed(0);
    }
    let (barrier, timed) = (&Barrier::new(threads), &timed);
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    barrier.wait();
                    timed(thread)
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|handle| handle.join().expect("no panic"))
            .fold((Duration::ZERO, 0), |(longest, sum), (time, result)| {
                (longest.max(time), sum + result)
            })
    })
}
