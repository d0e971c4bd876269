//! The facts of a bucket.

use std::time::Duration;

use serde::Serialize;
use tidegate::Quota;
use tidegate_redis::inspect::{StoredBucket, StoredLease};

use super::super::limit_args::QuotaArgs;
use super::super::words::{Item, node_name, seconds, time};
use crate::failure::Failure;
use crate::output::table::Table;
use crate::picture::numbers::{counted, grouped};

/// The level of a bucket.
#[derive(Debug, Serialize)]
pub(crate) struct BucketFacts {
    #[serde(serialize_with = "seconds")]
    full_in: Duration,
    quota: Option<String>,
    /// How often the quota was changed while nodes used it.
    changes: u64,
    available: Option<u64>,
    capacity: Option<u64>,
    /// Tokens that nodes hold at most, and the time in which these refill.
    leased: Option<u64>,
    #[serde(serialize_with = "seconds")]
    leased_time: Duration,
    waiting_nodes: u64,
    #[serde(skip)]
    lease_count: u64,
    leases: Vec<Lease>,
}

/// The lease of one node.
#[derive(Debug, Serialize)]
struct Lease {
    node: String,
    held: Option<u64>,
    #[serde(serialize_with = "seconds")]
    held_time: Duration,
    #[serde(serialize_with = "seconds")]
    ends_in: Duration,
}

impl BucketFacts {
    pub(super) fn new(
        bucket: &StoredBucket,
        leases: &[StoredLease],
        counted_by: QuotaArgs,
    ) -> Result<Self, Failure> {
        let quota = counted_by.of(bucket);
        let tokens = |time| quota.and_then(|quota| StoredBucket::tokens(quota, time).ok());
        let lease = |lease: &StoredLease| Lease {
            node: node_name(&lease.node),
            held: tokens(lease.held),
            held_time: lease.held,
            ends_in: lease.ends_in,
        };
        Ok(Self {
            full_in: bucket.full_in,
            quota: quota.map(|quota| quota.to_string()),
            changes: bucket.changes,
            available: counted_by.available(bucket)?,
            capacity: quota.map(Quota::capacity),
            leased: tokens(bucket.leased),
            leased_time: bucket.leased,
            waiting_nodes: bucket.waiting_nodes,
            lease_count: bucket.lease_count,
            leases: leases.iter().map(lease).collect(),
        })
    }

    pub(super) fn items(&self) -> Vec<Item> {
        let quota = match &self.quota {
            None => "known to the nodes only; --quota counts tokens by it".to_owned(),
            Some(quota) if self.changes == 0 => format!("{quota}, as given"),
            Some(quota) => format!("{quota}, after {}", counted(self.changes, "change")),
        };
        let available = match self.available.zip(self.capacity) {
            Some((available, capacity)) => {
                format!("{} of {} tokens", grouped(available), grouped(capacity))
            }
            None => "unknown without the quota".to_owned(),
        };
        let mut leases = counted(self.lease_count, "node");
        if self.lease_count > 0 {
            let held = match self.leased {
                Some(tokens) => format!("{} tokens", grouped(tokens)),
                None => format!("{} of refill", time(self.leased_time)),
            };
            leases += &format!(", at most {held} together");
        }
        if self.waiting_nodes > 0 {
            leases += &format!("; {} for more", counted(self.waiting_nodes, "wait"));
        }
        vec![
            ("full in", time(self.full_in)),
            ("quota", quota),
            ("available", available),
            ("leases", leases),
        ]
    }

    pub(super) fn table(&self) -> Option<Table> {
        if self.leases.is_empty() {
            return None;
        }
        let mut table = Table::new(&["node", "holds at most", "lease ends in"], 0);
        for lease in &self.leases {
            let held = lease.held.map_or_else(|| time(lease.held_time), grouped);
            table.row(vec![lease.node.clone(), held, time(lease.ends_in)]);
        }
        Some(table)
    }
}
