//! The manual.

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::args::Cli;
use crate::failure::Failure;
use crate::output::stdout;

/// Arguments of `man`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The page of a command, such as `replay`, instead of that of the program
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
}

/// Prints a page for `man`, such as in `tidegate man > tidegate.1`.
///
/// # Errors
///
/// If there is no such command, or the page cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    stdout::write(&text(args.command.as_deref(), Cli::command())?)
}

/// The page.
///
/// # Errors
///
/// If there is no such command.
pub fn text(of: Option<&str>, mut command: Command) -> Result<Vec<u8>, Failure> {
    // Commands get their full names.
    command.build();
    let command = match of {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name).cloned();
            found.ok_or_else(|| Failure::Usage(format!("there is no command `{name}`")))?
        }
    };
    let mut text = Vec::new();
    let written = Man::new(command).render(&mut text);
    written.map_err(|error| Failure::at("manual", error))?;
    Ok(text)
}
