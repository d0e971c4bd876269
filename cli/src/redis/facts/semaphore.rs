//! The facts of a semaphore.

use std::time::Duration;

use serde::Serialize;
use tidegate_redis::inspect::{StoredHold, StoredSemaphore};

use super::super::words::{Item, available_permits, maybe_seconds, node_name, seconds, time};
use crate::output::table::Table;
use crate::picture::numbers::{counted, grouped};

/// What nodes hold of a semaphore.
#[derive(Debug, Serialize)]
pub(crate) struct SemaphoreFacts {
    held: u64,
    available: Option<u64>,
    limit: Option<u64>,
    holding_nodes: usize,
    waiting_nodes: usize,
    /// Unless nodes renew them.
    #[serde(serialize_with = "maybe_seconds")]
    first_ends_in: Option<Duration>,
    #[serde(serialize_with = "maybe_seconds")]
    last_ends_in: Option<Duration>,
    nodes: Vec<Hold>,
}

/// What one node holds.
#[derive(Debug, Serialize)]
struct Hold {
    /// `None` if any node may hold it, because the server has lost its data.
    node: Option<String>,
    held: u64,
    #[serde(serialize_with = "seconds")]
    ends_in: Duration,
    waits_for: u64,
}

impl SemaphoreFacts {
    pub(super) fn new(semaphore: &StoredSemaphore, limit: Option<u64>) -> Self {
        let hold = |hold: &StoredHold| Hold {
            node: hold.node.as_ref().map(node_name),
            held: hold.held,
            ends_in: hold.ends_in,
            waits_for: hold.waits_for,
        };
        Self {
            held: semaphore.held,
            available: limit.map(|limit| semaphore.available(limit)),
            limit,
            holding_nodes: semaphore.holding_nodes(),
            waiting_nodes: semaphore.waiting_nodes(),
            first_ends_in: semaphore.first_ends_in(),
            last_ends_in: semaphore.last_ends_in(),
            nodes: semaphore.nodes.iter().map(hold).collect(),
        }
    }

    pub(super) fn items(&self) -> Vec<Item> {
        let nodes = |count: usize| counted(u64::try_from(count).unwrap_or(u64::MAX), "node");
        let end = |end: Option<Duration>| match end {
            Some(end) => format!("in {}, unless renewed", time(end)),
            None => "none is out".to_owned(),
        };
        let held = counted(self.held, "permit");
        vec![
            ("held", format!("{held} by {}", nodes(self.holding_nodes))),
            ("available", available_permits(self.available, self.limit)),
            ("first ends", end(self.first_ends_in)),
            ("last ends", end(self.last_ends_in)),
            ("waiting", nodes(self.waiting_nodes)),
        ]
    }

    pub(super) fn table(&self) -> Option<Table> {
        if self.nodes.is_empty() {
            return None;
        }
        let mut table = Table::new(&["node", "holds", "ends in", "waits for"], 0);
        for hold in &self.nodes {
            let node = hold
                .node
                .clone()
                .unwrap_or_else(|| "(not known)".to_owned());
            let waits_for = match hold.waits_for {
                0 => String::new(),
                waits_for => grouped(waits_for),
            };
            table.row(vec![
                node,
                grouped(hold.held),
                time(hold.ends_in),
                waits_for,
            ]);
        }
        Some(table)
    }
}
