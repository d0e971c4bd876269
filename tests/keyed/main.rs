//! Limits by key: every key against a limiter of its own, floods, threads, and factories and keys
//! that panic or call back.

mod factories;
mod floods;
mod full_tables;
mod interface;
mod oracle;
#[path = "../parallel/mod.rs"]
mod parallel;
mod residency;
mod room;
mod script;
mod single_limiters;
mod threads;
mod timelines;

use core::hash::{BuildHasher, Hasher};
use std::hash::DefaultHasher;

use tidegate::{KeyHasher, Limiter, ManualClock, Quota, Timestamp, TokenBucket};

const fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// Returns the same hash function in every run.
const fn hasher() -> KeyHasher {
    KeyHasher::with_seeds([1, 2, 3, 4])
}

/// Creates a bucket whose callers pass the time.
fn bucket(quota: Quota) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(quota, ManualClock::new())
}

/// Puts all keys into one part of a `Keyed`, or into one set of a `FixedKeyed`.
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

/// Returns the capacity of the factory's limiters.
fn capacity_of<L: Limiter>(factory: impl Fn(&u64) -> L) -> u64 {
    factory(&0).capacity()
}
