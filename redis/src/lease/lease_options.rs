//! How leases are taken.

use core::time::Duration;

use crate::time::nanos;

/// How a [`LeasedTokenBucket`](crate::LeasedTokenBucket) takes tokens from its bucket.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct LeaseOptions {
    ttl: Duration,
    refill_interval: Duration,
    pub(crate) max_batch: u64,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl LeaseOptions {
    /// Returns the defaults: leases of two seconds, refilled every 10 ms at most, and batches that
    /// follow the recent demand.
    pub const fn new() -> Self {
        Self {
            ttl: Duration::from_secs(2),
            refill_interval: Duration::from_millis(10),
            max_batch: u64::MAX,
        }
    }

    /// Sets the time to live of leases: how long a node may spend what it was granted. Two seconds
    /// by default, at least 10 ms, at most an hour.
    ///
    /// What a dead node holds is lost for this long, and up to a quarter more: the server ends
    /// leases together. After this long without the server, a node
    /// admits only what its [`FailurePolicy`](crate::FailurePolicy) allows. Nodes stop a hundredth
    /// of it earlier, at least 5 ms, in case their clocks are slower than the server's.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets how often a node asks for more while tokens are scarce, so that it takes the refill in
    /// batches. 10 ms by default, at least a millisecond, at most half of the time to live.
    ///
    /// Waiters wait up to this much longer. The server gets at most one call per interval and node.
    pub const fn refill_interval(mut self, interval: Duration) -> Self {
        self.refill_interval = interval;
        self
    }

    /// Sets the largest batch. In any case, no batch makes the leases of all nodes hold more than
    /// half of the capacity. Beyond that a node gets only what a call waits for.
    pub const fn max_batch(mut self, tokens: u64) -> Self {
        self.max_batch = tokens;
        self
    }

    /// The time to live in microseconds, for the server: at most an hour.
    pub(crate) fn ttl_us(&self) -> u64 {
        u64::try_from(self.ttl.as_micros()).unwrap_or(u64::MAX)
    }

    /// The time to live in nanoseconds: at most an hour.
    pub(crate) fn ttl_ns(&self) -> u64 {
        nanos(self.ttl)
    }

    /// The refill interval in nanoseconds: at most an hour.
    pub(crate) fn interval_ns(&self) -> u64 {
        nanos(self.refill_interval)
    }

    /// Clamps to the supported range.
    pub(crate) fn clamped(self) -> Self {
        let ms = Duration::from_millis;
        let hour = Duration::from_secs(3_600);
        let ttl = self.ttl.clamp(ms(10), hour);
        Self {
            ttl,
            refill_interval: self.refill_interval.clamp(ms(1), ttl / 2),
            max_batch: self.max_batch.max(1),
        }
    }
}
