//! What a node admits of each limit without the server.

use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use tidegate::{Denied, Keyed, Quota, SlidingWindow, TokenBucket};

use crate::error::BuildError;
use crate::shared_limit::{LimitKind, SharedLimit};

/// The most keys for which a table keeps shares.
const MAX_SHARE_KEYS: usize = 100_000;

/// This node's share of each limit, for every key.
#[derive(Debug)]
pub(crate) struct LocalShares {
    tables: Box<[ShareTable]>,
    nodes: NonZeroU32,
}

#[derive(Debug)]
enum ShareTable {
    Buckets(Box<Keyed<Vec<u8>, TokenBucket>>),
    Windows(Box<Keyed<Vec<u8>, SlidingWindow>>),
}

/// Returns the share of one of `nodes`.
pub(crate) fn share(quota: Quota, nodes: NonZeroU32) -> Result<Quota, BuildError> {
    let period = quota.period().checked_mul(nodes.get());
    let period = period.filter(|period| *period < Duration::from_nanos(u64::MAX));
    let rate = Quota::new(quota.rate(), period.ok_or(BuildError::TooManyNodes)?);
    let burst = part(quota.capacity(), nodes);
    rate.and_then(|rate| rate.try_burst(burst))
        .map_err(|_| BuildError::TooManyNodes)
}

/// Returns the part of one of `nodes`, at least 1.
pub(crate) fn part(limit: u64, nodes: NonZeroU32) -> u64 {
    (limit / u64::from(nodes.get())).max(1)
}

/// This node's share of one limit in its API limiters. Those with the same number of nodes have one
/// together, as they have one limit on the server.
#[derive(Debug, Default)]
pub(crate) struct ApiShares(Mutex<Vec<(NonZeroU32, ApiShare)>>);

#[derive(Clone, Debug)]
pub(crate) enum ApiShare {
    Bucket(Arc<TokenBucket>),
    Window(Arc<SlidingWindow>),
}

impl ApiShares {
    /// Returns the share of one of `nodes`, which the first caller makes.
    pub(crate) fn get(
        &self,
        nodes: NonZeroU32,
        make: impl FnOnce() -> Result<ApiShare, BuildError>,
    ) -> Result<ApiShare, BuildError> {
        // A panic while it is locked leaves it as it was.
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, share)) = shares.iter().find(|(of, _)| *of == nodes) {
            return Ok(share.clone());
        }
        let share = make()?;
        shares.push((nodes, share.clone()));
        Ok(share)
    }
}

impl ShareTable {
    fn new(limit: SharedLimit, nodes: NonZeroU32) -> Result<Self, BuildError> {
        match limit.0 {
            LimitKind::Bucket(quota) => {
                let share = share(quota, nodes)?;
                let table = Keyed::builder(move |_: &Vec<u8>| TokenBucket::new(share));
                let table = table.max_keys(MAX_SHARE_KEYS).build();
                Ok(Self::Buckets(Box::new(table)))
            }
            LimitKind::Window { limit, length } => {
                let share = part(limit, nodes);
                // Whether a window can be made depends on these two numbers alone.
                SlidingWindow::new(share, length)?;
                #[expect(clippy::expect_used, reason = "the same was made before")]
                let window = move |_: &Vec<u8>| SlidingWindow::new(share, length).expect("valid");
                let table = Keyed::builder(window).max_keys(MAX_SHARE_KEYS).build();
                Ok(Self::Windows(Box::new(table)))
            }
        }
    }

    fn peek(&self, key: &[u8], cost: u64) -> Result<(), Denied> {
        match self {
            Self::Buckets(table) => table.peek(key, cost),
            Self::Windows(table) => table.peek(key, cost),
        }
    }

    fn try_acquire(&self, key: &[u8], cost: u64) -> Result<(), Denied> {
        match self {
            Self::Buckets(table) => table.try_acquire(key, cost),
            Self::Windows(table) => table.try_acquire(key, cost),
        }
    }

    fn available(&self, key: &[u8]) -> u64 {
        match self {
            Self::Buckets(table) => table.available(key),
            Self::Windows(table) => table.available(key),
        }
    }
}

impl LocalShares {
    pub(crate) fn new(
        limits: impl Iterator<Item = SharedLimit>,
        nodes: NonZeroU32,
    ) -> Result<Self, BuildError> {
        let tables = limits.map(|limit| ShareTable::new(limit, nodes));
        Ok(Self {
            tables: tables.collect::<Result<_, BuildError>>()?,
            nodes,
        })
    }

    /// Changes the shares of one bucket. What is left of them stays, so a change is no free burst.
    ///
    /// # Errors
    ///
    /// If the share is too small.
    pub(crate) fn set_quota(&self, index: usize, quota: Quota) -> Result<(), BuildError> {
        let share = share(quota, self.nodes)?;
        if let ShareTable::Buckets(table) = &self.tables[index] {
            table.set_factory(move |_: &Vec<u8>| TokenBucket::new(share));
        }
        Ok(())
    }

    /// Returns whether shares of this quota are not too small.
    pub(crate) fn supports(&self, quota: Quota) -> bool {
        share(quota, self.nodes).is_ok()
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
