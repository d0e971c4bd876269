//! `redis show`: what is stored of one limit.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tidegate_redis::RedisStore;

use super::facts::Facts;
use super::limit_args::{CountArgs, LimitArgs};
use super::words::{maybe_seconds, shown_key, time};
use crate::failure::Failure;
use crate::output::stdio;
use crate::picture::numbers::grouped;

/// Arguments of `show`.
#[derive(Clone, Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    count: CountArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A limit. Serialized, it is the output of `--json`. Times are in seconds.
#[derive(Debug, Serialize)]
struct Shown {
    key: String,
    #[serde(flatten)]
    facts: Facts,
    #[serde(serialize_with = "maybe_seconds")]
    expires_in: Option<Duration>,
    memory: Option<u64>,
}

/// Runs `show`.
///
/// # Errors
///
/// If nothing is stored, or the server does not answer.
pub(super) async fn run(store: &RedisStore, args: &ShowArgs) -> Result<(), Failure> {
    let (key, found) = args.limit.find(store).await?;
    let name = shown_key(store, &key);
    let details = found.ok_or_else(|| missing(&name))?;
    let shown = Shown {
        facts: Facts::new(&name, &details, args.count)?,
        key: name,
        expires_in: details.expires_in,
        memory: details.memory,
    };
    if args.json {
        return stdio::print_json(&shown);
    }
    stdio::print(&text(&shown, stdio::width()))
}

/// Why a limit cannot be shown or changed.
pub(super) fn missing(name: &str) -> Failure {
    let why = "nothing is stored: the limit is unused, or has another name";
    Failure::at(name, why)
}

fn text(shown: &Shown, columns: usize) -> String {
    let expires = shown.expires_in.map_or("never".to_owned(), time);
    let memory = shown
        .memory
        .map_or("not allowed to ask".to_owned(), |bytes| {
            format!("{} bytes", grouped(bytes))
        });
    let mut items = shown.facts.items();
    items.extend([("key ends in", expires), ("memory", memory)]);
    let mut text = format!("{}\n\n", crate::picture::key::shown(&shown.key, columns));
    for (name, value) in items {
        text += &format!("{name:12} {value}\n");
    }
    if let Some(table) = shown.facts.table() {
        text += &format!("\n{}", table.text(columns));
    }
    text
}
