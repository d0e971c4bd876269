//! Shell completions and manual pages, generated from the command line.

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::failure::Failure;

/// Returns the completions for a shell.
pub fn completions(shell: Shell, mut command: Command) -> Vec<u8> {
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    text
}

/// Returns the manual page of the program, or of the command with this name: `replay`, or
/// `redis-ls` for a command of a command.
///
/// # Errors
///
/// If the command does not exist.
pub fn page(name: Option<&str>, mut command: Command) -> Result<Vec<u8>, Failure> {
    // Building gives commands their full names.
    command.build();
    for part in name.into_iter().flat_map(|name| name.split('-')) {
        let found = command.find_subcommand(part).cloned();
        let unknown = || format!("unknown command `{}`", name.unwrap_or_default());
        command = found.ok_or_else(|| Failure::Usage(unknown()))?;
    }
    let mut text = Vec::new();
    let rendered = Man::new(command).render(&mut text);
    rendered.map_err(|error| Failure::at("manual", error))?;
    Ok(text)
}
