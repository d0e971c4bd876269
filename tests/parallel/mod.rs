//! Threads that start together.

#![allow(
    clippy::std_instead_of_alloc,
    reason = "not every crate that includes this file links `alloc`"
)]

use std::sync::Barrier;
use std::thread;
use std::vec::Vec;

/// Runs `work` in threads that start together and know their number. Returns their results.
pub(crate) fn in_parallel<R: Send>(threads: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        let run = |number| {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(number)
            })
        };
        let running: Vec<_> = (0..threads).map(run).collect();
        let result = |thread: thread::ScopedJoinHandle<'_, R>| thread.join().expect("no panic");
        running.into_iter().map(result).collect()
    })
}
