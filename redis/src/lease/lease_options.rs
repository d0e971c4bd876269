//! How leases are taken.

use core::time::Duration;

use crate::lease::leased_token_bucket::nanos;

/// How a [`LeasedTokenBucket`](crate::LeasedTokenBucket) takes tokens from its bucket.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct LeaseOptions {
    pub(crate) lasts: Duration,
    pub(crate) interval: Duration,
    pub(crate) most: u64,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl LeaseOptions {
    /// Leases of two seconds, asked for every 10 ms at most, of as much as the demand of the last of these takes.
    pub const fn new() -> Self {
        Self {
            lasts: Duration::from_secs(2),
            interval: Duration::from_millis(10),
            most: u64::MAX,
        }
    }

    /// How long a node may spend what it was granted. Two seconds by default, at least 10 ms, at most an hour.
    ///
    /// What a node that dies holds is lost until then, and after that long without the server a node admits nothing but what its
    /// [`FailurePolicy`](crate::FailurePolicy) lets it. Nodes stop a hundredth of it earlier, 5 ms at least, in case their clocks run
    /// slower than the server's.
    pub const fn ttl(mut self, time: Duration) -> Self {
        self.lasts = time;
        self
    }

    /// How often a node asks for more while there is not enough for all, so that what flows in is taken by the batch. 10 ms by default,
    /// at least a millisecond, at most an hour. Callers who wait do so up to this much longer; the server has at most one call per interval
    /// and node.
    pub const fn refill_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The largest batch. Whatever it is, none makes the leases of all nodes hold more than half of the
    /// capacity; beyond that a node gets only what a call waits for.
    pub const fn max_batch(mut self, tokens: u64) -> Self {
        self.most = tokens;
        self
    }

    /// In microseconds, for the server.
    pub(crate) fn ttl_us(&self) -> u64 {
        // At most an hour.
        u64::try_from(self.lasts.as_micros()).unwrap_or(u64::MAX)
    }

    /// In nanoseconds: at most an hour.
    pub(crate) fn ttl_ns(&self) -> u64 {
        nanos(self.lasts)
    }

    /// In nanoseconds: at most an hour.
    pub(crate) fn interval_ns(&self) -> u64 {
        nanos(self.interval)
    }

    /// What may be, of what was said.
    pub(crate) fn within_bounds(self) -> Self {
        Self {
            lasts: self.lasts.clamp(SHORTEST, LONGEST),
            interval: self.interval.clamp(Duration::from_millis(1), LONGEST),
            most: self.most.max(1),
        }
    }
}

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3_600);
