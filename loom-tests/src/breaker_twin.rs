//! A twin of the circuit breaker, with a switch for each thing that can be wrong.

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::Relaxed;

use crate::breaker_models::Breaks;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// It is opened by a load and a store.
    OpenedByStore,
    /// Whoever fails while it is closed opens it, whatever it has seen.
    OpenedAlways,
    /// It is closed as it was before.
    SameWordAgain,
}

pub struct Twin<const FLAW: u8>(AtomicU64);

impl<const FLAW: u8> Twin<FLAW> {
    fn is(flaw: Flaw) -> bool {
        FLAW == flaw as u8
    }
}

impl<const FLAW: u8> Breaks for Twin<FLAW> {
    type Closed = u64;

    fn new() -> &'static Self {
        Box::leak(Box::new(Self(AtomicU64::new(0))))
    }

    fn look(&self) -> Option<u64> {
        let word = self.0.load(Relaxed);
        (word & 1 == 0).then_some(word)
    }

    fn open(&self, seen: u64, until: u64) -> bool {
        if Self::is(Flaw::OpenedByStore) {
            let is_seen = self.0.load(Relaxed) == seen;
            if is_seen {
                self.0.store(until | 1, Relaxed);
            }
            return is_seen;
        }
        let opened = |word: u64| {
            let may = word == seen || (Self::is(Flaw::OpenedAlways) && word & 1 == 0);
            may.then_some(until | 1)
        };
        self.0.fetch_update(Relaxed, Relaxed, opened).is_ok()
    }

    fn postpone(&self, until: u64) {
        self.0.store(until | 1, Relaxed);
    }

    fn close(&self, seen: u64) {
        let next = if Self::is(Flaw::SameWordAgain) { 0 } else { 2 };
        self.0.store(seen + next, Relaxed);
    }
}
