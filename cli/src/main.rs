//! The program `tidegate`, which shows what a rate limit would do.

use std::process::ExitCode;

use clap::Parser;
use tidegate_cli::args::Cli;
use tidegate_cli::output::stdio::warn;

fn main() -> ExitCode {
    let Err(failure) = Cli::parse().command.run() else {
        return ExitCode::SUCCESS;
    };
    if let Some(message) = failure.message() {
        warn(message);
    }
    ExitCode::from(failure.code())
}
