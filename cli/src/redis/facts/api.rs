//! The facts of an API limiter.

use std::time::Duration;

use serde::Serialize;
use tidegate_redis::inspect::{StoredApi, StoredView};

use super::super::words::{Item, maybe_seconds, seconds, time};
use crate::output::table::Table;
use crate::picture::key::shown;
use crate::picture::numbers::{counted, grouped};

/// The state of an API limiter.
#[derive(Debug, Serialize)]
pub(crate) struct ApiFacts {
    #[serde(serialize_with = "maybe_seconds")]
    pause_ends_in: Option<Duration>,
    pauses_in_a_row: u64,
    in_flight: u64,
    waiting_nodes: u64,
    total_requests: u64,
    total_tokens_used: u64,
    forfeited: u64,
    unreadable: u64,
    /// What responses told.
    provider: Vec<View>,
    /// The pattern of `ls` for its limits.
    limits: String,
}

/// What responses told of one limit.
#[derive(Debug, Serialize)]
struct View {
    name: String,
    unit: String,
    remaining: u64,
    left: u64,
    #[serde(serialize_with = "seconds")]
    ends_in: Duration,
}

impl ApiFacts {
    pub(super) fn new(name: &str, api: &StoredApi) -> Self {
        let view = |view: &StoredView| View {
            name: view.name.clone(),
            unit: view.unit.to_string(),
            remaining: view.remaining,
            left: view.left,
            ends_in: view.ends_in,
        };
        Self {
            pause_ends_in: api.pause_ends_in,
            pauses_in_a_row: api.pauses_in_a_row,
            in_flight: api.in_flight,
            waiting_nodes: api.waiting_nodes,
            total_requests: api.total_requests,
            total_tokens_used: api.total_tokens_used,
            forfeited: api.forfeited,
            unreadable: api.unreadable,
            provider: api.views.iter().map(view).collect(),
            limits: format!("{}*", name.trim_end_matches("?api")),
        }
    }

    pub(super) fn items(&self) -> Vec<Item> {
        let pause = self.pause_ends_in.map_or("none".to_owned(), |pause| {
            format!("ends in {}; `reset` ends it now", time(pause))
        });
        let not_readable = counted(self.unreadable, "value");
        vec![
            ("pause", pause),
            ("in flight", counted(self.in_flight, "call")),
            ("waiting", counted(self.waiting_nodes, "node")),
            ("requests", grouped(self.total_requests)),
            ("tokens", grouped(self.total_tokens_used)),
            ("forfeited", counted(self.forfeited, "permit")),
            ("unreadable", format!("{not_readable} in responses")),
            (
                "limits",
                format!("`ls '{}'` lists them", shown(&self.limits, 50)),
            ),
        ]
    }

    pub(super) fn table(&self) -> Option<Table> {
        if self.provider.is_empty() {
            return None;
        }
        let header = ["provider's limit", "counts", "remained", "left", "ends in"];
        let mut table = Table::new(&header, 0);
        for view in &self.provider {
            table.row(vec![
                shown(&view.name, usize::MAX),
                view.unit.clone(),
                grouped(view.remaining),
                grouped(view.left),
                time(view.ends_in),
            ]);
        }
        Some(table)
    }
}
