//! Until when the permits of a node are surely its own.
//!
//! # State
//!
//! One word: the instant in nanoseconds of the node's clock until which the server keeps the
//! permits for this node, or 0 once they are lost.
//!
//! # Invariants
//!
//! 1. A reader that finds the instant passed makes the permits lost, before it says so
//!    (`silent_reader`).
//! 2. Lost permits stay lost: an extension replaces only an instant that has not passed
//!    (`late_extension`). So once a thread has learned that a permit is not held, no thread finds
//!    it held again, also if the server's answer arrives meanwhile.
//!
//! # Orderings
//!
//! All Relaxed. The word guards no other memory, and both invariants need only its modification
//! order: no exchange replaces 0 (`stored_extension`).
//!
//! The names in parentheses are mutants in `loom-tests/src/mutants/`.
//!
//! # Progress
//!
//! Lock-free.

use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;

/// See the [module](self) documentation.
#[derive(Debug)]
pub(crate) struct HoldDeadline(AtomicU64);

const LOST: u64 = 0;

impl HoldDeadline {
    /// Permits that are held until an instant, at least 1.
    pub(crate) fn until(deadline: u64) -> Self {
        Self(AtomicU64::new(deadline.max(1)))
    }

    /// Returns the instant until which the permits are held; `None` if they are lost.
    pub(crate) fn get(&self, now: u64) -> Option<u64> {
        // Relaxed: only the modification order counts, here and below.
        let mut deadline = self.0.load(Relaxed);
        loop {
            if deadline == LOST {
                return None;
            }
            if now < deadline {
                return Some(deadline);
            }
            match self.0.compare_exchange(deadline, LOST, Relaxed, Relaxed) {
                Ok(_) => return None,
                Err(extended) => deadline = extended,
            }
        }
    }

    /// Extends the hold to a later instant. Returns whether the permits are held.
    pub(crate) fn extend(&self, until: u64, now: u64) -> bool {
        // Relaxed: as above.
        let mut deadline = self.0.load(Relaxed);
        loop {
            if deadline == LOST {
                return false;
            }
            let next = if now < deadline {
                deadline.max(until)
            } else {
                LOST
            };
            match self.0.compare_exchange(deadline, next, Relaxed, Relaxed) {
                Ok(_) => return next != LOST,
                Err(other) => deadline = other,
            }
        }
    }

    /// Makes the permits lost.
    pub(crate) fn lose(&self) {
        // Relaxed: as above.
        self.0.store(LOST, Relaxed);
    }
}
