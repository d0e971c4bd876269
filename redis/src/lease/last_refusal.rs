//! The server's last refusal, so that callers can be told when it is worth trying again.
//!
//! # State
//!
//! Two words, which one task writes: until when, and from which cost on. It is a hint: who reads between the two writes finds an earlier
//! end beside a later cost, never a later end beside an earlier cost, of which it was not said.

use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// See the [module](self) documentation.
#[derive(Debug)]
pub(crate) struct LastRefusal {
    until: AtomicU64,
    cost: AtomicU64,
}

impl LastRefusal {
    #[cfg_attr(
        not(tidegate_loom),
        expect(
            clippy::missing_const_for_fn,
            reason = "loom's atomics are not made in constants"
        )
    )]
    pub(crate) fn new() -> Self {
        Self {
            until: AtomicU64::new(0),
            cost: AtomicU64::new(0),
        }
    }

    /// The server refuses `cost` until then.
    pub(crate) fn set(&self, cost: u64, until: u64) {
        // Relaxed: published by the next store.
        self.cost.store(cost, Relaxed);
        // Release: meets the Acquire in `until`.
        self.until.store(until, Release);
    }

    /// Until when the server refuses `n`, if it said so.
    pub(crate) fn until(&self, n: u64) -> Option<u64> {
        // Acquire: meets the Release in `set`, so that the cost is that of this refusal or of a later one.
        let until = self.until.load(Acquire);
        // Relaxed: see above.
        (n >= self.cost.load(Relaxed)).then_some(until)
    }

    /// Whether it was of more than `n`.
    pub(crate) fn is_above(&self, n: u64) -> bool {
        // Relaxed: a hint.
        self.cost.load(Relaxed) > n
    }
}
