//! How long single calls take while a flood of new keys comes: `keyed_pauses [FILE.csv]`.
//!
//! Every call is timed by itself, all times are kept, and percentiles are computed from all of them. A call that asks for more
//! memory at once than a key takes has moved a table: it grew, or it gave memory back. Calls that did not are told apart, and among
//! them are the sweeps. What is read from which scenario:
//!
//! * keys stay in use, first million: growth, and sweeps that find nothing;
//! * keys stay in use, second million: how a table that is full decides;
//! * keys become unused (after 10 ms), second million: sweeps, without growth.
//!
//! The machine interrupts calls, too: "clock alone" shows how long. So every scenario runs several times, and what is shown is, for each
//! million, the run whose longest call was the shortest. Counting allocations costs every limiter that allocates some 10 ns per
//! call; a reading of the clock is in all times.

use std::alloc::System;
use std::fmt::Write as _;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tidegate::{Clock, DefaultClock};
use tidegate_compare::keyed::{
    KeyedGate, KeysAlone, Limit, fixed, governor_keyed, keyed, name, rate_net, rename,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a key takes at most, in one piece.
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

    /// So many of 100 000 calls take no longer.
    fn percentile(&self, of_100_000: usize) -> u64 {
        self.0[(self.0.len() * of_100_000).div_ceil(100_000) - 1].nanos
    }

    fn longest(&self) -> u64 {
        self.percentile(100_000)
    }

    /// The longest of those that did or did not move a table.
    fn longest_that(&self, moved: bool) -> u64 {
        let mut calls = self.0.iter().rev().filter(|call| call.moved == moved);
        calls.next().map_or(0, |call| call.nanos)
    }

    fn moved(&self) -> usize {
        self.0.iter().filter(|call| call.moved).count()
    }
}

/// What else a caller does, and after how many calls.
type Chore<G> = (usize, fn(&G));

fn flood<G: KeyedGate<String>>(gate: &G, chore: Option<Chore<G>>) -> Vec<Part> {
    // Not zeros, which would come as pages that are not there before they are written.
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

/// Runs a scenario, and shows it.
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
        let times = [50_000, 99_000, 99_900, 99_990].map(|at| part.percentile(at));
        let [p50, p99, p999, p9999] = times;
        let (max, moved) = (part.longest(), part.moved());
        let (moving, other) = (part.longest_that(true), part.longest_that(false));
        println!(
            "{name:<30} {keys:<14} {title:<14} {p50:>6} {p99:>7} {p999:>8} {p9999:>9} {max:>10} {moved:>8} {moving:>10} {other:>10}"
        );
        let line = format!(
            "\"{name}\",\"{keys}\",\"{title}\",{p50},{p99},{p999},{p9999},{max},{moved},{moving},{other}"
        );
        writeln!(csv, "{line}").expect("a string has room");
    }
}

/// How often governor's caller sheds keys: its documentation says that one should, but not when.
const RETAIN_EVERY: usize = 100_000;

fn main() -> ExitCode {
    DefaultClock::calibrate();
    println!(
        "nanoseconds per call; tables moved: how many calls did, the longest that did, and the longest that did not"
    );
    println!(
        "{:<30} {:<14} {:<14} {:>6} {:>7} {:>8} {:>9} {:>10} {:>8} {:>10} {:>10}",
        "limiter",
        "keys",
        "part",
        "p50",
        "p99",
        "p99.9",
        "p99.99",
        "max",
        "moved",
        "max moved",
        "max other"
    );
    let mut csv = String::from(
        "limiter,keys,part,p50_ns,p99_ns,p99_9_ns,p99_99_ns,max_ns,moved,max_moved_ns,max_other_ns\n",
    );
    let csv = &mut csv;
    scenario(csv, "clock alone", "", None, || KeysAlone);
    for (keys, limit) in [
        ("stay in use", Limit::ONCE),
        ("become unused", Limit::BRIEF),
    ] {
        // For a million keys, all of them.
        scenario(csv, "tidegate Keyed", keys, None, || keyed::<String>(limit));
        scenario(csv, "tidegate FixedKeyed", keys, None, || {
            fixed(limit, PART)
        });
        let title = "governor keyed, retain_recent";
        let governor = || governor_keyed::<String>(limit);
        scenario(csv, "governor keyed", keys, None, governor);
        let retain: Chore<_> = (
            RETAIN_EVERY,
            governor::DefaultKeyedRateLimiter::retain_recent,
        );
        scenario(csv, title, keys, Some(retain), governor);
        scenario(csv, "rate-net", keys, None, || {
            rate_net(limit, rate_net::DEFAULT_MAX_KEYS)
        });
    }
    if let Some(file) = std::env::args_os().nth(1)
        && let Err(error) = std::fs::write(&file, csv)
    {
        eprintln!("{}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
