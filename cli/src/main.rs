//! `tidegate`: see what a limit would do.

use std::process::ExitCode;

use clap::Parser;
use tidegate_cli::args::Cli;
use tidegate_cli::command::run;
use tidegate_cli::log::mishaps::say;

fn main() -> ExitCode {
    let Err(failure) = run(&Cli::parse().command) else {
        return ExitCode::SUCCESS;
    };
    if let Some(message) = failure.message() {
        say(message);
    }
    ExitCode::from(failure.code())
}
