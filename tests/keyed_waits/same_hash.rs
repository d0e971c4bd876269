//! Keys with the same hash share the order of a queue, and nothing else.

use core::hash::{BuildHasher, Hasher};

use tidegate::{Clock, FixedKeyed, Keyed, ManualClock, Timestamp};

use crate::waiters::Waiters;
use crate::{SECOND, bucket, per_second};

/// The same hash for all keys.
#[derive(Clone, Copy)]
struct Same;

impl Hasher for Same {
    fn finish(&self) -> u64 {
        7
    }

    fn write(&mut self, _: &[u8]) {}
}

impl BuildHasher for Same {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

#[test]
fn keys_with_the_same_hash_keep_their_limiters() {
    let clock = ManualClock::new();
    let time = clock.clone();
    let table = Keyed::builder(move |_: &u64| bucket(per_second(1), &time))
        .hasher(Same)
        .build();
    for key in 0..4 {
        table.try_acquire(&key, 1).unwrap();
    }
    let mut waiters = Waiters::at(&table, &clock);
    for number in 0..12 {
        waiters.join(number % 4, 1);
    }
    assert_eq!((table.waiting(), table.at(&0).waiting()), (12, 12));
    waiters.finish();
    // Each has its own rate: four per second in all.
    assert!(waiters.admitted().into_iter().eq(0..12));
    assert_eq!(clock.now(), Timestamp::ZERO + 3 * SECOND);
    for key in 0..4 {
        assert_eq!(table.available(&key), 0);
    }
}

/// In a table of fixed size they share the bucket as well.
#[test]
fn fixed_table_of_one_hash() {
    let clock = ManualClock::new();
    let table = FixedKeyed::with_clock_and_hasher(per_second(1), 100, clock.clone(), Same);
    let mut waiters = Waiters::at(&table, &clock);
    for key in 0..5 {
        waiters.join(key, 1);
    }
    waiters.finish();
    assert!(waiters.admitted().into_iter().eq(0..5));
    assert_eq!(clock.now(), Timestamp::ZERO + 4 * SECOND);
}
