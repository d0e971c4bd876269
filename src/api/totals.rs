//! The totals of a limiter, and the statistics made of them.

use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, CountPerThread, add_saturating};

/// The totals and the remaining limits of an [`ApiRateLimiter`](crate::ApiRateLimiter).
///
/// `total_requests` and `total_tokens_used` are exact: each call is counted before it returns. The
/// numbers are read one after the other, so a concurrent call may be in some and not yet in others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitStats {
    /// Requests that were admitted, without those whose [permit](crate::TokenPermit) was canceled.
    pub total_requests: u64,
    /// Tokens that were recorded, settled, or kept as estimated.
    pub total_tokens_used: u64,
    /// Requests that the minute has room for. This and the next fields are `u64::MAX` where there
    /// is no such limit.
    pub requests_remaining_minute: u64,
    /// Requests that the hour has room for.
    pub requests_remaining_hour: u64,
    /// Requests that the day has room for; `None` without a limit per day.
    pub requests_remaining_day: Option<u64>,
    /// Requests that may be made at once, if the minute, hour and day have room.
    pub burst_remaining: u64,
    /// Tokens available in the limit per minute; 0 while in debt.
    pub tokens_remaining_minute: u64,
    /// Tokens available in the limit per day; `None` without such a limit.
    pub tokens_remaining_day: Option<u64>,
    /// Permits that are neither settled nor dropped.
    pub in_flight: u64,
    /// Permits of any limit that were charged for a refused or canceled call and could not be
    /// returned, because later calls had been decided on top of them.
    ///
    /// A call that is refused in a race may forfeit tokens as well. [`Combined`](crate::Combined)
    /// describes what cannot be counted.
    pub forfeited: u64,
    /// Values in header fields about limits that could not be read. With a provider that is known,
    /// it stays 0.
    pub unreadable: u64,
}

/// Counts admitted requests and used tokens.
#[derive(Debug)]
pub(super) struct Totals {
    admitted: CountPerThread,
    /// Of those that were admitted.
    undone: AtomicU64,
    tokens: AtomicU64,
    unreadable: AtomicU64,
}

impl Totals {
    pub(super) fn zero() -> Self {
        Self {
            admitted: CountPerThread::zero(),
            undone: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
        }
    }

    pub(super) fn requests(&self) -> u64 {
        // Relaxed: a counter that guards no memory. Saturates, because calls go on meanwhile.
        let undone = self.undone.load(Relaxed);
        self.admitted.sum().saturating_sub(undone)
    }

    pub(super) fn tokens(&self) -> u64 {
        // Relaxed: as in `requests`.
        self.tokens.load(Relaxed)
    }

    #[inline]
    pub(super) fn add_requests(&self, n: u64) {
        self.admitted.add(n);
    }

    /// Subtracts requests that were undone. Saturates, because the charge may be another limiter's.
    pub(super) fn subtract_requests(&self, n: u64) {
        // Relaxed: as in `requests`. The closure always returns a value, so the result carries
        // nothing.
        let _ = self.undone.fetch_update(Relaxed, Relaxed, |undone| {
            Some(undone.saturating_add(n).min(self.admitted.sum()))
        });
    }

    pub(super) fn unreadable(&self) -> u64 {
        // Relaxed: as in `requests`.
        self.unreadable.load(Relaxed)
    }

    #[cfg(feature = "http")]
    pub(super) fn add_unreadable(&self, n: u64) {
        if n > 0 {
            add_saturating(&self.unreadable, n);
        }
    }

    pub(super) fn add_tokens(&self, n: u64) {
        add_saturating(&self.tokens, n);
    }
}
