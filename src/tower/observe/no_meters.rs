//! As with the feature `metrics`, for nobody.

use core::time::Duration;

use super::Outcome;

#[derive(Debug)]
pub(crate) struct Requests;

impl Requests {
    pub(crate) const fn new(_: &str) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) const fn add(&self, _: Outcome) {}
}

pub(crate) struct Waits;

impl Waits {
    pub(crate) const ARE_RECORDED: bool = false;

    pub(crate) const fn new(_: &str) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) const fn record(&self, _: Duration) {}
}
