//! Runs the same work on several threads at once.

#![expect(
    clippy::disallowed_methods,
    reason = "another clock measures the cost of tidegate's"
)]

use std::sync::{Barrier, LazyLock};
use std::time::{Duration, Instant};

use core_affinity::CoreId;

/// Returns 1, 2, 4 and so on, up to the number of threads that the machine runs at once.
pub fn thread_counts() -> Vec<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let powers = (0..).map(|power| 1 << power);
    let mut counts: Vec<usize> = powers.take_while(|&count| count < cores).collect();
    counts.push(cores);
    counts
}

/// The cores of this process, read before any thread is pinned.
static CORES: LazyLock<Vec<CoreId>> =
    LazyLock::new(|| core_affinity::get_core_ids().unwrap_or_default());

/// Runs `work` on each of `threads` threads, and passes it the number of its thread.
///
/// Returns the longest time of a thread, and the results in order. Each thread is pinned to a
/// core of its own, as long as there are enough: otherwise two threads share a core in half of
/// the runs, and the time of one call doubles.
pub fn on_threads<R: Send>(threads: usize, work: impl Fn(usize) -> R + Sync) -> (Duration, Vec<R>) {
    let cores = &*CORES;
    let (barrier, work) = (&Barrier::new(threads), &work);
    let run = move |thread| {
        if !cores.is_empty() {
            core_affinity::set_for_current(cores[thread % cores.len()]);
        }
        barrier.wait();
        let start = Instant::now();
        let result = work(thread);
        (start.elapsed(), result)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || run(thread)))
            .collect();
        let results = workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"));
        let (times, results): (Vec<_>, Vec<_>) = results.unzip();
        (times.into_iter().max().unwrap_or_default(), results)
    })
}
