//! A circuit breaker: after a failure, only one probe per interval reaches the server until it
//! answers.
//!
//! # State
//!
//! One word. Closed: twice the number of times that the breaker was closed. Open: the instant of
//! the next probe, in nanoseconds of the store's clock, with the lowest bit set.
//!
//! # Invariants
//!
//! 1. The call that opens the breaker starts the only task that writes until it is closed again.
//! 2. A call opens the breaker only from the word that it loaded before it asked the server. So a
//!    failure from before the last successful probe opens nothing, however late it is noticed.
//!
//! # Orderings
//!
//! All Relaxed. The word guards no other memory, and its modification order alone allows one probe
//! per interval. The call that opened the breaker spawns the task that writes while it is open.

use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;

/// See the [module](self) documentation.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    word: AtomicU64,
}

/// The word of a closed breaker, as a call loaded it before it asked the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClosedState(u64);

impl Breaker {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Returns the closed state, or the instant of the next probe as the error.
    #[inline]
    pub(crate) fn check(&self) -> Result<ClosedState, u64> {
        // Relaxed: a call that loads an older word goes ahead, but its failure opens nothing.
        let word = self.word.load(Relaxed);
        if word & 1 == 0 {
            Ok(ClosedState(word))
        } else {
            Err(word)
        }
    }

    /// Returns the instant of the next probe if the breaker is open.
    #[inline]
    pub(crate) fn open_until(&self) -> Option<u64> {
        self.check().err()
    }

    /// Opens the breaker after a failed call. Returns whether this call is the one that opened it.
    pub(crate) fn open(&self, seen: ClosedState, until: u64) -> bool {
        // Relaxed: only the modification order counts; another closed state makes the exchange
        // fail.
        self.word
            .compare_exchange(seen.0, until | 1, Relaxed, Relaxed)
            .is_ok()
    }

    /// Sets the instant of the next probe after one that failed.
    pub(crate) fn postpone(&self, until: u64) {
        // Relaxed: only the one probe task writes while the breaker is open.
        self.word.store(until | 1, Relaxed);
    }

    /// Closes the breaker. For the probe task, with the state that the call saw that started it.
    pub(crate) fn close(&self, seen: ClosedState) {
        // Relaxed: the new word differs from every earlier one, so no older state can open it.
        self.word.store(seen.0.wrapping_add(2), Relaxed);
    }
}
