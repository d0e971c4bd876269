//! The command line.

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{self, ConfigArgs};
use crate::explain::{self, ExplainArgs};
use crate::failure::Failure;
use crate::manual;
use crate::output::stdio;
#[cfg(feature = "redis")]
use crate::redis::{self, RedisArgs};
use crate::replay::{self, ReplayArgs};
use crate::shape::{self, ShapeArgs};
use crate::suggest::{self, SuggestArgs};

/// Show what a rate limit would do.
///
/// Exit codes: 0 for success, 1 if reading or writing fails, 2 for invalid arguments.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 100)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Replay access logs through limits and show which requests they would have refused
    Replay(ReplayArgs),
    /// Recommend a limit for the clients of access logs
    Suggest(SuggestArgs),
    /// Draw how limits shape traffic
    Shape(ShapeArgs),
    /// Explain what a quota allows
    Explain(ExplainArgs),
    /// Show and change limits that machines share on a Redis or Valkey server
    #[cfg(feature = "redis")]
    Redis(RedisArgs),
    /// Write a limit for nginx, Envoy, HAProxy, Traefik, Caddy or tidegate, and say what differs
    Config(ConfigArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page
    Man {
        /// The command whose page to print instead, such as `replay` or `redis-ls`
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the command fails.
    pub fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Replay(args) => replay::run(args),
            Self::Suggest(args) => suggest::run(args),
            Self::Shape(args) => shape::run(args),
            Self::Explain(args) => explain::run(args),
            #[cfg(feature = "redis")]
            Self::Redis(args) => redis::run(args),
            Self::Config(args) => config::run(args),
            Self::Completions { shell } => {
                stdio::write(&manual::completions(*shell, Cli::command()))
            }
            Self::Man { command } => {
                stdio::write(&manual::page(command.as_deref(), Cli::command())?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_valid() {
        Cli::command().debug_assert();
    }
}
