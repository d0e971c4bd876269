//! `redis reset`: fills buckets up.

use std::collections::BTreeSet;

use clap::Args;
use tidegate_redis::RedisStore;
use tidegate_redis::inspect::ScanCursor;

use super::bucket_args::BucketArgs;
use super::confirm::confirm;
use super::show::missing;
use super::words::{failed, shown_key, time};
use crate::failure::Failure;
use crate::output::stdio;
use crate::picture::key::shown;
use crate::picture::numbers::counted;

/// Arguments of `reset`.
#[derive(Clone, Debug, Args)]
pub(super) struct ResetArgs {
    /// The name of the limiter, such as `uploads`, or a key as `ls` prints it
    #[arg(value_name = "NAME", required_unless_present = "matching")]
    name: Option<String>,
    /// The key in the table of that name
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
    /// The name of the limit, if the limiter has several
    #[arg(long, value_name = "NAME")]
    limit: Option<String>,
    /// Fill up all buckets that match this glob instead, such as `user:*`
    #[arg(long, value_name = "PATTERN", conflicts_with_all = ["name", "key", "limit"])]
    matching: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// How many keys a question names.
const NAMED: usize = 5;

/// Runs `reset`.
///
/// # Errors
///
/// If nothing is stored, or the server does not answer.
pub(super) async fn run(store: &RedisStore, args: &ResetArgs) -> Result<(), Failure> {
    let keys = match &args.matching {
        Some(pattern) => matching(store, pattern).await?,
        None => one(store, args).await?,
    };
    let count = u64::try_from(keys.len()).unwrap_or(u64::MAX);
    let buckets = counted(count, "bucket");
    if keys.is_empty() {
        return stdio::print("all buckets are full\n");
    }
    if !args.yes {
        let names = keys.iter().take(NAMED);
        let names: Vec<String> = names.map(|key| shown(&shown_key(store, key), 60)).collect();
        let more = if keys.len() > NAMED { ", .." } else { "" };
        let question = format!("Fill up {buckets} ({}{more})?", names.join(", "));
        if !confirm(&question)? {
            return stdio::print("nothing was changed\n");
        }
    }
    for (done, key) in (0..).zip(&keys) {
        if let Err(error) = store.reset_key(key).await {
            let name = shown(&shown_key(store, key), usize::MAX);
            let done = counted(done, "bucket");
            let message = format!("{error}; {done} of {count} were filled up before");
            return Err(Failure::at(name, message));
        }
    }
    stdio::print(&format!("filled up {buckets}\n"))
}

/// Returns the key of the bucket that is named, and prints its level.
async fn one(store: &RedisStore, args: &ResetArgs) -> Result<BTreeSet<Vec<u8>>, Failure> {
    let bucket = BucketArgs {
        // Required unless there is a pattern.
        name: args.name.clone().unwrap_or_default(),
        key: args.key.clone(),
        limit: args.limit.clone(),
    };
    let key = bucket.key(store)?;
    let name = shown_key(store, &key);
    let found = store.inspect(&key).await.map_err(failed)?;
    let found = found.ok_or_else(|| missing(&name))?;
    let left = time(found.bucket.full_in);
    stdio::print(&format!("{}: full in {left}\n", shown(&name, usize::MAX)))?;
    Ok(BTreeSet::from([key]))
}

/// Returns the keys of all buckets that are not full.
async fn matching(store: &RedisStore, pattern: &str) -> Result<BTreeSet<Vec<u8>>, Failure> {
    let mut keys = BTreeSet::new();
    let mut cursor = Some(ScanCursor::default());
    while let Some(at) = cursor {
        let page = store.scan(pattern, at, 1_000).await.map_err(failed)?;
        let used = page.buckets.into_iter().filter(|it| !it.full_in.is_zero());
        keys.extend(used.map(|bucket| bucket.key));
        cursor = page.next;
    }
    Ok(keys)
}
