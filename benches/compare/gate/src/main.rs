//! Makes `calls` calls on one hot path, for counting instructions: `hot_paths PATH CALLS`, or no arguments for the paths.
//!
//! Counts must be the same in every run, so nothing here depends on the machine's time, on random seeds or on how fast it runs:
//! limiters are on a clock that each reading moves on by a microsecond, and hashes have fixed seeds. Each path asserts that its calls
//! had the outcome that its name says.

mod paths;
mod setup;

use std::process::ExitCode;

use tidegate::DefaultClock;

/// What callgrind collects.
#[inline(never)]
fn counted(run: fn(u64), calls: u64) {
    run(calls);
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        for (name, _) in paths::PATHS {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let calls = arguments.next().and_then(|calls| calls.parse().ok());
    let path = paths::PATHS.iter().find(|(known, _)| *known == name);
    let (Some((_, run)), Some(calls)) = (path, calls) else {
        eprintln!("usage: hot_paths PATH CALLS");
        return ExitCode::from(2);
    };
    if name.starts_with("default clock") {
        // Loops until it is accurate, so its instructions must not be counted. It also takes longer than all else.
        DefaultClock::calibrate();
    }
    // The jitter of backoffs.
    fastrand::seed(1);
    counted(*run, calls);
    ExitCode::SUCCESS
}
