//! Refusals that are remembered, so that callers who do not wait cost no round trips.

use core::time::Duration;

use quick_cache::sync::Cache;

use crate::store::RedisStore;

/// Refusals by key.
pub(crate) struct DenialCache {
    refusals: Cache<Vec<u8>, CachedDenial>,
    most: Duration,
}

#[derive(Clone)]
struct CachedDenial {
    until: u64,
    index: usize,
    cost: u64,
}

impl DenialCache {
    /// Remembers this many keys, each for at most so long.
    pub(crate) fn new(keys: usize, most: Duration) -> Self {
        Self {
            refusals: Cache::new(keys),
            most,
        }
    }

    /// How long a call for these costs is still refused, and by which limit.
    pub(crate) fn refuses(&self, key: &[u8], costs: &[u64]) -> Option<(usize, Duration)> {
        if self.most.is_zero() {
            return None;
        }
        let refusal = self.refusals.get(key)?;
        let now = RedisStore::now();
        let wait = refusal.until.checked_sub(now).filter(|wait| *wait > 0)?;
        // What costs less there may fit.
        (costs[refusal.index] >= refusal.cost)
            .then_some((refusal.index, Duration::from_nanos(wait)))
    }

    /// Remembers a refusal that was asked for at `asked`.
    pub(crate) fn refused(
        &self,
        key: &[u8],
        costs: &[u64],
        asked: u64,
        index: usize,
        wait: Duration,
    ) {
        if self.most.is_zero() {
            return;
        }
        let wait = u64::try_from(wait.min(self.most).as_nanos()).unwrap_or(u64::MAX);
        let refusal = CachedDenial {
            // From when the server was asked, so that it ends no later than the server's own.
            until: asked.saturating_add(wait),
            index,
            cost: costs[index],
        };
        self.refusals.insert(key.to_vec(), refusal);
    }

    pub(crate) fn forget(&self, key: &[u8]) {
        self.refusals.remove(key);
    }
}

impl core::fmt::Debug for DenialCache {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DenialCache")
            .field("refusals", &self.refusals.len())
            .field("most", &self.most)
            .finish()
    }
}
