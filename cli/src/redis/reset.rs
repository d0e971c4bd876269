//! `redis reset`: fills buckets up.

use std::collections::BTreeSet;

use clap::Args;
use tidegate_redis::RedisStore;
use tidegate_redis::inspect::ScanCursor;

use super::bucket_args::BucketArgs;
use super::confirm::confirm;
use super::show::missing;
use super::{failed, shown_key, time};
use crate::failure::Failure;
use crate::output::stdio;
use crate::picture::key::shown;
use crate::picture::numbers::counted;

/// Arguments of `reset`.
#[derive(Clone, Debug, Args)]
pub(super) struct ResetArgs {
    #[command(flatten)]
    bucket: Option<BucketArgs>,
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
    let keys = match (&args.matching, &args.bucket) {
        (Some(pattern), _) => matching(store, pattern).await?,
        (None, Some(bucket)) => {
            let key = bucket.key(store)?;
            let found = store.inspect(&key).await.map_err(failed)?;
            let found = found.ok_or_else(|| missing(&shown_key(store, &key)))?;
            let left = time(found.bucket.full_in);
            let text = format!("{}: full in {left}\n", shown_key(store, &key));
            stdio::print(&text)?;
            BTreeSet::from([key])
        }
        (None, None) => {
            let message = "which bucket? Give a name, or --matching PATTERN";
            return Err(Failure::Usage(message.to_owned()));
        }
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
    let mut done = 0_u64;
    for key in &keys {
        if let Err(error) = store.reset_key(key).await {
            let name = shown_key(store, key);
            let done = counted(done, "bucket");
            let message = format!("{error}; {done} of {count} were filled up before");
            return Err(Failure::at(name, message));
        }
        done += 1;
    }
    stdio::print(&format!("filled up {buckets}\n"))
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
