//! How those who waited out a pause are let go: one after the other, not all at its end.
//!
//! After a pause every process that was told the same `Retry-After` would call at the same
//! instant, and find its burst full. So the first waiter goes a random time after the end of the
//! pause, and each that waited with it a random time after the one before. The times are uniform
//! between 0 and the interval of the requests per minute. So on average they go at twice the rate
//! that the limit allows in the long run. What the limits admit is used up all the same, because
//! the burst has refilled in the pause.
//!
//! The times only ever delay. A call that comes after the pause is not delayed, except by those
//! ahead of it in the queue.

use super::RateLimitConfig;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::time::Timestamp;

#[derive(Debug)]
pub(super) struct Ramp {
    /// Nanoseconds on the limiter's clock: the next of those who waited goes then. Until one has
    /// asked since the latest pause began, it is that of an earlier pause: before the end of this
    /// one, or long after it if that one was ended early. Relaxed: it guards no memory, and only
    /// the first waiter asks.
    next: AtomicU64,
    /// Nanoseconds. Relaxed: as above.
    longest_gap: AtomicU64,
}

/// The interval of the requests per minute in nanoseconds; 0 if no limit says how fast to go.
fn longest_gap(config: &RateLimitConfig) -> u64 {
    let gap = config.pace().map_or(0, |(rate, period)| {
        period.as_nanos() / u128::from(rate.max(1))
    });
    u64::try_from(gap).unwrap_or(u64::MAX)
}

impl Ramp {
    pub(super) fn new(config: &RateLimitConfig) -> Self {
        Self {
            next: AtomicU64::new(0),
            longest_gap: AtomicU64::new(longest_gap(config)),
        }
    }

    pub(super) fn reconfigure(&self, config: &RateLimitConfig) {
        // Relaxed: see the field.
        self.longest_gap.store(longest_gap(config), Relaxed);
    }

    fn longest_gap(&self) -> u64 {
        // Relaxed: see the field.
        self.longest_gap.load(Relaxed)
    }

    /// When the first waiter may go, if it came before the end of a pause.
    pub(super) fn next_after(&self, end: Timestamp, now: Timestamp) -> Timestamp {
        let end = end.as_nanos();
        // A later instant was drawn for a pause that was ended early.
        let latest = end.max(now.as_nanos()).saturating_add(self.longest_gap());
        // Relaxed: see the field.
        let next = self.next.load(Relaxed);
        if (end..=latest).contains(&next) {
            return Timestamp::from_nanos(next);
        }
        let first = self.later(Timestamp::from_nanos(end)).as_nanos();
        // Another thread may have asked for a waiter that has left. Its answer holds.
        match self.next.compare_exchange(next, first, Relaxed, Relaxed) {
            Ok(_) => Timestamp::from_nanos(first),
            Err(drawn) => Timestamp::from_nanos(drawn.clamp(end, latest)),
        }
    }

    /// One of those who waited went, decided as of `due`.
    pub(super) fn gone(&self, due: Timestamp) {
        // Relaxed: see the field.
        self.next.fetch_max(self.later(due).as_nanos(), Relaxed);
    }

    fn later(&self, instant: Timestamp) -> Timestamp {
        Timestamp::from_nanos(instant.as_nanos().saturating_add(self.gap()))
    }

    #[cfg(not(tidegate_loom))]
    fn gap(&self) -> u64 {
        fastrand::u64(0..=self.longest_gap())
    }

    /// Models repeat their runs, so nothing is random there.
    #[cfg(tidegate_loom)]
    fn gap(&self) -> u64 {
        self.longest_gap()
    }
}
