//! A circuit breaker: after a failure, nobody but one probe per interval talks to the server until it answers again.
//!
//! # State
//!
//! One word. While the server answers, how often it was found to do so again, times two; else the instant of the next probe in
//! nanoseconds of the store's clock, with the lowest bit set.
//!
//! # Invariants
//!
//! 1. Whoever opens it is the only one to write until it closes it.
//! 2. A call opens it only from what it has seen before it asked the server. So a failure of before the last probe that succeeded
//!    says nothing, however late it is noticed.
//!
//! # Orderings
//!
//! All Relaxed: the word guards no other memory, and its modification order is enough for one probe per interval. Who writes when
//! it is open was started by who opened it.

use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;

/// See the [module](self) documentation.
#[derive(Debug)]
pub(crate) struct Breaker {
    word: AtomicU64,
}

/// Seen before a call: since when the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClosedState(u64);

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

    /// Whether the server may be asked, or when the next probe is due.
    #[inline]
    pub(crate) fn check(&self) -> Result<ClosedState, u64> {
        // Relaxed: see the module. Who sees an older word lets through a call whose failure opens nothing.
        let word = self.word.load(Relaxed);
        if word & 1 == 0 {
            Ok(ClosedState(word))
        } else {
            Err(word)
        }
    }

    /// When the next probe is due, if the server is not to be asked.
    #[inline]
    pub(crate) fn open_until(&self) -> Option<u64> {
        self.check().err()
    }

    /// The server has failed a call that has seen this. Whether it is the one that opened the breaker.
    pub(crate) fn open(&self, seen: ClosedState, until: u64) -> bool {
        // Relaxed: see the module.
        self.word
            .compare_exchange(seen.0, until | 1, Relaxed, Relaxed)
            .is_ok()
    }

    /// The probe failed as well.
    pub(crate) fn postpone(&self, until: u64) {
        // Relaxed: see the module. Only the one prober writes while it is open.
        self.word.store(until | 1, Relaxed);
    }

    /// The server answers again. For the prober, with what the call had seen that started it.
    pub(crate) fn close(&self, seen: ClosedState) {
        // Relaxed: see the module. Another word than before, so that nobody opens it from that.
        self.word.store(seen.0.wrapping_add(2), Relaxed);
    }
}
