//! What was counted, and what is left.

/// The counts of an [`ApiRateLimiter`](crate::ApiRateLimiter), and what is left of its limits.
///
/// `total_requests` and `total_tokens_used` are exact: each call has been counted by the time it returns. The numbers are read
/// one after the other, so calls that run meanwhile may be in some and not yet in others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitStats {
    /// Requests that were admitted, without those whose [permit](crate::TokenPermit) was cancelled.
    pub total_requests: u64,
    /// Tokens that were recorded, settled, or kept as estimated.
    pub total_tokens_used: u64,
    /// Requests that the minute has room for.
    pub requests_remaining_minute: u64,
    /// Requests that the hour has room for.
    pub requests_remaining_hour: u64,
    /// Requests that the day has room for; `None` without a limit per day.
    pub requests_remaining_day: Option<u64>,
    /// Requests that may be made at once, if minute, hour and day have room.
    pub burst_remaining: u64,
    /// Tokens that are left for the minute; 0 while in debt.
    pub tokens_remaining_minute: u64,
    /// Tokens that are left for the day; `None` without a limit per day.
    pub tokens_remaining_day: Option<u64>,
    /// Permits that are neither settled nor dropped.
    pub in_flight: u64,
    /// Places that were charged for a call that was refused or cancelled in the end, in any of the limits, and could not be given
    /// back since others had been decided on top of them. A call that was refused in a race may forfeit tokens as well. (What is
    /// not counted, since nobody can tell: see [`Combined`](crate::Combined).)
    pub forfeited: u64,
}
