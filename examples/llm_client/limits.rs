//! What the provider allows, and what the client allows itself.
//!
//! The client's limits are the provider's less a head-room: what its workers can have under way at once, each of them one call. For
//! calls that were let through one after the other may arrive together. It is enough, whatever is held up and for how long:
//!
//! What arrives at the provider in an interval `[a, b]` was let through in it, or is the one call that a worker had under way at
//! `a`. The limiter lets through at most `burst + rate · (b − a)`, so at most `burst + head-room + rate · (b − a)` arrives. The
//! same for tokens: the client charges an estimate before the provider does, and takes the rest of it back after the provider did.
//! So in `[a, b]` the provider's account is charged no more than the client's, but for the calls under way at `a`. Both sides read
//! the same clock, the operating system's. **So paced workers who have the account for themselves are never refused.**
//!
//! If another tenant takes what is left, the client cannot know, and calls under way are refused: at most one of each worker,
//! until the first of these refusals pauses all of them. The pause lasts a second at least, in which the provider's account
//! fills up, but for the calls that were under way, and is again as far ahead of the client's as at first. **So there is at most
//! one refusal of each worker, each time that the tenant comes**, and one more whenever a worker is held up for [`SLACK`]
//! between reading the clock and setting the pause, which may then be too short.

use std::time::Duration;

use tidegate::RateLimitConfig;

use crate::account::{Quotas, Window};
use crate::work;

/// Each has one call under way at most.
pub(crate) const WORKERS: u64 = 8;

const REQUESTS_PER_MINUTE: u64 = 3_000;
const REQUESTS_PER_SECOND: u64 = 80;
const TOKENS_PER_MINUTE: u64 = 600_000;
/// A second's worth, as with providers who enforce a minute's limit second by second.
const TOKENS_AT_ONCE: u64 = TOKENS_PER_MINUTE / 60;

/// The provider's.
pub(crate) const QUOTAS: Quotas = Quotas {
    windows: &[
        Window {
            requests: REQUESTS_PER_MINUTE,
            length: Duration::from_secs(60),
        },
        Window {
            requests: REQUESTS_PER_SECOND,
            length: Duration::from_secs(1),
        },
    ],
    tokens_per_minute: TOKENS_PER_MINUTE,
    tokens_at_once: TOKENS_AT_ONCE,
};

/// The client's.
pub(crate) const CONFIG: RateLimitConfig = RateLimitConfig {
    requests_per_minute: REQUESTS_PER_MINUTE - WORKERS,
    // The provider has no such limit.
    requests_per_hour: 60 * REQUESTS_PER_MINUTE,
    // In a second a burst, and what flows in during it: together with the head-room the provider's limit for a second.
    burst_size: REQUESTS_PER_SECOND - REQUESTS_PER_MINUTE / 60 - WORKERS,
    tokens_per_minute: TOKENS_PER_MINUTE,
    token_burst_size: Some(TOKENS_AT_ONCE - WORKERS * work::LARGEST - TOKENS_IN_SLACK),
    // Only the first in line tries again.
    enable_backoff: false,
    ..RateLimitConfig::DEFAULT
};

/// So much of a pause may be over by the time that it holds for all.
pub(crate) const SLACK: Duration = Duration::from_millis(20);
const TOKENS_IN_SLACK: u64 = TOKENS_PER_MINUTE * 20 / 60_000;

// Or a call would be refused for good.
const _: () = if let Some(most) = CONFIG.token_burst_size {
    assert!(most >= work::LARGEST);
};

/// How many tokens the provider can give in so long, from a full account.
pub(crate) fn tokens_within(elapsed: Duration) -> u64 {
    let nanos = elapsed.as_nanos() * u128::from(TOKENS_PER_MINUTE);
    let flowed = nanos.div_ceil(60_000_000_000);
    TOKENS_AT_ONCE.saturating_add(u64::try_from(flowed).unwrap_or(u64::MAX))
}
