//! Measures how long single calls take in a flood of new keys: `keyed_pauses [FILE.csv]`.
//!
//! Every call is timed by itself, and percentiles are computed from all times. A call that
//! allocates more at once than a key needs has moved a table: it grew, or gave memory back. The
//! other calls, evictions among them, have a maximum of their own. What each scenario shows:
//!
//! * keys stay in use, first million: growth, and evictions that find nothing;
//! * keys stay in use, second million: the decisions of a full table;
//! * keys become unused (after 10 ms), second million: evictions without growth.
//!
//! The machine interrupts calls, too, as "clock alone" shows. So every scenario runs several
//! times, and shows, for each million, the run whose longest call was the shortest. Counting
//! allocations costs every limiter that allocates about 10 ns per call. All times include a
//! reading of the clock.

use std::alloc::System;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tidegate::{Clock, DefaultClock};
use tidegate_compare::keyed::{
    DashBuckets, KeyLimit, KeyedGate, KeysAlone, dash_keyed, fixed, governor_keyed, keyed, name,
    rate_net, rename,
};
use tidegate_compare::on_threads;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The most that a key needs in one piece.
const KEY_BYTES: usize = 256;

/// A part of a flood.
const PART: usize = 1_000_000;
const PARTS: [&str; 2] = ["first million", "second million"];
const RUNS: usize = 3;

#[derive(Clone, Copy)]
struct Call {
    nanos: u64,
    moved: bool,
}

/// A million calls, the shortest first.
struct Part(Vec<Call>);

impl Part {
    fn new(mut calls: Vec<Call>) -> Self {
        calls.sort_unstable_by_key(|call| call.nanos);
        Self(calls)
    }

    /// Returns the time that this many of 100 000 calls do not exceed.
    fn percentile(&self, of_100_000: usize) -> u64 {
        self.0[(self.0.len() * of_100_000).div_ceil(100_000) - 1].nanos
    }

    fn longest(&self) -> u64 {
        self.percentile(100_000)
    }

    /// Returns the longest call of those that moved a table, or of the others.
    fn longest_that(&self, moved: bool) -> u64 {
        let mut calls = self.0.iter().rev().filter(|call| call.moved == moved);
        calls.next().map_or(0, |call| call.nanos)
    }

    fn moved(&self) -> usize {
        self.0.iter().filter(|call| call.moved).count()
    }
}

/// Other work of a caller, and after how many calls.
type Chore<G> = (usize, fn(&G));

fn flood<G: KeyedGate<String>>(gate: &G, chore: Option<Chore<G>>) -> Vec<Part> {
    // Not zeros: the operating system would map their pages only at the first write.
    let mut calls = vec![
        Call {
            nanos: 1,
            moved: false
        };
        PARTS.len() * PART
    ];
    let mut key = name(0);
    for (number, call) in calls.iter_mut().enumerate() {
        rename(&mut key, number as u64);
        let before = ALLOCATOR.stats().bytes_allocated;
        let start = DefaultClock.now();
        gate.admit(&key);
        if let Some((every, chore)) = chore
            && (number + 1) % every == 0
        {
            chore(gate);
        }
        let nanos = (DefaultClock.now() - start).as_nanos();
        *call = Call {
            nanos: u64::try_from(nanos).unwrap_or(u64::MAX),
            moved: ALLOCATOR.stats().bytes_allocated - before > KEY_BYTES,
        };
    }
    calls
        .chunks(PART)
        .map(|part| Part::new(part.to_vec()))
        .collect()
}

