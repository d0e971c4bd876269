//! Makes `calls` calls on one hot path, so that callgrind can count their instructions.
//!
//! `hot_paths PATH CALLS` makes the calls, and `hot_paths` lists the paths.
//!
//! Counts must be the same in every run, so nothing depends on time, random seeds or speed.
//! Limiters read a clock that moves by a microsecond with each reading, and hashes have fixed
//! seeds. Each path asserts the outcome of its calls.
//!
//! These counts compare tidegate with its own past. A path whose name does not say "hint read" may
//! drop the hint of a refusal, so do not compare it with another crate.

mod paths;
mod setup;

use std::process::ExitCode;

use paths::{KNOWN_KEYS, LAYERS, PATHS, Path};
use tidegate::DefaultClock;

/// The function whose instructions callgrind counts.
#[inline(never)]
fn counted(run: fn(u64), calls: u64) {
    run(calls);
}

fn all() -> impl Iterator<Item = &'static Path> {
    [PATHS, KNOWN_KEYS, LAYERS].into_iter().flatten()
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        for (name, _) in all() {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let calls = arguments.next().and_then(|calls| calls.parse().ok());
    let path = all().find(|(known, _)| *known == name);
    let (Some((_, run)), Some(calls)) = (path, calls) else {
        eprintln!("usage: hot_paths PATH CALLS");
        return ExitCode::from(2);
    };
    if name.starts_with("default clock") {
        // The clock loops until it is calibrated. Those instructions must not count.
        DefaultClock::calibrate();
    }
    // For the jitter of backoffs.
    fastrand::seed(1);
    counted(*run, calls);
    ExitCode::SUCCESS
}
