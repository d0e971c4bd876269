//! A twin of what a node holds of a lease, with a switch for each thing that can be wrong.

use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::sync::atomic::{AtomicBool, AtomicU64};

use crate::tank_models::{Got, Holds};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// Callers do not look at the deadline.
    NoDeadline,
    /// What is left of a lease that has ended is reported, and stays.
    NotEmptied,
    /// It is taken out by a load and a store.
    EmptiedByStore,
    /// Tokens are taken by a load and a store.
    TakenByStore,
    /// Tokens are added by a load and a store.
    AddedByStore,
    /// The deadline of the next lease is set before what is left of the last is taken out.
    DeadlineFirst,
    /// Who sees a deadline need not see what was done before.
    RelaxedDeadline,
    /// The same, by whoever reads it.
    RelaxedReading,
    /// Two may find that nobody has asked.
    AskedByStore,
    /// A refill leaves it at that somebody has asked.
    AskedForEver,
    /// A refill first says that nobody has asked.
    AskedFirst,
}

pub struct Twin<const FLAW: u8> {
    tokens: AtomicU64,
    deadline: AtomicU64,
    low: AtomicU64,
    asked: AtomicBool,
}

impl<const FLAW: u8> Twin<FLAW> {
    fn is(flaw: Flaw) -> bool {
        FLAW == flaw as u8
    }

    fn has_ended(&self, now: u64) -> bool {
        let ordering = if Self::is(Flaw::RelaxedReading) {
            Relaxed
        } else {
            Acquire
        };
        now >= self.deadline.load(ordering)
    }

    fn take_out(&self, n: u64) -> Option<u64> {
        if Self::is(Flaw::TakenByStore) {
            let left = self.tokens.load(Relaxed).checked_sub(n)?;
            self.tokens.store(left, Relaxed);
            return Some(left);
        }
        let less = |tokens: u64| tokens.checked_sub(n);
        let before = self.tokens.fetch_update(Relaxed, Relaxed, less).ok()?;
        Some(before - n)
    }
}

impl<const FLAW: u8> Holds for Twin<FLAW> {
    fn new() -> &'static Self {
        Box::leak(Box::new(Self {
            tokens: AtomicU64::new(0),
            deadline: AtomicU64::new(0),
            low: AtomicU64::new(0),
            asked: AtomicBool::new(false),
        }))
    }

    fn take(&self, n: u64, now: u64) -> Got {
        if self.has_ended(now) && !Self::is(Flaw::NoDeadline) {
            return Got::Dry;
        }
        match self.take_out(n) {
            None => Got::Dry,
            Some(left) if left <= self.low.load(Relaxed) && self.ask() => Got::Ask,
            Some(_) => Got::Enough,
        }
    }

    fn ask(&self) -> bool {
        if self.asked.load(Relaxed) {
            return false;
        }
        if Self::is(Flaw::AskedByStore) {
            self.asked.store(true, Relaxed);
            return true;
        }
        let asked = self.asked.compare_exchange(false, true, Relaxed, Relaxed);
        asked.is_ok()
    }

    fn left(&self, now: u64) -> u64 {
        if self.has_ended(now) {
            return 0;
        }
        self.tokens.load(Relaxed)
    }

    fn empty(&self) -> u64 {
        if Self::is(Flaw::NotEmptied) {
            return self.tokens.load(Relaxed);
        }
        if Self::is(Flaw::EmptiedByStore) {
            let left = self.tokens.load(Relaxed);
            self.tokens.store(0, Relaxed);
            return left;
        }
        self.tokens.swap(0, Relaxed)
    }

    fn extend(&self, granted: u64, deadline: u64, low: u64) {
        if Self::is(Flaw::AskedFirst) {
            self.asked.store(false, Relaxed);
        }
        if Self::is(Flaw::AddedByStore) {
            let left = self.tokens.load(Relaxed);
            self.tokens.store(left + granted, Relaxed);
        } else {
            self.tokens.fetch_add(granted, Relaxed);
        }
        self.low.store(low, Relaxed);
        let ordering = if Self::is(Flaw::RelaxedDeadline) {
            Relaxed
        } else {
            Release
        };
        self.deadline.store(deadline, ordering);
        if !Self::is(Flaw::AskedForEver) && !Self::is(Flaw::AskedFirst) {
            self.asked.store(false, Relaxed);
        }
    }

    fn replace(&self, granted: u64, deadline: u64) -> u64 {
        if Self::is(Flaw::DeadlineFirst) {
            self.deadline.store(deadline, Release);
            let left = self.empty();
            self.extend(granted, deadline, 0);
            return left;
        }
        let left = self.empty();
        self.extend(granted, deadline, 0);
        left
    }
}
