//! Limits by key: every key against a limiter of its own, floods, threads, and what a factory or a key may do wrong.

mod as_alone;
mod factories;
mod floods;
mod interface;
mod oracle;
#[path = "../parallel/mod.rs"]
mod parallel;
mod refusals;
mod room;
mod script;
mod threads;
mod timelines;

use core::hash::{BuildHasher, Hasher};
use core::time::Duration;
use std::hash::DefaultHasher;

use tidegate::{KeyHasher, Limiter, ManualClock, Quota, Timestamp, TokenBucket};

const NANO: Duration = Duration::from_nanos(1);

const fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// The same places in every run.
const fn hasher() -> KeyHasher {
    KeyHasher::with_seeds([1, 2, 3, 4])
}

/// A bucket whose time is what its caller says.
fn bucket(quota: Quota) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(quota, ManualClock::new())
}

/// Puts all keys where one key is: in one part of a `Keyed`, in one set of a `FixedKeyed`.
#[derive(Clone, Copy, Debug)]
struct OneSpot;

#[derive(Default)]
struct InOneSpot(DefaultHasher);

impl BuildHasher for OneSpot {
    type Hasher = InOneSpot;

    fn build_hasher(&self) -> InOneSpot {
        InOneSpot::default()
    }
}

impl Hasher for InOneSpot {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn finish(&self) -> u64 {
        // The bits above choose parts and sets.
        self.0.finish() & ((1 << 45) - 1)
    }
}

/// How much the limiter of a new key would give at once.
fn capacity_of<L: Limiter>(factory: impl Fn(&u64) -> L) -> u64 {
    factory(&0).capacity()
}
