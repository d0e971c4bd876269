//! The time of the processor that a queue of many tasks takes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use tidegate::{Clock, DefaultClock};
use tokio::runtime::Runtime;

use super::list::{Flow, Row, Turns, WaitVisitor, for_each};
use super::results::Results;
use super::{Effort, runtime};
use crate::gate::Decision;
use crate::suite::report::Report;

const FLOW: Flow = Flow::new(10_000, 1);

/// A limiter that has not served all waiters by then is cut off.
const MOST: Duration = Duration::from_secs(10);

pub(super) fn measure(report: &Report, effort: Effort) -> io::Result<()> {
    let mut crowd = Crowd {
        waiters: effort.waiters,
        results: Results::default(),
    };
    for _ in 0..effort.rounds {
        let sleep = || async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            true
        };
        crowd.serve(&runtime(), "tokio sleep alone", sleep);
        for_each(&mut crowd);
    }
    crowd.results.write(
        report,
        ("waits_cpu", "what", 1),
        "10 000 waiters",
        "10 000 tasks come at once and wait for one permit each, at 10 000 per second and burst 1. \
         The time is that of all threads, as the kernel counts it. A limiter that is not done \
         after 10 s is cut off; then the time is per waiter that was served. Medians of the \
         rounds.",
    )
}

struct Crowd {
    waiters: usize,
    results: Results,
}

impl Crowd {
    /// Spawns the waiters, and measures until all are served.
    fn serve<F>(&mut self, runtime: &Runtime, name: &str, wait: impl Fn() -> F)
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let progress = Arc::new(Progress::default());
        let (start, before) = (DefaultClock.now(), cpu());
        for _ in 0..self.waiters {
            let (wait, progress) = (wait(), Arc::clone(&progress));
            runtime.spawn(async move {
                assert!(wait.await);
                progress.served.fetch_add(1, SeqCst);
                progress
                    .last
                    .fetch_max(DefaultClock.now().as_nanos(), SeqCst);
            });
        }
        let served = || progress.served.load(SeqCst);
        while served() < self.waiters as u64 && DefaultClock.now() - start < MOST {
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(20)).await });
        }
        let (millis, count) = (spent(&before, &cpu()) / 1e6, served() as f64);
        let seconds = (progress.last.load(SeqCst) - start.as_nanos()) as f64 / 1e9;
        self.results
            .add(name, "CPU ms per 10 000", millis * 1e4 / count);
        self.results.add(name, "served per second", count / seconds);
    }
}

#[derive(Default)]
struct Progress {
    served: AtomicU64,
    last: AtomicU64,
}

impl WaitVisitor for Crowd {
    fn visit<W: Turns>(&mut self, row: &Row, make: impl Fn(Flow) -> W) {
        let runtime = runtime();
        let limiter = {
            let _context = runtime.enter();
            Arc::new(make(FLOW))
        };
        self.serve(&runtime, row.name, || {
            let limiter = Arc::clone(&limiter);
            async move { limiter.turn().await.is_admitted() }
        });
    }
}

/// The nanoseconds that each thread of this process has run.
type Cpu = HashMap<OsString, u64>;

/// Reads the scheduler's count: `/proc/self/stat` counts hundredths of a second.
fn cpu() -> Cpu {
    let threads = fs::read_dir("/proc/self/task").expect("Linux");
    let of_thread = |thread: io::Result<fs::DirEntry>| {
        let thread = thread.ok()?;
        // A thread may end in between.
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        Some((thread.file_name(), text.split(' ').next()?.parse().ok()?))
    };
    threads.filter_map(of_thread).collect()
}

/// The nanoseconds between two readings, of the threads that live at the second.
fn spent(before: &Cpu, after: &Cpu) -> f64 {
    let since = |(thread, &nanos): (_, &u64)| nanos - before.get(thread).copied().unwrap_or(0);
    after.iter().map(since).sum::<u64>() as f64
}
