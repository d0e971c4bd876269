//! Factories, keys and visitors that panic, or call back into the map that calls them.

extern crate alloc;

use alloc::sync::Arc;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::panic::catch_unwind;
use std::sync::OnceLock;

use tidegate::{Keyed, ManualClock, Overflow, Quota, TokenBucket};

use crate::{OneSpot, at, bucket};

type Map<K> = Keyed<K, TokenBucket<ManualClock>, OneSpot>;

fn panics<R>(call: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

/// After a factory has panicked for a key, calls for other keys work, and it is called again.
#[test]
fn factory_may_panic() {
    let keyed: Map<u64> = Keyed::builder(|key: &u64| {
        assert!(*key < 100, "no such key");
        bucket(Quota::per_hour(10))
    })
    .max_keys(3)
    .hasher(OneSpot)
    .build();
    for _ in 0..5 {
        // Also for the first key.
        assert!(panics(|| keyed.try_acquire_at(&100, 1, at(0))));
        assert!(panics(|| keyed.peek_at(&100, 1, at(0))));
        assert!(panics(|| keyed.available_at(&100, at(0))));
    }
    for key in 0..3 {
        assert_eq!(
            keyed.try_acquire_at(&key, 10, at(0)),
            Ok(()),
            "room is not lost"
        );
        if key < 2 {
            assert!(panics(|| keyed.try_acquire_at(&100, 1, at(0))));
        }
    }
    // The shared limiter is not made either.
    assert!(panics(|| keyed.try_acquire_at(&100, 1, at(0))));
    assert_eq!(keyed.try_acquire_at(&3, 10, at(0)), Ok(()), "shared");
    assert_eq!((keyed.len(), keyed.stats().keys), (3, 3));
}

/// A key whose comparison panics from 1 000 on.
#[derive(Clone, Copy, Debug)]
struct Touchy(u64);

impl core::hash::Hash for Touchy {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        assert!(self.0 < 1_000 && other.0 < 1_000, "touched");
        self.0 == other.0
    }
}

impl Eq for Touchy {}

/// Hashes all keys alike, so that every call compares.
#[derive(Clone, Copy, Debug)]
struct AllAlike;

impl core::hash::BuildHasher for AllAlike {
    type Hasher = Same;

    fn build_hasher(&self) -> Same {
        Same
    }
}

struct Same;

impl core::hash::Hasher for Same {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        7
    }
}

/// After a comparison has panicked under a lock, the lock is usable and its table is intact.
#[test]
fn comparison_may_panic() {
    let keyed = Keyed::builder(|_: &Touchy| bucket(Quota::per_hour(10)))
        .max_keys(10)
        .hasher(AllAlike)
        .build();
    keyed.try_acquire_at(&Touchy(1), 4, at(0)).expect("new");
    for touchy in [Touchy(1_000), Touchy(1_001)] {
        assert!(panics(|| keyed.try_acquire_at(&touchy, 1, at(0))));
        assert!(panics(|| keyed.peek_at(&touchy, 1, at(0))));
        assert!(panics(|| keyed.remove(&touchy)));
        assert!(panics(|| keyed.contains(&touchy)));
    }
    assert_eq!(keyed.available_at(&Touchy(1), at(0)), 6);
    for key in 2..=10 {
        assert_eq!(keyed.try_acquire_at(&Touchy(key), 10, at(0)), Ok(()));
    }
    assert_eq!((keyed.len(), keyed.stats().keys), (10, 10));
    assert_eq!(keyed.evict_unused_at(at(3_600_000_000_000)), 10);
    assert!(keyed.is_empty());
}

#[test]
fn visitor_may_panic_or_call_back() {
    let keyed: Map<u64> = Keyed::builder(|_: &u64| bucket(Quota::per_hour(10)))
        .hasher(OneSpot)
        .build();
    for key in 0..100 {
        keyed.try_acquire_at(&key, 1, at(0)).expect("new");
    }
    assert!(panics(|| keyed.for_each(|_, _| panic!("seen enough"))));
    let mut seen = 0;
    keyed.for_each(|key, available| {
        assert_eq!(available, 9);
        seen += 1;
        // In the part that is being visited.
        assert_eq!(keyed.try_acquire_at(&(key + 1_000), 1, at(0)), Ok(()));
        assert!(keyed.remove(key));
        keyed.evict_unused();
        keyed.for_each(|_, _| {});
        assert_eq!(keyed.stats().keys, 100);
    });
    assert_eq!((seen, keyed.len()), (100, 100));
}

/// A factory may query and charge another key of its own map, also for the first key and for the
/// shared limiter.
#[test]
fn factory_may_call_back() {
    let own: Arc<OnceLock<Arc<Map<u64>>>> = Arc::default();
    let inner = Arc::clone(&own);
    let calls = Arc::new(AtomicU64::new(0));
    let called = Arc::clone(&calls);
    let keyed = Keyed::builder(move |key: &u64| {
        called.fetch_add(1, SeqCst);
        if *key > 0 {
            // Key 0 is the parent of all.
            let keyed = inner.get().expect("it calls us");
            let parent = keyed.try_acquire_at(&0, 1, at(0));
            assert!(parent.is_ok(), "{parent:?}");
            let _ = keyed.peek_at(&0, 1, at(0));
            keyed.evict_unused();
        }
        bucket(Quota::per_hour(1_000))
    })
    .max_keys(3)
    .overflow(Overflow::Share)
    .hasher(OneSpot)
    .build();
    let keyed = own.get_or_init(|| Arc::new(keyed));
    for key in 1..6 {
        assert_eq!(keyed.try_acquire_at(&key, 1, at(0)), Ok(()), "key {key}");
    }
    assert_eq!(keyed.len(), 3);
    assert_eq!(keyed.stats().overflowed, 3);
    // Once for each key, the parent among them, once for the clock, and once for the shared
    // limiter.
    assert!((4..8).contains(&calls.load(SeqCst)), "{calls:?}");
}
