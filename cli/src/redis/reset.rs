//! `redis reset`: makes limits unused.

use std::collections::BTreeMap;

use clap::Args;
use tidegate_redis::RedisStore;
use tidegate_redis::inspect::{InspectError, ScanCursor, StoredKind, StoredLimit};

use super::confirm::confirm;
use super::limit_args::LimitArgs;
use super::show::missing;
use super::words::{counts, failed, shown_key, time};
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
    /// Reset all limits that match this glob instead, such as `user:*`
    #[arg(long, value_name = "PATTERN", conflicts_with_all = ["name", "key", "limit"])]
    matching: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// How many keys a question names.
const NAMED: usize = 5;

/// Limits by their keys.
type Found = BTreeMap<Vec<u8>, StoredKind>;

/// Runs `reset`.
///
/// # Errors
///
/// If nothing is stored, a semaphore is named, or the server does not answer.
pub(super) async fn run(store: &RedisStore, args: &ResetArgs) -> Result<(), Failure> {
    let found = match &args.matching {
        Some(pattern) => matching(store, pattern).await?,
        None => one(store, args).await?,
    };
    if found.is_empty() {
        return stdio::print("nothing is to be reset\n");
    }
    let of_kinds = counts(found.values().copied());
    if !args.yes {
        let names = found.keys().take(NAMED);
        let names: Vec<String> = names.map(|key| shown(&shown_key(store, key), 60)).collect();
        let more = if found.len() > NAMED { ", .." } else { "" };
        let question = format!("Reset {of_kinds} ({}{more})?", names.join(", "));
        if !confirm(&question)? {
            return stdio::print("nothing was changed\n");
        }
    }
    for (done, key) in found.keys().enumerate() {
        if let Err(error) = store.reset_key(key).await {
            let name = shown(&shown_key(store, key), usize::MAX);
            let count = found.len();
            let message = format!("{error}; {done} of {count} limits were reset before");
            return Err(Failure::at(name, message));
        }
    }
    stdio::print(&format!("reset {of_kinds}\n"))
}

/// Returns the limit that is named, and prints how much of it is used.
async fn one(store: &RedisStore, args: &ResetArgs) -> Result<Found, Failure> {
    let named = LimitArgs {
        // Required unless there is a pattern.
        name: args.name.clone().unwrap_or_default(),
        key: args.key.clone(),
        limit: args.limit.clone(),
    };
    let (key, found) = named.find(store).await?;
    let name = shown_key(store, &key);
    let limit = found.ok_or_else(|| missing(&name))?.limit;
    let kind = limit.kind();
    if kind == StoredKind::Semaphore {
        return Err(failed(InspectError::OtherKind { kind }));
    }
    let name = shown(&name, usize::MAX);
    stdio::print(&format!("{name}: {}\n", state(&limit)))?;
    Ok(BTreeMap::from([(key, kind)]))
}

/// What a reset changes, in words.
fn state(limit: &StoredLimit) -> String {
    match limit {
        StoredLimit::Bucket(bucket) => format!("full in {}", time(bucket.full_in)),
        StoredLimit::Window(window) => {
            let (used, last) = (counted(window.used, "permit"), time(window.last_ends_in));
            format!("{used} in use, the last for {last}")
        }
        StoredLimit::Api(api) => match api.pause_ends_in {
            Some(pause) => format!("paused for {}", time(pause)),
            None => "not paused".to_owned(),
        },
        other => other.kind().to_string(),
    }
}

/// Returns all limits that a reset changes. Semaphores are left alone: their permits are in use.
async fn matching(store: &RedisStore, pattern: &str) -> Result<Found, Failure> {
    let mut found = BTreeMap::new();
    let mut cursor = Some(ScanCursor::default());
    while let Some(at) = cursor {
        let page = store.scan(pattern, at, 1_000).await.map_err(failed)?;
        let changed = page.limits.into_iter().filter(|limit| match limit {
            StoredLimit::Bucket(_) | StoredLimit::Window(_) => limit.is_used(),
            StoredLimit::Api(api) => api.pause_ends_in.is_some() || !api.views.is_empty(),
            _ => false,
        });
        found.extend(changed.map(|limit| (limit.key().to_vec(), limit.kind())));
        cursor = page.next;
    }
    Ok(found)
}
