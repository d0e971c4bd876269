//! What a limiter does without its server.

use core::num::NonZeroU32;

/// What a limiter does while the server does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// Refuses calls with [`AcquireError::Unavailable`](crate::AcquireError::Unavailable). The
    /// global bound holds.
    #[default]
    Closed,
    /// Admits everything. For limits where an outage would be worse than a breach.
    Open,
    /// Admits this node's share: the quota divided by the number of nodes, its burst at least 1. Of
    /// a window, the limit divided by the number of nodes, at least 1.
    ///
    /// The share is also charged for what the server admits, so a busy node does not start an
    /// outage with a full burst. If at most `nodes` nodes share the limit, and `nodes` is at most
    /// its capacity, then:
    ///
    /// * All shares together admit no more than the quota.
    /// * Across an outage that all nodes see alike, at most 2 · capacity + rate · (b − a) is
    ///   admitted in `[a, b]`, and at most twice the limit of a window.
    /// * While only some nodes reach the server, at most 2 · (capacity + rate · (b − a)), and at
    ///   most twice the limit of a window.
    /// * A node that restarts has a new share.
    ///
    /// A [`RedisTokenBucket`](crate::RedisTokenBucket), its leases, a
    /// [`RedisSlidingWindow`](crate::RedisSlidingWindow) and a
    /// [`RedisCombined`](crate::RedisCombined) report these charges with their next call once the
    /// server is back. Tables do not, so their buckets refill during an outage. With several
    /// outages in `[a, b]` they admit up to 2 · (capacity + rate · (b − a)).
    Local {
        /// How many nodes share the limit.
        nodes: NonZeroU32,
    },
}
