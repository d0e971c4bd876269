//! `redis ls`: the limits that are used, the most used first.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde::Serialize;
use tidegate_redis::RedisStore;
use tidegate_redis::inspect::{ScanCursor, StoredLimit};

use super::limit_args::CountArgs;
use super::row::Row;
use super::words::{counts, failed, shown_key};
use crate::failure::Failure;
use crate::output::stdio;
use crate::output::table::Table;
use crate::output::wrap::wrapped;
use crate::picture::key::shown;
use crate::picture::numbers::counted;

/// Arguments of `ls`.
#[derive(Clone, Debug, Args)]
pub(super) struct LsArgs {
    /// Which keys, after the prefix: a glob such as `user:*`
    #[arg(default_value = "*", value_name = "PATTERN")]
    pattern: String,
    /// How many limits of each kind to print
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// How many keys of the server to look at, at least. If there are more, a cursor is printed
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    scan: u64,
    /// Where to go on: the cursor that an earlier run has printed
    #[arg(long, default_value_t = ScanCursor::default(), hide_default_value = true)]
    cursor: ScanCursor,
    #[command(flatten)]
    count: CountArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The list. Serialized, it is the output of `--json`.
#[derive(Debug, Serialize)]
struct List {
    limits: Vec<Row>,
    /// How many limits were found that are used.
    found: usize,
    /// How many of each kind, in words.
    #[serde(skip)]
    counts: String,
    /// How many keys that match hold something else, and the first of these.
    others: usize,
    other_keys: Vec<String>,
    /// Where the list goes on.
    cursor: Option<String>,
}

/// How many keys that hold something else are named.
const NAMED: usize = 3;

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
    // A limit may come twice.
    let mut found: BTreeMap<Vec<u8>, StoredLimit> = BTreeMap::new();
    let mut others = BTreeSet::new();
    let mut looked_at = 0;
    let mut cursor = Some(args.cursor);
    while let Some(at) = cursor
        && looked_at < args.scan
    {
        let page = store.scan(&args.pattern, at, PAGE).await.map_err(failed)?;
        others.extend(page.others);
        looked_at += u64::from(PAGE);
        cursor = page.next;
        // A full bucket is stored if its quota was changed.
        let used = page.limits.into_iter().filter(StoredLimit::is_used);
        found.extend(used.map(|limit| (limit.key().to_vec(), limit)));
    }
    let rows = found
        .values()
        .map(|limit| Row::new(store, limit, args.count));
    let mut rows = rows.collect::<Result<Vec<Row>, Failure>>()?;
    rows.sort_by(Row::compare);
    let counts = counts(rows.iter().map(Row::kind));
    let mut printed: BTreeMap<_, usize> = BTreeMap::new();
    rows.retain(|row| {
        let of_kind = printed.entry(row.kind()).or_default();
        *of_kind += 1;
        *of_kind <= args.limit
    });
    let named = others.iter().take(NAMED);
    Ok(List {
        limits: rows,
        found: found.len(),
        counts,
        others: others.len(),
        other_keys: named.map(|key| shown_key(store, key)).collect(),
        cursor: cursor.map(|cursor| cursor.to_string()),
    })
}

fn text(list: &List, columns: usize) -> String {
    let mut text = String::new();
    if !list.limits.is_empty() {
        let rows: Vec<[String; 6]> = list.limits.iter().map(Row::cells).collect();
        let is_filled = |column: &usize| rows.iter().any(|row| !row[*column].is_empty());
        let filled: Vec<usize> = (0..Row::HEADER.len()).filter(is_filled).collect();
        let header: Vec<&str> = filled.iter().map(|column| Row::HEADER[*column]).collect();
        let mut table = Table::new(&header, 0);
        for row in &rows {
            table.row(filled.iter().map(|column| row[*column].clone()).collect());
        }
        text += &table.text(columns);
        text.push('\n');
    }
    let printed = list.limits.len();
    let mut summary = match list.found {
        0 => "nothing is used".to_owned(),
        _ => format!("{} in use", list.counts),
    };
    if printed < list.found {
        summary += &format!(", of which {printed} are shown");
    }
    text += &wrapped(&summary, columns);
    if list.others > 0 {
        let keys = counted(u64::try_from(list.others).unwrap_or(u64::MAX), "key");
        let verb = if list.others == 1 { "holds" } else { "hold" };
        let names = list.other_keys.iter().map(|key| shown(key, 40));
        let names: Vec<String> = names.collect();
        let more = if list.others > NAMED { ", .." } else { "" };
        let others = format!("{keys} {verb} something else: {}{more}", names.join(", "));
        text += &wrapped(&others, columns);
    }
    if let Some(cursor) = &list.cursor {
        text += &format!("there are more: --cursor {cursor}\n");
    }
    text
}
