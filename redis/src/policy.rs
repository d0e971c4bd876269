//! What a limiter does without its server.

use core::num::NonZeroU32;
use core::time::Duration;

use tidegate::{Denied, Keyed, Quota, TokenBucket};

use crate::error::BuildError;

/// What a limiter does while the server does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// Refuse, with [`AcquireError::Unavailable`](crate::AcquireError::Unavailable). The global bound holds.
    #[default]
    Closed,
    /// Admit everything. For limits that protect nothing which an outage is not worse for.
    Open,
    /// Admit this node's share: the quota divided by the number of nodes, its burst at least 1.
    ///
    /// The share's bucket is charged for what the server admits, too, so that a node which was busy does not start with a burst
    /// when the server goes. With no more nodes than was said, and no more than the capacity, the shares together admit no more than the
    /// quota. So across an outage that all nodes see alike at most twice the capacity + rate · (b − a) is admitted in `[a, b]`, and while
    /// some nodes reach the server and others do not, at most 2 · (capacity + rate · (b − a)). A node that starts anew has a share anew.
    ///
    /// A [`RedisTokenBucket`](crate::RedisTokenBucket), its leases and a [`RedisCombined`](crate::RedisCombined) report what they admitted by
    /// themselves with their next call after the server is back, which then counts it. Tables do not: their server refills in an outage as if
    /// nothing had been admitted, so several outages in `[a, b]` admit up to 2 · (capacity + rate · (b − a)).
    Local {
        /// How many nodes share the limit.
        nodes: NonZeroU32,
    },
}

/// How many keys a table has shares for at most.
const MOST_SHARES: usize = 100_000;

/// This node's share of some limits, for every key.
#[derive(Debug)]
pub(crate) struct LocalShares {
    tables: Box<[Keyed<Vec<u8>, TokenBucket>]>,
}

/// A quota for one of `nodes`.
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
            Ok(table.max_keys(MOST_SHARES).build())
        };
        Ok(Self {
            tables: quotas.map(table).collect::<Result<_, BuildError>>()?,
        })
    }

    /// Admits what the shares of all limits do. The index is that of the limit that refuses.
    pub(crate) fn try_acquire(&self, key: &[u8], costs: &[u64]) -> Result<(), (usize, Denied)> {
        let all = || self.tables.iter().zip(costs).enumerate();
        for (index, (table, &cost)) in all() {
            table.peek(key, cost).map_err(|denied| (index, denied))?;
        }
        // Should somebody be faster at the second of two limits, the first has been charged for nothing: too little, never too much.
        for (index, (table, &cost)) in all() {
            table
                .try_acquire(key, cost)
                .map_err(|denied| (index, denied))?;
        }
        Ok(())
    }

    /// Takes what the server has admitted, or what is left.
    pub(crate) fn follow(&self, key: &[u8], costs: &[u64]) {
        for (table, &cost) in self.tables.iter().zip(costs) {
            let cost = cost.min(table.available(key));
            // Somebody may have been faster: then it is empty, which is what it should be.
            let _ = table.try_acquire(key, cost);
        }
    }
}
