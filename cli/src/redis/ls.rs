//! `redis ls`: the buckets that are not full, the most used first.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tidegate_redis::RedisStore;
use tidegate_redis::inspect::{ScanCursor, StoredBucket};

use super::bucket_args::QuotaArgs;
use super::words::{failed, shown_key, time};
use crate::failure::Failure;
use crate::output::stdio;
use crate::output::table::Table;
use crate::picture::key::shown;
use crate::picture::numbers::{counted, grouped};

/// Arguments of `ls`.
#[derive(Clone, Debug, Args)]
pub(super) struct LsArgs {
    /// Which keys, after the prefix: a glob such as `user:*`
    #[arg(default_value = "*", value_name = "PATTERN")]
    pattern: String,
    /// How many buckets to print
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// How many keys of the server to look at, at least. If there are more, a cursor is printed
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    scan: u64,
    /// Where to go on: the cursor that an earlier run has printed
    #[arg(long, default_value_t = ScanCursor::default(), hide_default_value = true)]
    cursor: ScanCursor,
    #[command(flatten)]
    quota: QuotaArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The list. Serialized, it is the output of `--json`.
#[derive(Debug, Serialize)]
struct List {
    buckets: Vec<Row>,
    /// How many buckets were found.
    found: usize,
    /// Keys that match, but hold something else.
    others: u64,
    /// Where the list goes on.
    cursor: Option<String>,
}

/// A bucket in the list.
#[derive(Debug, Serialize)]
struct Row {
    key: String,
    /// Seconds until it is full.
    full_in: f64,
    available: Option<u64>,
    quota: Option<String>,
    leases: u64,
}

/// How many keys a page looks at: about a millisecond of the server.
const PAGE: u32 = 1_000;

/// Runs `ls`.
///
/// # Errors
///
/// If the server does not answer.
pub(super) async fn run(store: &RedisStore, args: &LsArgs) -> Result<(), Failure> {
    let list = list(store, args).await?;
    if args.json {
        return stdio::print_json(&list);
    }
    stdio::print(&text(&list, stdio::width()))
}

async fn list(store: &RedisStore, args: &LsArgs) -> Result<List, Failure> {
    // A bucket may come twice.
    let mut found: BTreeMap<Vec<u8>, StoredBucket> = BTreeMap::new();
    let (mut others, mut looked_at) = (0, 0);
    let mut cursor = Some(args.cursor);
    while let Some(at) = cursor
        && looked_at < args.scan
    {
        let page = store.scan(&args.pattern, at, PAGE).await.map_err(failed)?;
        others += page.others;
        looked_at += u64::from(PAGE);
        cursor = page.next;
        // A full bucket is stored if its quota was changed.
        let used = page.buckets.into_iter().filter(|it| !it.full_in.is_zero());
        found.extend(used.map(|bucket| (bucket.key.clone(), bucket)));
    }
    let mut buckets: Vec<&StoredBucket> = found.values().collect();
    // By key if equal, so that the order is always the same.
    buckets.sort_by(|a, b| b.full_in.cmp(&a.full_in).then_with(|| a.key.cmp(&b.key)));
    let row = |bucket: &&StoredBucket| {
        Ok(Row {
            key: shown_key(store, &bucket.key),
            full_in: bucket.full_in.as_secs_f64(),
            available: args.quota.available(bucket)?,
            quota: args.quota.of(bucket).map(|quota| quota.to_string()),
            leases: bucket.lease_count,
        })
    };
    let rows = buckets.iter().take(args.limit).map(row);
    Ok(List {
        buckets: rows.collect::<Result<_, Failure>>()?,
        found: found.len(),
        others,
        cursor: cursor.map(|cursor| cursor.to_string()),
    })
}

fn text(list: &List, columns: usize) -> String {
    let mut text = String::new();
    if !list.buckets.is_empty() {
        let mut table = Table::new(&["key", "full in", "available", "quota", "leases"], 0);
        for row in &list.buckets {
            table.row(vec![
                // Escaped here, so that the width of the column is that of the escapes.
                shown(&row.key, usize::MAX),
                time(Duration::from_secs_f64(row.full_in)),
                row.available.map(grouped).unwrap_or_default(),
                row.quota.clone().unwrap_or_default(),
                if row.leases == 0 {
                    String::new()
                } else {
                    grouped(row.leases)
                },
            ]);
        }
        text += &table.text(columns);
        text.push('\n');
    }
    let printed = list.buckets.len();
    let found = u64::try_from(list.found).unwrap_or(u64::MAX);
    text += &format!("{} not full", counted(found, "bucket"));
    if printed < list.found {
        text += &format!(", of which {printed} are shown");
    }
    if list.others > 0 {
        let keys = counted(list.others, "key");
        text += &format!("; {keys} of something else, or gone meanwhile");
    }
    text.push('\n');
    if let Some(cursor) = &list.cursor {
        text += &format!("there are more: --cursor {cursor}\n");
    }
    text
}
