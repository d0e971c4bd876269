//! The number of calls in flight.
//!
//! A call that ends wakes the first waiter of the limiter's queue, where waiters for a free slot
//! stand with all others.

use super::refusal::{LimitHit, LimitKind, Retry};
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, const_fn};

#[derive(Debug)]
pub(super) struct InFlight {
    /// Relaxed: it guards no memory. The fences of the wait queue order it for a waiter.
    count: AtomicU64,
    /// `u64::MAX` for none. Relaxed: as the count.
    limit: AtomicU64,
}

const fn most(limit: Option<u64>) -> u64 {
    match limit {
        Some(limit) => limit,
        None => u64::MAX,
    }
}

impl InFlight {
    const_fn! {
        pub(super) const fn new(limit: Option<u64>) -> Self {
            Self {
                count: AtomicU64::new(0),
                limit: AtomicU64::new(most(limit)),
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        // Relaxed: see the field.
        self.count.load(Relaxed)
    }

    /// Sets another limit. Calls that are in flight stay.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn set_limit(&self, limit: Option<u64>) {
        // Relaxed: see the field.
        self.limit.store(most(limit), Relaxed);
    }

    fn limit(&self) -> u64 {
        // Relaxed: see the field.
        self.limit.load(Relaxed)
    }

    pub(super) fn is_limited(&self) -> bool {
        self.limit() != u64::MAX
    }

    /// The refusal of a call that cannot be counted now.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn refusal(&self) -> Option<LimitHit> {
        let limit = self.limit();
        (self.count() >= limit).then(|| full(limit))
    }

    /// Counts a call, unless the limit is reached.
    pub(super) fn enter(&self) -> Result<(), LimitHit> {
        let limit = self.limit();
        let one_more = |count| (count < limit).then_some(count + 1);
        // Relaxed: see the field.
        let entered = self.count.fetch_update(Relaxed, Relaxed, one_more);
        entered.map(drop).map_err(|_| full(limit))
    }

    /// Counts the end of a call.
    pub(super) fn leave(&self) {
        // Relaxed: see the field.
        self.count.fetch_sub(1, Relaxed);
    }
}

const fn full(limit: u64) -> LimitHit {
    LimitHit {
        kind: LimitKind::InFlight,
        name: None,
        limit,
        retry: Retry::OnRelease,
    }
}
