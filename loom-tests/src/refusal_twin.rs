//! A twin of the server's last refusal, with a switch for each thing that can be wrong.

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::refusal_models::Refuses;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// The end is written before the cost.
    UntilFirst,
    /// Who sees an end need not see its cost.
    RelaxedUntil,
    /// The same, by whoever reads it.
    RelaxedReading,
}

pub struct Twin<const FLAW: u8> {
    until: AtomicU64,
    cost: AtomicU64,
}

impl<const FLAW: u8> Twin<FLAW> {
    fn is(flaw: Flaw) -> bool {
        FLAW == flaw as u8
    }
}

impl<const FLAW: u8> Refuses for Twin<FLAW> {
    fn new() -> &'static Self {
        Box::leak(Box::new(Self {
            until: AtomicU64::new(0),
            cost: AtomicU64::new(0),
        }))
    }

    fn set(&self, cost: u64, until: u64) {
        if Self::is(Flaw::UntilFirst) {
            self.until.store(until, Release);
        }
        self.cost.store(cost, Relaxed);
        let relaxed = Self::is(Flaw::RelaxedUntil);
        let ordering = if relaxed { Relaxed } else { Release };
        self.until.store(until, ordering);
    }

    fn until(&self, n: u64) -> Option<u64> {
        let relaxed = Self::is(Flaw::RelaxedReading);
        let ordering = if relaxed { Relaxed } else { Acquire };
        let until = self.until.load(ordering);
        (n >= self.cost.load(Relaxed)).then_some(until)
    }
}
