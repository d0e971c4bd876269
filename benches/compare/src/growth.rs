//! Measures how the cost of a call grows: with the keys of a table, the slots of a window, the
//! limits of a combination, and the waiters in a queue.
//!
//! `growth.sh` runs it, and describes the files that it writes.

mod combinations;
mod keys;
mod waiters;
mod windows;

use std::io;
use std::path::Path;

use tidegate::DefaultClock;

use crate::on_threads;
use crate::slices::{Rows, Times, Visits};
use crate::suite::report::{Report, number, pivot};
use crate::suite::{bold, facts};

/// How long the measurements take.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    quick: bool,
    /// The largest numbers of keys and of waiters, as powers of ten.
    keys: u32,
    waiters: u32,
    /// Passes over all rows.
    rounds: usize,
}

impl Effort {
    pub const FULL: Self = Self {
        quick: false,
        keys: 7,
        waiters: 5,
        rounds: 15,
    };

    pub const QUICK: Self = Self {
        quick: true,
        keys: 4,
        waiters: 3,
        rounds: 2,
    };
}

/// A point of a curve.
#[derive(Clone, Copy, Debug)]
struct Point {
    /// What `x` counts.
    curve: &'static str,
    limiter: &'static str,
    calls: &'static str,
    x: usize,
}

/// Runs every measurement, and writes the files to a folder.
///
/// # Errors
///
/// Fails if a file cannot be written.
pub fn run(folder: &Path, effort: Effort, command: &str) -> io::Result<()> {
    DefaultClock::calibrate();
    let report = Report::new(folder, "growth.md")?;
    facts::write(&report, "How costs grow", effort.quick, command)?;
    // One kind after the other, so that no more tables than needed are in memory.
    let mut points = keys::measure(effort);
    points.extend(windows::measure(effort));
    points.extend(combinations::measure(effort));
    points.extend(waiters::measure(effort));
    report.csv(
        "growth",
        "curve,limiter,calls,x,lower_quartile_ns,median_ns,slices",
        &points.iter().map(row).collect::<Vec<_>>(),
    )?;
    for (curve, title, text) in [
        ("keys", "Known keys", keys::TEXT),
        ("slots", "Slots of a window", windows::TEXT),
        ("limits", "Limits of a combination", combinations::TEXT),
        ("waiters", "Waiters in a queue", waiters::TEXT),
    ] {
        let here = points.iter().filter(|times| times.name.curve == curve);
        let cell = |times: &Times<Point>| {
            let Point {
                limiter, calls, x, ..
            } = times.name;
            let row = format!("{}: {calls}", bold(limiter));
            (row, x.to_string(), number(times.lower_quartile(), 1))
        };
        let (head, rows) = pivot(curve, &here.map(cell).collect::<Vec<_>>());
        let text = format!("{text} Nanoseconds per call: the lower quartile of the slices.");
        report.markdown(title, &text, &head, &rows);
    }
    report.finish()
}

fn row(times: &Times<Point>) -> Vec<String> {
    let Point {
        curve,
        limiter,
        calls,
        x,
    } = times.name;
    let names = [curve, limiter, calls].map(str::to_owned);
    let numbers = [times.lower_quartile(), times.median()].map(|nanos| number(nanos, 2));
    let counts = [x, times.count()].map(|count| count.to_string());
    let [x, slices] = counts;
    let [quartile, median] = numbers;
    let values = [x, quartile, median, slices];
    names.into_iter().chain(values).collect()
}

/// Makes rows and times them, on a thread of their own that is pinned to a core.
fn pinned(visits: Visits, add: impl Fn(&mut Rows<Point>) + Sync) -> Vec<Times<Point>> {
    let (_, mut times) = on_threads(1, |_| {
        let mut rows = Rows::new();
        add(&mut rows);
        rows.times(visits)
    });
    times.pop().expect("one thread")
}
