//! A limit in the list of `ls`.

use std::cmp::Ordering;
use std::time::Duration;

use serde::Serialize;
use tidegate::Quota;
use tidegate_redis::RedisStore;
use tidegate_redis::inspect::{StoredBucket, StoredKind, StoredLimit};

use super::limit_args::CountArgs;
use super::words::{kind_name, maybe_seconds, shown_key, time};
use crate::failure::Failure;
use crate::picture::key::shown;
use crate::picture::numbers::{grouped, ratio};

/// Serialized, it is a part of the output of `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    key: String,
    #[serde(rename = "kind")]
    kind_name: &'static str,
    #[serde(skip)]
    kind: StoredKind,
    /// Tokens, permits that count, permits held, or calls in flight.
    used: Option<u64>,
    /// How many of these are left, and how many there can be.
    available: Option<u64>,
    limit: Option<u64>,
    quota: Option<String>,
    /// Seconds until the bucket is full, the last permit of a window no longer counts, the last
    /// node's lease on a semaphore ends, or a pause ends.
    #[serde(serialize_with = "maybe_seconds")]
    free_in: Option<Duration>,
    /// The nodes that hold a part of it.
    nodes: u64,
}

impl Row {
    pub(super) const HEADER: [&str; 6] = ["key", "kind", "used", "free in", "quota", "nodes"];

    pub(super) fn new(
        store: &RedisStore,
        limit: &StoredLimit,
        counted_by: CountArgs,
    ) -> Result<Self, Failure> {
        let mut row = Self {
            key: shown_key(store, limit.key()),
            kind_name: kind_name(limit.kind()),
            kind: limit.kind(),
            used: None,
            available: None,
            limit: None,
            quota: None,
            free_in: None,
            nodes: 0,
        };
        match limit {
            StoredLimit::Bucket(bucket) => row.count_bucket(bucket, counted_by)?,
            StoredLimit::Window(window) => {
                row.used = Some(window.used);
                row.limit = counted_by.permits;
                row.available = counted_by.permits.map(|limit| window.available(limit));
                row.free_in = Some(window.last_ends_in);
            }
            StoredLimit::Semaphore(semaphore) => {
                row.used = Some(semaphore.held);
                row.limit = counted_by.permits;
                row.available = counted_by.permits.map(|limit| semaphore.available(limit));
                row.free_in = semaphore.last_ends_in();
                row.nodes = u64::try_from(semaphore.holding_nodes()).unwrap_or(u64::MAX);
            }
            StoredLimit::Api(api) => {
                row.used = Some(api.in_flight);
                row.free_in = api.pause_ends_in;
            }
            // A kind of a later version has its key and its kind.
            _ => {}
        }
        Ok(row)
    }

    fn count_bucket(
        &mut self,
        bucket: &StoredBucket,
        counted_by: CountArgs,
    ) -> Result<(), Failure> {
        let quota = counted_by.quota.of(bucket);
        self.limit = quota.map(Quota::capacity);
        self.quota = quota.map(|quota| quota.to_string());
        self.available = counted_by.quota.available(bucket)?;
        let of = self.limit.zip(self.available);
        self.used = of.map(|(limit, available)| limit.saturating_sub(available));
        self.free_in = Some(bucket.full_in);
        self.nodes = bucket.lease_count;
        Ok(())
    }

    pub(super) const fn kind(&self) -> StoredKind {
        self.kind
    }

    /// Orders the most used first. Limits whose share is known come first, by their share. Others
    /// follow by kind, and by their count or time. The key decides between equals, so that the
    /// order is always the same.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let share = |row: &Self| row.used.zip(row.limit).map(|(used, of)| ratio(used, of));
        let share = |row: &Self| share(row).unwrap_or(-1.0);
        let count = |row: &Self| match row.kind {
            StoredKind::Bucket => None,
            _ => row.used,
        };
        share(other)
            .total_cmp(&share(self))
            .then_with(|| self.kind.cmp(&other.kind))
            .then_with(|| count(other).cmp(&count(self)))
            .then_with(|| other.free_in.cmp(&self.free_in))
            .then_with(|| self.key.cmp(&other.key))
    }

    /// The cells of a table with the [header](Self::HEADER).
    pub(super) fn cells(&self) -> [String; 6] {
        let used = match (self.used, self.limit) {
            (Some(used), Some(limit)) => format!("{} of {}", grouped(used), grouped(limit)),
            (Some(used), None) => grouped(used),
            (None, _) => String::new(),
        };
        [
            // Escaped here, so that the width of the column is that of the escapes.
            shown(&self.key, usize::MAX),
            self.kind_name.to_owned(),
            used,
            self.free_in.map(time).unwrap_or_default(),
            self.quota.clone().unwrap_or_default(),
            if self.nodes == 0 {
                String::new()
            } else {
                grouped(self.nodes)
            },
        ]
    }
}