/// Runs a scenario, and prints it.
fn scenario<G: KeyedGate<String>>(
    csv: &mut String,
    name: &str,
    keys: &str,
    chore: Option<Chore<G>>,
    make: impl Fn() -> G,
) {
    let mut best = flood(&make(), chore);
    for _ in 1..RUNS {
        for (best, part) in best.iter_mut().zip(flood(&make(), chore)) {
            if part.longest() < best.longest() {
                *best = part;
            }
        }
    }
    for (part, title) in best.iter().zip(PARTS) {
        let percentiles = [50_000, 99_000, 99_900, 99_990].map(|at| part.percentile(at));
        let mut numbers = percentiles.to_vec();
        numbers.extend([part.longest(), part.moved() as u64]);
        numbers.extend([true, false].map(|moved| part.longest_that(moved)));
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        print_row(name, keys, title, &numbers);
        let numbers = numbers.join(",");
        *csv += &format!("\"{name}\",\"{keys}\",\"{title}\",{numbers}\n");
    }
}

fn print_row(name: &str, keys: &str, part: &str, numbers: &[String]) {
    print!("{name:<30} {keys:<14} {part:<14}");
    for number in numbers {
        print!(" {number:>10}");
    }
    println!();
}

/// The names of the numbers, as in the table and as in the file.
const NUMBERS: [(&str, &str); 8] = [
    ("p50", "p50_ns"),
    ("p99", "p99_ns"),
    ("p99.9", "p99_9_ns"),
    ("p99.99", "p99_99_ns"),
    ("max", "max_ns"),
    ("moved", "moved"),
    ("max moved", "max_moved_ns"),
    ("max other", "max_other_ns"),
];

/// Calls between evictions by the caller of a table that evicts nothing by itself. governor's
/// documentation does not say how often.
const RETAIN_EVERY: usize = 100_000;

/// Calls between evictions in slices.
const SLICE_EVERY: usize = 10_000;

/// Runs every scenario, and returns the file.
fn measure() -> String {
    println!(
        "nanoseconds per call; moved: calls that moved a table, their longest, the longest other"
    );
    let names = NUMBERS.map(|(name, _)| name.to_owned());
    print_row("limiter", "keys", "part", &names);
    let columns = NUMBERS.map(|(_, column)| column).join(",");
    let mut csv = format!("limiter,keys,part,{columns}\n");
    scenario(&mut csv, "clock alone", "", None, || KeysAlone);
    for (keys, limit) in [
        ("stay in use", KeyLimit::ONCE),
        ("become unused", KeyLimit::BRIEF),
    ] {
        // Every table has room for a million keys.
        scenario(&mut csv, "tidegate Keyed", keys, None, || {
            keyed::<String>(limit)
        });
        scenario(&mut csv, "tidegate FixedKeyed", keys, None, || {
            fixed(limit, PART)
        });
        let dash = || dash_keyed::<String>(limit);
        scenario(&mut csv, "tidegate DashKeyed", keys, None, dash);
        let all: Chore<_> = (RETAIN_EVERY, |table: &DashBuckets<String>| {
            table.evict_unused(|_, _| true);
        });
        scenario(&mut csv, "DashKeyed, evict_unused", keys, Some(all), dash);
        // Twice the keys that came since, so that it keeps up.
        let some: Chore<_> = (SLICE_EVERY, |table: &DashBuckets<String>| {
            table.evict_some(2 * SLICE_EVERY, |_, _| true);
        });
        scenario(&mut csv, "DashKeyed, evict_some", keys, Some(some), dash);
        let title = "governor keyed, retain_recent";
        let governor = || governor_keyed::<String>(limit);
        scenario(&mut csv, "governor keyed", keys, None, governor);
        let retain: Chore<_> = (
            RETAIN_EVERY,
            governor::DefaultKeyedRateLimiter::retain_recent,
        );
        scenario(&mut csv, title, keys, Some(retain), governor);
        scenario(&mut csv, "rate-net", keys, None, || {
            rate_net(limit, rate_net::DEFAULT_MAX_KEYS)
        });
    }
    csv
}

fn main() -> ExitCode {
    DefaultClock::calibrate();
    // On a thread that is pinned to a core.
    let (_, csv) = on_threads(1, |_| measure());
    let csv = csv.concat();
    if let Some(file) = std::env::args_os().nth(1)
        && let Err(error) = std::fs::write(&file, csv)
    {
        eprintln!("{}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
