//! Measures limiters at which calls wait: tidegate's, and what other crates and tokio offer.
//!
//! `waits.sh` runs it, and describes the files that it writes.

mod cpu;
mod late;
mod leavers;
mod list;
mod order;
mod rate;
mod ready;
mod results;

use std::io;
use std::path::Path;
use std::time::Duration;

use tidegate::DefaultClock;
use tokio::runtime::Runtime;

use crate::suite::facts;
use crate::suite::report::Report;

/// How long the measurements take.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    quick: bool,
    /// Passes over all limiters, so that a slow minute of the machine affects all of them.
    rounds: usize,
    leavers: Duration,
    rate: Duration,
    /// Tasks that wait in one queue.
    waiters: usize,
    /// Waits of one task, one after another.
    waits: usize,
    /// Of calls that do not have to wait.
    ready: Duration,
    ready_rounds: usize,
}

impl Effort {
    pub const FULL: Self = Self {
        quick: false,
        rounds: 3,
        leavers: Duration::from_secs(6),
        rate: Duration::from_secs(3),
        waiters: 10_000,
        waits: 300,
        ready: Duration::from_millis(60),
        ready_rounds: 15,
    };

    pub const QUICK: Self = Self {
        quick: true,
        rounds: 1,
        leavers: Duration::from_millis(600),
        rate: Duration::from_millis(300),
        waiters: 500,
        waits: 10,
        ready: Duration::from_millis(10),
        ready_rounds: 3,
    };
}

/// Runs every measurement, and writes the files to a folder.
///
/// # Errors
///
/// Fails if a file cannot be written.
pub fn run(folder: &Path, effort: Effort, command: &str) -> io::Result<()> {
    DefaultClock::calibrate();
    let report = Report::new(folder, "waits.md")?;
    facts::write(&report, "Waits", effort.quick, command)?;
    leavers::measure(&report, effort)?;
    rate::measure(&report, effort)?;
    cpu::measure(&report, effort)?;
    order::measure(&report, effort)?;
    late::measure(&report, effort)?;
    ready::measure(&report, effort)?;
    list::write(&report)?;
    report.finish()
}

/// A runtime of two threads, as all measurements of waits have.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime")
}
