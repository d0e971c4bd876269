//! A manual clock that advances when all threads sleep.

use alloc::sync::Arc;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard};
use std::thread::{self, Thread};

use tidegate::{Clock, ManualClock, Timestamp};

/// A [`ManualClock`] that knows its sleepers.
///
/// It advances to the next deadline only when every thread sleeps and none was woken by another. So
/// a thread that wakes up reads exactly the instant at which its wait ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct SteppedClock {
    time: ManualClock,
    threads: Arc<Mutex<Threads>>,
}

#[derive(Debug, Default)]
struct Threads {
    sleepers: Vec<Sleeper>,
    /// The number of threads that were woken to check, if no time has passed since.
    checked: Option<usize>,
}

/// A thread that has slept on the clock.
#[derive(Debug)]
struct Sleeper {
    thread: Thread,
    deadline: Timestamp,
    is_asleep: bool,
    /// What it slept until before it was woken to check.
    deadline_before: Timestamp,
    /// How often it has read the clock since then.
    readings: u32,
}

impl Sleeper {
    /// Whether it went back to the same sleep. A thread whose wait ends reads the clock at least
    /// twice before the next one: in each of the two waits.
    fn has_resumed(&self) -> bool {
        self.deadline == self.deadline_before && self.readings <= 1
    }
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

    /// Advances to the first deadline if all `unfinished` threads sleep and none is about to wake
    /// up.
    ///
    /// A thread that another has unparked may not have noticed yet. So all threads are woken to
    /// check, until each goes back to the sleep that it came from.
    fn step(&self, unfinished: usize) {
        let mut threads = self.threads();
        let asleep = threads.sleepers.iter().filter(|sleeper| sleeper.is_asleep);
        if asleep.clone().count() != unfinished {
            return;
        }
        let first = asleep.clone().map(|sleeper| sleeper.deadline).min();
        let first = first.expect("a thread is unfinished");
        if first <= self.time.now() {
            return;
        }
        if threads.checked == Some(unfinished) && asleep.clone().all(Sleeper::has_resumed) {
            if first < Timestamp::MAX {
                threads.checked = None;
                self.time.set(first);
            }
            return;
        }
        threads.checked = Some(unfinished);
        for sleeper in threads.sleepers.iter_mut().filter(|it| it.is_asleep) {
            sleeper.deadline_before = sleeper.deadline;
            sleeper.readings = 0;
            // Until the thread itself says that it sleeps again.
            sleeper.is_asleep = false;
            sleeper.thread.unpark();
        }
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().expect("no panic while it is held")
    }

    /// Calls a function with the entry of this thread, if it has slept before.
    fn with_this(&self, function: impl FnOnce(&mut Sleeper)) -> bool {
        let this = thread::current().id();
        let mut threads = self.threads();
        let mut sleepers = threads.sleepers.iter_mut();
        let own = sleepers.find(|sleeper| sleeper.thread.id() == this);
        own.map(function).is_some()
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Timestamp {
        self.with_this(|own| own.readings += 1);
        self.time.now()
    }

    fn sleep_until(&self, deadline: Timestamp) {
        while self.now() < deadline {
            self.park_until(deadline);
        }
    }

    fn park_until(&self, deadline: Timestamp) {
        let falls_asleep = |own: &mut Sleeper| {
            own.deadline = deadline;
            own.is_asleep = true;
        };
        if !self.with_this(falls_asleep) {
            self.threads().sleepers.push(Sleeper {
                thread: thread::current(),
                deadline,
                is_asleep: true,
                deadline_before: Timestamp::ZERO,
                readings: 0,
            });
        }
        self.time.park_until(deadline);
        self.with_this(|own| own.is_asleep = false);
    }
}
