//! `redis set`: changes a level, or a quota for all nodes.

use clap::{ArgGroup, Args};
use tidegate::Quota;
use tidegate_redis::RedisStore;
use tidegate_redis::inspect::{InspectError, LimitDetails, StoredBucket, StoredLimit};

use super::limit_args::{LimitArgs, QuotaArgs};
use super::words::{failed, shown_key};
use crate::failure::Failure;
use crate::output::stdio;
use crate::picture::key::shown;
use crate::picture::numbers::grouped;
use crate::values;

/// Arguments of `set`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("change").required(true))]
pub(super) struct SetArgs {
    #[command(flatten)]
    bucket: LimitArgs,
    #[command(flatten)]
    quota: QuotaArgs,
    /// Charge tokens, even if the bucket does not have them
    #[arg(long, value_name = "N", group = "change")]
    debit: Option<u64>,
    /// Give tokens back
    #[arg(long, value_name = "N", group = "change")]
    credit: Option<u64>,
    /// Set how many tokens the bucket has
    #[arg(long, value_name = "N", group = "change")]
    level: Option<u64>,
    /// Change the quota for all nodes, whatever they are built with. The level stays in tokens
    #[arg(long, value_name = "QUOTA", group = "change", value_parser = values::quota)]
    new_quota: Option<Quota>,
    /// NAME is a table: change the quota of all its keys
    #[arg(long, requires = "new_quota", conflicts_with = "key")]
    table: bool,
}

/// Runs `set`.
///
/// # Errors
///
/// If the limit is no bucket, the quota is not known, or the server does not answer.
pub(super) async fn run(store: &RedisStore, args: &SetArgs) -> Result<(), Failure> {
    if let (Some(quota), true) = (args.new_quota, args.table) {
        let (name, limit) = (&args.bucket.name, args.bucket.limit.as_deref());
        if name.contains('{') {
            let message = format!("`{name}` is a key: give the name of the table");
            return Err(Failure::Usage(message));
        }
        let changed = store.set_table_quota(name, limit, quota).await;
        changed.map_err(failed)?;
        return stdio::print(&format!("{name}: {quota} for all keys\n"));
    }
    let (key, found) = args.bucket.find(store).await?;
    let name = shown_key(store, &key);
    let found = found.map(bucket_of).transpose()?;
    let stored = found.as_ref().and_then(|found| found.quota);
    let quota = stored.or(args.quota.quota).ok_or_else(|| {
        let message = "the server does not know the quota: give the one that nodes are built with, \
                       as --quota";
        Failure::Usage(message.to_owned())
    })?;
    let available = match &found {
        Some(found) => args.quota.available(found)?,
        None => None,
    };
    let before = available.unwrap_or(quota.capacity());
    let changed = if let Some(to) = args.new_quota {
        store.set_key_quota(&key, quota, to).await
    } else if let Some(n) = args.debit {
        store.debit_key(&key, quota, n).await
    } else if let Some(n) = args.credit {
        store.credit_key(&key, quota, n).await
    } else {
        // The group requires one of the four.
        let level = args.level.unwrap_or(before);
        store.set_key_level(&key, quota, level).await
    };
    changed.map_err(failed)?;
    let after = store.inspect(&key).await.map_err(failed)?;
    let (after, now) = match after.map(bucket_of).transpose()? {
        Some(found) => (args.quota.available(&found)?, args.quota.of(&found)),
        None => (None, None),
    };
    let now = now.unwrap_or(quota);
    let after = after.unwrap_or(now.capacity());
    let quota = if now == quota {
        quota.to_string()
    } else {
        format!("{now} instead of {quota}")
    };
    let (before, after) = (grouped(before), grouped(after));
    let name = shown(&name, usize::MAX);
    stdio::print(&format!("{name}: {before} -> {after} tokens, {quota}\n"))
}

/// Limits of other kinds have no level that could be set.
fn bucket_of(found: LimitDetails) -> Result<StoredBucket, Failure> {
    match found.limit {
        StoredLimit::Bucket(bucket) => Ok(bucket),
        other => Err(failed(InspectError::OtherKind { kind: other.kind() })),
    }
}
