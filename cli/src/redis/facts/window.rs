//! The facts of a window.

use std::time::Duration;

use serde::Serialize;
use tidegate_redis::inspect::StoredWindow;

use super::super::words::{Item, available_permits, seconds, time};
use crate::picture::numbers::counted;

/// What a window has admitted.
#[derive(Debug, Serialize)]
pub(crate) struct WindowFacts {
    /// Permits that count.
    used: u64,
    available: Option<u64>,
    limit: Option<u64>,
    #[serde(serialize_with = "seconds")]
    first_ends_in: Duration,
    #[serde(serialize_with = "seconds")]
    last_ends_in: Duration,
    slots: u64,
    #[serde(serialize_with = "seconds")]
    slot: Duration,
}

impl WindowFacts {
    pub(super) fn new(window: &StoredWindow, limit: Option<u64>) -> Self {
        Self {
            used: window.used,
            available: limit.map(|limit| window.available(limit)),
            limit,
            first_ends_in: window.first_ends_in,
            last_ends_in: window.last_ends_in,
            slots: window.slots,
            slot: window.slot,
        }
    }

    pub(super) fn items(&self) -> Vec<Item> {
        let slots = format!("{} of {} each", self.slots, time(self.slot));
        vec![
            (
                "used",
                format!("{} in the window", counted(self.used, "permit")),
            ),
            ("available", available_permits(self.available, self.limit)),
            ("first ends", format!("in {}", time(self.first_ends_in))),
            ("last ends", format!("in {}", time(self.last_ends_in))),
            ("slots", slots),
        ]
    }
}
