//! Replaces `metrics.rs` without the feature `metrics`, and does nothing.

#![expect(clippy::unused_self, reason = "same signatures as with the feature")]

use core::time::Duration;

use crate::tower::layer_stats::RequestOutcome;

#[derive(Debug)]
pub(crate) struct RequestMetrics;

impl RequestMetrics {
    pub(crate) const fn new() -> Self {
        Self
    }

    pub(crate) const fn add(&self, _: &str, _: RequestOutcome) {}
}

pub(crate) struct WaitHistogram;

impl WaitHistogram {
    pub(crate) const IS_RECORDED: bool = false;

    pub(crate) const fn new() -> Self {
        Self
    }

    pub(crate) const fn record(&self, _: &str, _: Duration) {}
}
