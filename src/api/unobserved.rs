//! Without the feature `http` no response is read, so no view of the provider ever counts.

#![expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    clippy::missing_const_for_fn,
    clippy::trivially_copy_pass_by_ref,
    reason = "the same calls as with `http`"
)]

use super::usage::TokenUsage;
use crate::time::Timestamp;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Requests,
    Tokens,
    InputTokens,
    OutputTokens,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Amounts;

impl Amounts {
    pub(crate) fn new(_requests: u64, _tokens: TokenUsage) -> Self {
        Self
    }

    pub(crate) fn beyond(_used: TokenUsage, _charged: TokenUsage) -> Self {
        Self
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(super) cost: Amounts,
}

impl Ask {
    pub(crate) fn requests(_n: u64) -> Self {
        Self { cost: Amounts }
    }

    pub(crate) fn tokens(_tokens: TokenUsage, _is_guess: bool) -> Self {
        Self { cost: Amounts }
    }

    #[cfg(feature = "std")]
    pub(super) fn behind(self, _requests: u128, _tokens: u128) -> Self {
        self
    }
}

pub(crate) struct Provider;

impl Provider {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn is_live(&self, _now: Timestamp) -> bool {
        false
    }

    pub(crate) fn refusal(&self, _ask: &Ask, _now: Timestamp) -> Option<Timestamp> {
        None
    }

    pub(crate) fn send(&self, _ask: &Ask, _now: Timestamp) -> Result<(), Timestamp> {
        Ok(())
    }

    pub(crate) fn add(&self, _more: Amounts) {}

    pub(crate) fn take_back(&self, _cost: Amounts) {}

    pub(crate) fn end(&self, _cost: Amounts) {}

    pub(crate) fn settle(&self, _estimate: Amounts, _used: Amounts) {}

    pub(crate) fn record(&self, _used: Amounts) {}

    pub(crate) fn left(&self, _unit: Unit, _now: Timestamp) -> u64 {
        u64::MAX
    }

    pub(crate) fn forget(&self) {}
}
