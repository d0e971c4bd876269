//! The saved state of a limiter for an API.

use super::combined::CombinedState;

/// The state of an [`ApiRateLimiter`](crate::ApiRateLimiter): its limits, the pause, the streak of
/// refusals and the totals. Calls in flight are not part of it, because they end with the process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct ApiState {
    pub(crate) limits: CombinedState,
    /// Nanoseconds until the pause ends; `u64::MAX` for a pause without an end.
    pub(crate) pause: u64,
    /// Nanoseconds since the first refusal of a streak.
    pub(crate) refusing_for: Option<u64>,
    /// Nanoseconds until all refused callers should have returned.
    pub(crate) expected_in: u64,
    pub(crate) requests: u64,
    pub(crate) tokens: u64,
}

impl ApiState {
    /// Returns the states of the limits, by their names, such as `"minute"`.
    pub const fn limits(&self) -> &CombinedState {
        &self.limits
    }
}
