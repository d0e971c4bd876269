//! A circuit breaker: after a failure, nobody but one probe per interval talks to the server until it answers again.
//!
//! # State
//!
//! One word: 0 while the server answers, else the instant of the next probe in nanoseconds of the store's clock, with the lowest
//! bit set, so that it is never 0.
//!
//! # Orderings
//!
//! All Relaxed: the word guards no other memory, and its modification order is enough for one probe per interval.

use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;

/// See the [module](self) documentation.
#[derive(Debug)]
pub(crate) struct Breaker {
    word: AtomicU64,
}

impl Breaker {
    #[cfg_attr(
        not(tidegate_loom),
        expect(
            clippy::missing_const_for_fn,
            reason = "loom's atomics are not made in constants"
        )
    )]
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
        }
    }

    /// When the next probe is due, if the server is not to be asked.
    #[inline]
    pub(crate) fn open_until(&self) -> Option<u64> {
        // Relaxed: see the module.
        match self.word.load(Relaxed) {
            0 => None,
            until => Some(until),
        }
    }

    /// The server has failed. Whether this call is the one that opened the breaker.
    pub(crate) fn open(&self, until: u64) -> bool {
        // Relaxed: see the module.
        self.word
            .compare_exchange(0, until | 1, Relaxed, Relaxed)
            .is_ok()
    }

    /// The probe failed as well.
    pub(crate) fn postpone(&self, until: u64) {
        // Relaxed: see the module. Only the one prober writes while it is open.
        self.word.store(until | 1, Relaxed);
    }

    /// The server answers again.
    pub(crate) fn close(&self) {
        // Relaxed: see the module.
        self.word.store(0, Relaxed);
    }
}
