//! How a semaphore keeps its permits.

use core::time::Duration;

use crate::policy::FailurePolicy;
use crate::time::nanos;

/// Options of a [`RedisSemaphore`](crate::RedisSemaphore).
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct SemaphoreOptions {
    ttl: Duration,
    poll_interval: Duration,
    pub(crate) policy: FailurePolicy,
    empty_for: Option<Duration>,
}

impl Default for SemaphoreOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SemaphoreOptions {
    /// Returns the defaults: permits that end 10 s after their node dies, and a look at the server
    /// every 20 ms while calls wait.
    pub const fn new() -> Self {
        Self {
            ttl: Duration::from_secs(10),
            poll_interval: Duration::from_millis(20),
            policy: FailurePolicy::Closed,
            empty_for: None,
        }
    }

    /// Sets the time to live: how long the server keeps permits for a node that it does not hear
    /// of. 10 s by default, at least 100 ms, at most an hour.
    ///
    /// The permits of a dead node come back after this long. A node that does not reach the server
    /// loses its permits after this long, less a hundredth and at least 5 ms, in case its clock is
    /// slower than the server's. While it holds permits, it renews all of them together three times
    /// in this time.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets how often a node looks for permits while its calls wait, give or take a quarter. 20 ms
    /// by default, at least a millisecond, at most a quarter of the time to live. What comes back
    /// on the same node is asked for again at once.
    pub const fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Sets what to do while the server does not answer. [`FailurePolicy::Closed`] by default.
    ///
    /// The share of [`FailurePolicy::Local`] is the limit divided by the number of nodes, at least
    /// 1, less all permits that this node has out.
    pub const fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Treats a semaphore that the server does not have as used up for `time`, which must be at
    /// least the [time to live](Self::ttl) of all nodes. Nodes keep what they hold. By default all
    /// permits of such a semaphore are there.
    ///
    /// With this option a server that lost its data admits nothing beyond what is out. The price:
    /// the first permit comes after `time`, and the key never expires.
    pub const fn start_empty(mut self, time: Duration) -> Self {
        self.empty_for = Some(time);
        self
    }

    /// The time to live in microseconds.
    pub(crate) fn ttl_us(&self) -> u64 {
        nanos(self.ttl) / 1_000
    }

    /// How long permits are held after the instant of a request, in nanoseconds.
    pub(crate) fn hold_ns(&self) -> u64 {
        let ttl = nanos(self.ttl);
        // A hundredth for clocks of different speed, and 5 ms for adjustments of clocks.
        ttl - (ttl / 100).max(5_000_000)
    }

    /// How long after a request the permits are renewed, in nanoseconds.
    pub(crate) fn renewal_ns(&self) -> u64 {
        nanos(self.ttl) / 3
    }

    /// How soon a request that failed is repeated at the latest, in nanoseconds: often enough to
    /// renew the permits before they end.
    pub(crate) fn retry_ns(&self) -> u64 {
        self.renewal_ns() / 4
    }

    /// How long the server may keep a record after a request, in nanoseconds of the node's clock.
    pub(crate) fn late_ns(&self) -> u64 {
        // A quarter more for clocks of different speed.
        nanos(self.ttl) / 4 * 5
    }

    /// For how long the server keeps the turn of a node that waits, in microseconds.
    ///
    /// Ten polls, so that a late one does not lose the turn, and two requests: the answer to one
    /// and the next one may each take as long as the store waits. A turn never outlasts the lease.
    pub(crate) fn waits_for_us(&self, timeout: Duration) -> u64 {
        let polls = self.poll_ns().saturating_mul(10);
        let requests = nanos(timeout).saturating_mul(2);
        (polls.saturating_add(requests) / 1_000).min(self.ttl_us())
    }

    /// The poll interval in nanoseconds: at most a quarter of an hour.
    pub(crate) fn poll_ns(&self) -> u64 {
        nanos(self.poll_interval)
    }

    /// How long an absent semaphore counts as used up, in microseconds.
    pub(crate) fn empty_for_us(&self) -> u64 {
        let us = self.empty_for.map_or(0, |time| nanos(time) / 1_000);
        let is_set = self.empty_for.is_some();
        us.max(is_set.into())
    }

    /// Clamps to the supported range.
    pub(crate) fn clamped(self) -> Self {
        let ms = Duration::from_millis;
        let ttl = self.ttl.clamp(ms(100), Duration::from_secs(3_600));
        Self {
            ttl,
            poll_interval: self.poll_interval.clamp(ms(1), ttl / 4),
            ..self
        }
    }
}
