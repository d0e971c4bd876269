//! What a limiter does without its server.

use core::num::NonZeroU32;
use core::time::Duration;

use tidegate::{Denied, Keyed, Quota, TokenBucket};

use crate::error::BuildError;

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
    /// Admits this node's share: the quota divided by the number of nodes, its burst at least 1.
    ///
    /// The share is also charged for what the server admits, so a busy node does not start an
    /// outage with a full burst. If at most `nodes` nodes share the limit, and `nodes` is at most
    /// its capacity, then:
    ///
    /// * All shares together admit no more than the quota.
    /// * Across an outage that all nodes see alike, at most 2 · capacity + rate · (b − a) is
    ///   admitted in `[a, b]`.
    /// * While only some nodes reach the server, at most 2 · (capacity + rate · (b − a)).
    /// * A node that restarts has a new share.
    ///
    /// A [`RedisTokenBucket`](crate::RedisTokenBucket), its leases and a
    /// [`RedisCombined`](crate::RedisCombined) report these charges with their next call once the
    /// server is back. Tables do not, so their buckets refill during an outage. With several
    /// outages in `[a, b]` they admit up to 2 · (capacity + rate · (b − a)).
    Local {
        /// How many nodes share the limit.
        nodes: NonZeroU32,
    },
}

/// The most keys for which a table keeps shares.
const MAX_SHARE_KEYS: usize = 100_000;

/// This node's share of each limit, for every key.
#[derive(Debug)]
pub(crate) struct LocalShares {
    tables: Box<[Keyed<Vec<u8>, TokenBucket>]>,
}

/// Returns the share of one of `nodes`.
pub(crate) fn share(quota: Quota, nodes: NonZeroU32) -> Result<Quota, BuildError> {
    let period = quota.period().checked_mul(nodes.get());
    let period = period.filter(|period| *period < Duration::from_nanos(u64::MAX));
    let rate = Quota::new(quota.rate(), period.ok_or(BuildError::TooManyNodes)?);
    let burst = (quota.capacity() / u64::from(nodes.get())).max(1);
    rate.and_then(|rate| rate.try_burst(burst))
        .map_err(|_| BuildError::TooManyNodes)
}

impl LocalShares {
    pub(crate) fn new(
        quotas: impl Iterator<Item = Quota>,
        nodes: NonZeroU32,
    ) -> Result<Self, BuildError> {
        let table = |quota| {
            let share = share(quota, nodes)?;
            let table = Keyed::builder(move |_: &Vec<u8>| TokenBucket::new(share));
            Ok(table.max_keys(MAX_SHARE_KEYS).build())
        };
        Ok(Self {
            tables: quotas.map(table).collect::<Result<_, BuildError>>()?,
        })
    }

    /// Charges the shares of all limits. The error has the index of the limit that denies the call.
    pub(crate) fn try_acquire(&self, key: &[u8], costs: &[u64]) -> Result<(), (usize, Denied)> {
        let all = || self.tables.iter().zip(costs).enumerate();
        for (index, (table, &cost)) in all() {
            table.peek(key, cost).map_err(|denied| (index, denied))?;
        }
        // If another call takes the second of two shares first, the first was charged for nothing.
        // Then too little is admitted, never too much.
        for (index, (table, &cost)) in all() {
            table
                .try_acquire(key, cost)
                .map_err(|denied| (index, denied))?;
        }
        Ok(())
    }

    /// Charges what the server has admitted, or as much of it as is left.
    pub(crate) fn follow(&self, key: &[u8], costs: &[u64]) {
        for (table, &cost) in self.tables.iter().zip(costs) {
            let cost = cost.min(table.available(key));
            // Another call may take it first. Then the share is empty, as it should be.
            let _ = table.try_acquire(key, cost);
        }
    }
}
