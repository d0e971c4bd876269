//! The number of calls in flight.
//!
//! A call that ends wakes the first waiter of the limiter's queue, where waiters for a free slot
//! stand with all others.

use super::status::{LimitHit, LimitKind, Retry};
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, const_fn};

#[derive(Debug)]
pub(super) struct InFlight {
    /// Relaxed: it guards no memory. The fences of the wait queue order it for a waiter.
    count: AtomicU64,
    limit: Option<u64>,
}

impl InFlight {
    const_fn! {
        pub(super) const fn new(limit: Option<u64>) -> Self {
            Self {
                count: AtomicU64::new(0),
                limit,
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        // Relaxed: see the field.
        self.count.load(Relaxed)
    }

    pub(super) const fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// The refusal of a call that cannot be counted now.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn refusal(&self) -> Option<LimitHit> {
        let limit = self.limit.filter(|&limit| self.count() >= limit);
        limit.map(full)
    }

    /// Counts a call, unless the limit is reached.
    pub(super) fn enter(&self) -> Result<(), LimitHit> {
        let limit = self.limit.unwrap_or(u64::MAX);
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
        limit,
        retry: Retry::OnRelease,
    }
}
