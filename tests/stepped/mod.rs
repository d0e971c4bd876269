//! A manual clock that advances when all threads sleep.

use alloc::sync::Arc;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard};
use std::thread;

use tidegate::{Clock, ManualClock, Timestamp};

/// A [`ManualClock`] that knows its sleepers.
///
/// It advances to the next deadline only when every thread sleeps. So a thread that wakes up reads
/// exactly the instant at which its wait ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct SteppedClock {
    time: ManualClock,
    /// The deadlines of all sleeping threads.
    deadlines: Arc<Mutex<Vec<Timestamp>>>,
}

impl SteppedClock {
    /// Runs `work` in threads that know their number. Advances from deadline to deadline until all
    /// threads have finished.
    pub(crate) fn run<R: Send>(&self, threads: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
        thread::scope(|scope| {
            let work = &work;
            let running: Vec<_> = (0..threads)
                .map(|number| scope.spawn(move || work(number)))
                .collect();
            loop {
                // Count these before the sleepers. Equal numbers mean that all of them sleep.
                let unfinished = running.iter().filter(|thread| !thread.is_finished());
                let unfinished = unfinished.count();
                if unfinished == 0 {
                    break;
                }
                self.step(unfinished);
                thread::yield_now();
            }
            let result = |thread: thread::ScopedJoinHandle<'_, R>| thread.join().expect("no panic");
            running.into_iter().map(result).collect()
        })
    }

    /// Runs `work` in a thread. Returns its result and how long it slept.
    pub(crate) fn sleep_in<R: Send>(&self, work: impl Fn() -> R + Sync) -> (R, Duration) {
        let start = self.now();
        let result = self.run(1, |_| work()).pop().expect("one thread");
        (result, self.now() - start)
    }

    /// Advances to the first deadline if all `threads` sleep and none is about to wake up.
    fn step(&self, threads: usize) {
        let deadlines = self.deadlines();
        match deadlines.iter().min() {
            Some(&first) if deadlines.len() == threads && first > self.now() => {
                self.time.set(first);
            }
            _ => {}
        }
    }

    fn deadlines(&self) -> MutexGuard<'_, Vec<Timestamp>> {
        self.deadlines.lock().expect("no panic while it is held")
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Timestamp {
        self.time.now()
    }

    fn sleep_until(&self, deadline: Timestamp) {
        self.deadlines().push(deadline);
        self.time.sleep_until(deadline);
        let mut deadlines = self.deadlines();
        let own = deadlines.iter().position(|&other| other == deadline);
        deadlines.swap_remove(own.expect("pushed above"));
    }
}
