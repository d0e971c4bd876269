//! `redis show`: what is stored of one bucket.

use clap::Args;
use serde::Serialize;
use tidegate::Quota;
use tidegate_redis::RedisStore;
use tidegate_redis::inspect::{BucketDetails, StoredBucket, StoredLease};

use super::bucket_args::{BucketArgs, QuotaArgs};
use super::words::{failed, shown_key, time};
use crate::failure::Failure;
use crate::output::stdio;
use crate::output::table::Table;
use crate::picture::numbers::{counted, grouped};

/// Arguments of `show`.
#[derive(Clone, Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    bucket: BucketArgs,
    #[command(flatten)]
    quota: QuotaArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A bucket. Serialized, it is the output of `--json`. Times are in seconds.
#[derive(Debug, Serialize)]
struct Shown {
    key: String,
    full_in: f64,
    quota: Option<String>,
    /// How often the quota was changed while nodes used it.
    changes: u64,
    available: Option<u64>,
    capacity: Option<u64>,
    /// Tokens that nodes hold at most.
    leased: Option<u64>,
    waiting_nodes: u64,
    leases: Vec<ShownLease>,
    expires_in: Option<f64>,
    memory: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ShownLease {
    node: String,
    held: Option<u64>,
    held_time: f64,
    ends_in: f64,
}

/// Runs `show`.
///
/// # Errors
///
/// If nothing is stored, or the server does not answer.
pub(super) async fn run(store: &RedisStore, args: &ShowArgs) -> Result<(), Failure> {
    let key = args.bucket.key(store)?;
    let name = shown_key(store, &key);
    let found = store.inspect(&key).await.map_err(failed)?;
    let details = found.ok_or_else(|| missing(&name))?;
    let shown = shown(name, &details, args.quota)?;
    if args.json {
        return stdio::print_json(&shown);
    }
    stdio::print(&text(&shown, &details, stdio::width()))
}

/// Why a bucket cannot be shown or changed.
pub(super) fn missing(name: &str) -> Failure {
    let why = "nothing is stored: the bucket is full, or has another name";
    Failure::at(name, why)
}

fn shown(name: String, details: &BucketDetails, quota: QuotaArgs) -> Result<Shown, Failure> {
    let bucket = &details.bucket;
    let available = quota.available(bucket)?;
    let quota = quota.of(bucket);
    let tokens = |time| quota.and_then(|quota| StoredBucket::tokens(quota, time).ok());
    let lease = |lease: &StoredLease| ShownLease {
        node: lease
            .node
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        held: tokens(lease.held),
        held_time: lease.held.as_secs_f64(),
        ends_in: lease.ends_in.as_secs_f64(),
    };
    Ok(Shown {
        key: name,
        full_in: bucket.full_in.as_secs_f64(),
        quota: quota.map(|quota| quota.to_string()),
        changes: bucket.changes,
        available,
        capacity: quota.map(|quota: Quota| quota.capacity()),
        leased: tokens(bucket.leased),
        waiting_nodes: bucket.waiting_nodes,
        leases: details.leases.iter().map(lease).collect(),
        expires_in: details.expires_in.map(|time| time.as_secs_f64()),
        memory: details.memory,
    })
}

fn text(shown: &Shown, details: &BucketDetails, columns: usize) -> String {
    let bucket = &details.bucket;
    let quota = match &shown.quota {
        None => "known to the nodes only; --quota counts tokens by it".to_owned(),
        Some(quota) if shown.changes == 0 => format!("{quota}, as given"),
        Some(quota) => {
            let times = counted(shown.changes, "change");
            format!("{quota}, after {times}")
        }
    };
    let available = match (shown.available, shown.capacity) {
        (Some(available), Some(capacity)) => {
            format!("{} of {} tokens", grouped(available), grouped(capacity))
        }
        _ => "unknown without the quota".to_owned(),
    };
    let mut leases = counted(bucket.lease_count, "node");
    if bucket.lease_count > 0 {
        let held = match shown.leased {
            Some(tokens) => format!("{} tokens", grouped(tokens)),
            None => format!("{} of refill", time(bucket.leased)),
        };
        leases += &format!(", at most {held} together");
    }
    if shown.waiting_nodes > 0 {
        leases += &format!("; {} for more", counted(shown.waiting_nodes, "wait"));
    }
    let expires = details.expires_in.map_or("never".to_owned(), time);
    let memory = details
        .memory
        .map_or("not allowed to ask".to_owned(), |bytes| {
            format!("{} bytes", grouped(bytes))
        });
    let items = [
        ("full in", time(bucket.full_in)),
        ("quota", quota),
        ("available", available),
        ("leases", leases),
        ("key ends in", expires),
        ("memory", memory),
    ];
    let mut text = format!("{}\n\n", crate::picture::key::shown(&shown.key, columns));
    for (name, value) in items {
        text += &format!("{name:12} {value}\n");
    }
    if !details.leases.is_empty() {
        let mut table = Table::new(&["node", "holds at most", "lease ends in"], 0);
        for (shown, lease) in shown.leases.iter().zip(&details.leases) {
            let held = shown.held.map_or_else(|| time(lease.held), grouped);
            table.row(vec![shown.node.clone(), held, time(lease.ends_in)]);
        }
        text += &format!("\n{}", table.text(columns));
    }
    text
}
