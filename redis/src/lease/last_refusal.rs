//! The server's last refusal to grant tokens, which says when it is worth trying again.
//!
//! # State
//!
//! Two words that one task writes: the end of the refusal, and the lowest cost that it covers.
//!
//! # Invariants
//!
//! It is a hint. A reader between the two writes finds an earlier end with a later cost. It never
//! finds a later end with an earlier cost, for which the server did not say so.

use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// See the [module](self) documentation.
#[derive(Debug, Default)]
pub(crate) struct LastRefusal {
    until: AtomicU64,
    cost: AtomicU64,
}

impl LastRefusal {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Records that the server refuses `cost` until then.
    pub(crate) fn set(&self, cost: u64, until: u64) {
        // Relaxed: published by the next store.
        self.cost.store(cost, Relaxed);
        // Release: pairs with the Acquire in `until`.
        self.until.store(until, Release);
    }

    /// Returns the end of the refusal if it covers `n`.
    pub(crate) fn until(&self, n: u64) -> Option<u64> {
        // Acquire: pairs with the Release in `set`, so the cost is that of this refusal or a later
        // one.
        let until = self.until.load(Acquire);
        // Relaxed: see above.
        (n >= self.cost.load(Relaxed)).then_some(until)
    }

    /// Returns whether the refusal was for more than `n`.
    pub(crate) fn is_above(&self, n: u64) -> bool {
        // Relaxed: a hint.
        self.cost.load(Relaxed) > n
    }
}
