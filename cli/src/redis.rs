//! The command `redis`: shows and changes limits that machines share.

mod confirm;
mod connect;
mod facts;
mod limit_args;
mod ls;
mod reset;
mod row;
mod set;
mod show;
mod words;

use crate::failure::Failure;
use clap::{Args, Subcommand};
use connect::ConnectArgs;
use ls::LsArgs;
use reset::ResetArgs;
use set::SetArgs;
use show::ShowArgs;

/// Arguments of `redis`.
#[derive(Clone, Debug, Args)]
pub struct RedisArgs {
    #[command(subcommand)]
    command: RedisCommand,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Clone, Debug, Subcommand)]
enum RedisCommand {
    /// List the limits that are used, the most used first
    Ls(LsArgs),
    /// Show what is stored of one limit
    Show(ShowArgs),
    /// Fill buckets up, empty windows, resume API limiters
    Reset(ResetArgs),
    /// Change the level of a bucket, or the quota of a limit for all nodes
    Set(SetArgs),
}

/// Runs `redis`.
///
/// # Errors
///
/// If the server does not answer or a right is missing, or the arguments do not fit what is stored.
pub fn run(args: &RedisArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::at("runtime", error))?;
    runtime.block_on(async {
        let store = args.connect.store().await?;
        match &args.command {
            RedisCommand::Ls(args) => ls::run(&store, args).await,
            RedisCommand::Show(args) => show::run(&store, args).await,
            RedisCommand::Reset(args) => reset::run(&store, args).await,
            RedisCommand::Set(args) => set::run(&store, args).await,
        }
    })
}
