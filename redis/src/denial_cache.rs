//! A cache of denials, so that repeated calls cost no round trips.

use core::fmt;
use core::time::Duration;

use quick_cache::sync::Cache;

use crate::time;

/// The last denial of each key.
pub(crate) struct DenialCache {
    denials: Cache<Vec<u8>, CachedDenial>,
    max_age: Duration,
}

#[derive(Clone)]
struct CachedDenial {
    until: u64,
    index: usize,
    cost: u64,
}

impl DenialCache {
    /// Keeps denials of at most `keys` keys, each for at most `max_age`; zero keeps none.
    pub(crate) fn new(keys: usize, max_age: Duration) -> Self {
        Self {
            denials: Cache::new(keys),
            max_age,
        }
    }

    /// Returns the limit that still denies a call of these costs, and for how long.
    pub(crate) fn get(&self, key: &[u8], costs: &[u64]) -> Option<(usize, Duration)> {
        if self.max_age.is_zero() {
            return None;
        }
        let CachedDenial { until, index, cost } = self.denials.get(key)?;
        let wait = time::until(until);
        // A call that costs this limit less may fit.
        (!wait.is_zero() && costs[index] >= cost).then_some((index, wait))
    }

    /// Caches the denial of a call that was sent at `sent`.
    pub(crate) fn insert(
        &self,
        key: &[u8],
        costs: &[u64],
        sent: u64,
        index: usize,
        wait: Duration,
    ) {
        if self.max_age.is_zero() {
            return;
        }
        let wait = time::nanos(wait.min(self.max_age));
        let denial = CachedDenial {
            // From when the call was sent, so that it ends no later than the server's own.
            until: sent.saturating_add(wait),
            index,
            cost: costs[index],
        };
        self.denials.insert(key.to_vec(), denial);
    }

    pub(crate) fn remove(&self, key: &[u8]) {
        self.denials.remove(key);
    }
}

impl fmt::Debug for DenialCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenialCache")
            .field("denials", &self.denials.len())
            .field("max_age", &self.max_age)
            .finish()
    }
}
