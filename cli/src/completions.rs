//! Completions for shells.

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};

use crate::args::Cli;
use crate::failure::Failure;
use crate::output::stdout;

/// Arguments of `completions`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    /// For which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints them.
///
/// # Errors
///
/// If they cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    stdout::write(&text(args.shell, Cli::command()))
}

/// What a shell reads.
pub fn text(shell: Shell, mut command: Command) -> Vec<u8> {
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    generate(shell, &mut command, name, &mut text);
    text
}
