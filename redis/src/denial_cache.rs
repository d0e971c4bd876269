//! A cache of denials, so that repeated calls cost no round trips.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::scaled_limit::LimitState;
use crate::time;

/// The last denial of each key.
pub(crate) struct DenialCache {
    denials: Cache<Vec<u8>, CachedDenial>,
    max_age: Duration,
}

#[derive(Clone)]
struct CachedDenial {
    until: u64,
    /// The server is asked again from then on.
    forgotten_at: u64,
    index: usize,
    cost: u64,
    sent: u64,
    states: Arc<[LimitState]>,
}

/// A denial as it is now.
pub(crate) struct PresentDenial {
    /// The limit that denies the call.
    pub(crate) index: usize,
    pub(crate) wait: Duration,
    /// The state of each limit, if no other call was admitted since.
    pub(crate) states: Arc<[LimitState]>,
}

impl DenialCache {
    /// Keeps denials of at most `keys` keys, each for at most `max_age`; zero keeps none.
    pub(crate) fn new(keys: usize, max_age: Duration) -> Self {
        Self {
            denials: Cache::new(keys),
            max_age,
        }
    }

    /// Returns the denial that still holds for a call of these costs.
    pub(crate) fn get(&self, key: &[u8], costs: &[u64]) -> Option<PresentDenial> {
        if self.max_age.is_zero() {
            return None;
        }
        let denial = self.denials.get(key)?;
        let now = time::now();
        // A call that costs this limit less may fit.
        let holds =
            now < denial.until.min(denial.forgotten_at) && costs[denial.index] >= denial.cost;
        let elapsed_us = now.saturating_sub(denial.sent) / 1_000;
        let aged = |state: &LimitState| state.after(elapsed_us);
        holds.then(|| PresentDenial {
            index: denial.index,
            wait: Duration::from_nanos(denial.until - now),
            states: denial.states.iter().map(aged).collect(),
        })
    }

    /// Caches the denial of a call that was sent at `sent`.
    pub(crate) fn insert(
        &self,
        key: &[u8],
        costs: &[u64],
        sent: u64,
        (index, wait): (usize, Duration),
        states: &Arc<[LimitState]>,
    ) {
        if self.max_age.is_zero() {
            return;
        }
        let denial = CachedDenial {
            // From when the call was sent, so that it ends no later than the server's own.
            until: sent.saturating_add(time::nanos(wait)),
            forgotten_at: sent.saturating_add(time::nanos(self.max_age)),
            index,
            cost: costs[index],
            sent,
            states: Arc::clone(states),
        };
        self.denials.insert(key.to_vec(), denial);
    }

    /// Forgets all denials: they were under another quota.
    pub(crate) fn clear(&self) {
        self.denials.clear();
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
