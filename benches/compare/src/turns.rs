//! Times the rows of the cost budget in turns, on machines where other programs run, or whose speed
//! changes from second to second.
//!
//! Each round times a slice of every row, so a ratio compares slices of the same moment. Threads
//! stay pinned to their cores for the whole run, and begin each slice together.
//!
//! `in_turns.sh` runs it, and describes the files that it writes.

mod budget;
mod rows;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tidegate::DefaultClock;

use crate::figures::{median, percentile};
use crate::slices::{per_call, time};
use crate::suite::facts;
use crate::suite::report::{Report, number};
use crate::{on_threads, thread_counts};
use budget::BUDGET;
use rows::{Row, Slice};

/// How long the measurement takes.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    quick: bool,
    rounds: usize,
    /// Of each thread in a slice: a millisecond at most.
    calls: usize,
}

impl Effort {
    pub const FULL: Self = Self {
        quick: false,
        rounds: 600,
        calls: 10_000,
    };

    pub const QUICK: Self = Self {
        quick: true,
        rounds: 3,
        calls: 1_000,
    };
}

/// Nanoseconds per call and thread of each round.
struct Times {
    row: &'static str,
    threads: usize,
    nanos: Vec<f64>,
}

/// Runs every measurement, and writes the files to a folder.
///
/// # Errors
///
/// Fails if a file cannot be written.
pub fn run(folder: &Path, effort: Effort, command: &str) -> io::Result<()> {
    DefaultClock::calibrate();
    let report = Report::new(folder, "in_turns.md")?;
    facts::write(&report, "In turns", effort.quick, command)?;
    let times: Vec<Times> = thread_counts()
        .into_iter()
        .flat_map(|threads| measure(threads, effort))
        .collect();
    write_ratios(&report, &times)?;
    write_times(&report, &times)?;
    report.finish()
}

fn measure(threads: usize, effort: Effort) -> Vec<Times> {
    let rows = rows::all();
    let meeting = Meeting::default();
    let (_, of_threads) = on_threads(threads, |thread| {
        let mut times = vec![Vec::new(); rows.len()];
        for round in 0..effort.rounds {
            let slice = Slice {
                thread,
                threads,
                first: round * effort.calls,
                calls: effort.calls,
            };
            for (row, times) in rows.iter().zip(&mut times) {
                meeting.wait_for(threads);
                let nanos = per_call(time(|| (row.calls)(slice)), effort.calls);
                times.push(nanos);
            }
        }
        times
    });
    let slowest = |row: usize, round: usize| {
        let of_round = of_threads.iter().map(|times| times[row][round]);
        of_round.fold(0.0, f64::max)
    };
    let times = |(index, row): (usize, &Row)| Times {
        row: row.name,
        threads,
        nanos: (0..effort.rounds)
            .map(|round| slowest(index, round))
            .collect(),
    };
    rows.iter().enumerate().map(times).collect()
}

/// Where threads wait for each other. They spin, because a thread that sleeps comes back late.
#[derive(Default)]
struct Meeting {
    arrived: AtomicUsize,
}

impl Meeting {
    fn wait_for(&self, threads: usize) {
        // SeqCst, both: not in the time that is measured, so the strongest will do.
        let arrived = self.arrived.fetch_add(1, SeqCst) + 1;
        let all = arrived.next_multiple_of(threads);
        while self.arrived.load(SeqCst) < all {
            std::hint::spin_loop();
        }
    }
}

/// The ratios of two rows in each round.
fn ratios(row: &Times, reference: &Times) -> Vec<f64> {
    let rounds = row.nanos.iter().zip(&reference.nanos);
    rounds.map(|(row, reference)| row / reference).collect()
}

fn write_ratios(report: &Report, times: &[Times]) -> io::Result<()> {
    let of = |row: &str, threads: usize| {
        let found = |times: &&Times| times.row == row && times.threads == threads;
        times.iter().find(found).expect("a row of this name")
    };
    let hundredths = |ratio: f64| (ratio * 100.0).round();
    let (mut csv, mut table) = (Vec::new(), Vec::new());
    for line in BUDGET {
        let mut shown = vec![format!("{} / {}", line.row, line.reference)];
        let budgets = line.at_most.into_iter().cycle();
        for (threads, at_most) in thread_counts().into_iter().zip(budgets) {
            let ratios = ratios(of(line.row, threads), of(line.reference, threads));
            let middle = median(&ratios);
            // Of what is printed, so that nothing is missed by a digit that is not shown.
            let is_missed = at_most.is_some_and(|most| hundredths(middle) > hundredths(most));
            let mark = if is_missed { "**" } else { "" };
            let budget = at_most.map_or(String::new(), |most| number(most, 2));
            let middle = number(middle, 2);
            let [low, high] = [0.25, 0.75].map(|part| number(percentile(&ratios, part), 2));
            shown.push(budget.clone());
            shown.push(format!("{mark}{middle}{mark} ({low}–{high})"));
            csv.push(vec![
                line.row.to_owned(),
                line.reference.to_owned(),
                threads.to_string(),
                budget,
                middle,
                low,
                high,
            ]);
        }
        table.push(shown);
    }
    report.csv(
        "in_turns_ratios",
        "row,reference,threads,budget,median,lower_quartile,upper_quartile",
        &csv,
    )?;
    let mut head = vec!["row / reference".to_owned()];
    for threads in thread_counts() {
        let plural = if threads == 1 { "" } else { "s" };
        head.push("budget".to_owned());
        head.push(format!("{threads} thread{plural}"));
    }
    report.markdown(
        "Against the budget",
        "Medians of the ratios of the rounds, and their quartiles. Bold misses the budget.",
        &head,
        &table,
    );
    Ok(())
}

fn write_times(report: &Report, times: &[Times]) -> io::Result<()> {
    let rows = times.iter().map(|times| {
        let parts = [0.1, 0.25, 0.5].map(|part| number(percentile(&times.nanos, part), 1));
        let mut row = vec![times.row.to_owned(), times.threads.to_string()];
        row.extend(parts);
        row
    });
    report.table(
        "in_turns",
        "Times",
        "Nanoseconds per call and thread: the lower decile and quartile and the median of the \
         rounds. Of two threads, the slower counts.",
        "row,threads,decile_ns,quartile_ns,median_ns",
        rows.collect(),
    )
}
