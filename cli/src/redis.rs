//! The command `redis`: shows and changes limits that machines share.

mod bucket_args;
mod confirm;
mod connect;
mod ls;
mod reset;
mod set;
mod show;

use std::time::Duration;

use clap::{Args, Subcommand};
use tidegate_redis::RedisStore;
use tidegate_redis::inspect::InspectError;

use crate::failure::Failure;
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
    /// List the buckets that are not full, the most used first
    Ls(LsArgs),
    /// Show what is stored of one bucket
    Show(ShowArgs),
    /// Fill buckets up and forgive their debts
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

fn failed(error: InspectError) -> Failure {
    match error {
        InspectError::Scale(_) | InspectError::AboveCapacity { .. } | InspectError::KeyOfTable => {
            Failure::Usage(error.to_string())
        }
        error => Failure::at("server", error),
    }
}

/// A key as text, without the prefix that all keys share. Bytes that are no UTF-8 appear as `\xff`.
fn shown_key(store: &RedisStore, key: &[u8]) -> String {
    let mut prefix = store.bucket_key("", None, None);
    // The shortest key is the prefix, and an empty name in braces: `tidegate:{%}`.
    prefix.truncate(prefix.len() - "{%}".len());
    let key = key.strip_prefix(&*prefix).unwrap_or(key);
    let chunks = key.utf8_chunks();
    chunks
        .map(|chunk| {
            let invalid = chunk.invalid().iter();
            let invalid: String = invalid.map(|byte| format!("\\x{byte:02x}")).collect();
            format!("{}{invalid}", chunk.valid())
        })
        .collect()
}

/// A duration in its largest units.
fn time(time: Duration) -> String {
    crate::picture::numbers::span(time.as_secs_f64())
}
