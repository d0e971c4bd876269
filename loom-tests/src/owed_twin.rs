//! A twin of what was admitted without the server, with a switch for each thing that can be wrong.

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::Relaxed;

use crate::owed_models::Owes;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// A cost is added by a load and a store.
    AddedByStore,
    /// What is owed is taken by a load and a store.
    TakenByStore,
    /// What does not arrive does not come back.
    Forgotten,
    /// What arrives comes back as well.
    KeptWhenReported,
}

pub struct Twin<const FLAW: u8>(AtomicU64);

impl<const FLAW: u8> Twin<FLAW> {
    fn is(flaw: Flaw) -> bool {
        FLAW == flaw as u8
    }
}

impl<const FLAW: u8> Owes for Twin<FLAW> {
    fn new() -> &'static Self {
        Box::leak(Box::new(Self(AtomicU64::new(0))))
    }

    fn add(&self, cost: u64) {
        if Self::is(Flaw::AddedByStore) {
            let sum = self.0.load(Relaxed) + cost;
            self.0.store(sum, Relaxed);
        } else {
            self.0.fetch_add(cost, Relaxed);
        }
    }

    fn send(&self, arrives: bool) -> u64 {
        let seen = self.0.load(Relaxed);
        if seen == 0 {
            return 0;
        }
        let cost = if Self::is(Flaw::TakenByStore) {
            self.0.store(0, Relaxed);
            seen
        } else {
            self.0.swap(0, Relaxed)
        };
        let comes_back = if arrives {
            Self::is(Flaw::KeptWhenReported)
        } else {
            !Self::is(Flaw::Forgotten)
        };
        if comes_back {
            self.add(cost);
        }
        cost
    }
}
