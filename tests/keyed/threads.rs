//! Many threads on the same keys, while keys are evicted, removed, visited and counted.
//!
//! Totals are exact, because no tokens come back within a day, or because the threads themselves
//! advance the clock.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use core::time::Duration;
use std::sync::Barrier;

use tidegate::{
    Clock, FixedKeyed, Keyed, ManualClock, MonotonicClock, Overflow, Quota, SlidingWindow,
    TokenBucket,
};

use crate::parallel::in_parallel;
use crate::{OneSpot, at, bucket};

const DAY: Duration = Duration::from_secs(86_400);
const KEYS: u64 = 8;
const CAPACITY: u64 = 500;

/// Returns how many calls of each key are admitted to six threads that request more than the
/// capacity.
fn admitted(try_acquire: impl Fn(u64) -> bool + Sync, between: impl Fn(u64) + Sync) -> Vec<u64> {
    let admitted: Vec<_> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    in_parallel(6, |thread| {
        for turn in 0..KEYS * CAPACITY / 4 {
            let key = (turn * 7 + thread as u64) % KEYS;
            if try_acquire(key) {
                admitted[usize::try_from(key).expect("few")].fetch_add(1, SeqCst);
            }
            between(turn * 6 + thread as u64);
        }
    });
    admitted.iter().map(|count| count.load(SeqCst)).collect()
}

/// Does all that can happen beside a call.
fn disturb<C: Clock>(keyed: &Keyed<u64, TokenBucket<C>, OneSpot>, turn: u64) {
    let other = 1_000 + turn;
    match turn % 97 {
        0 => assert_eq!(keyed.evict_unused(), 0),
        1 => {
            let mut seen = 0;
            keyed.for_each(|key, _| seen += u64::from(*key < KEYS));
            assert!(seen <= KEYS);
        }
        2 => assert!(keyed.stats().keys >= 1),
        3..20 => {
            let _ = keyed.try_acquire(&other, 1);
        }
        20..37 => {
            keyed.remove(&(other - 17));
        }
        _ => {}
    }
}

#[test]
fn every_key_of_map_admits_exactly_its_capacity() {
    let keyed = Keyed::builder(|_: &u64| {
        TokenBucket::with_clock(Quota::per_day(1).burst(CAPACITY), MonotonicClock)
    })
    .hasher(OneSpot)
    .build();
    let totals = admitted(
        |key| keyed.try_acquire(&key, 1).is_ok(),
        |turn| disturb(&keyed, turn),
    );
    assert_eq!(totals, [CAPACITY; 8]);
}

#[test]
fn every_window_of_map_admits_exactly_its_capacity() {
    let keyed = Keyed::new(|_: &u64| SlidingWindow::new(CAPACITY, DAY).expect("fits"));
    let totals = admitted(
        |key| keyed.try_acquire(&key, 1).is_ok(),
        |turn| {
            if turn % 64 == 0 {
                assert_eq!(keyed.evict_unused(), 0);
            }
        },
    );
    assert_eq!(totals, [CAPACITY; 8]);
}

/// Other keys compete for seven entries.
#[test]
fn every_key_of_table_admits_exactly_its_capacity() {
    let quota = Quota::new(1, DAY).expect("valid").burst(CAPACITY + 1);
    let table = FixedKeyed::with_clock_and_hasher(quota, 8, ManualClock::new(), OneSpot)
        .overflow(Overflow::Refuse);
    for key in 0..KEYS {
        table.try_acquire(&key, 1).expect("an entry");
    }
    let totals = admitted(
        |key| table.try_acquire(&key, 1).is_ok(),
        |turn| {
            let _ = table.try_acquire(&(1_000 + turn % 50), 1);
            assert!(table.stats().active <= 15);
        },
    );
    assert_eq!(totals, [CAPACITY; 8]);
    assert_eq!(table.stats().active, 15);
}

/// The clock advances by a token at a time, so keys become full, are evicted and come back all the
/// time. No key gets more than its capacity and what was refilled.
#[test]
fn evicted_keys_get_no_more_than_is_refilled() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(1).burst(3);
    let time = clock.clone();
    let keyed = Keyed::builder(move |_: &u64| TokenBucket::with_clock(quota, time.clone()))
        .hasher(OneSpot)
        .build();
    let table = FixedKeyed::with_clock_and_hasher(quota, 8, clock.clone(), OneSpot);
    let clock = &clock;
    for run in 0..2 {
        let start = clock.now();
        let totals = in_parallel(4, |thread| {
            let mut taken = [0_u64; 12];
            for turn in 0..6_000_u64 {
                if thread == 0 && turn % 8 == 0 {
                    clock.advance(Duration::from_secs(1));
                }
                let key = (turn + thread as u64) % 12;
                let admitted = if run == 0 {
                    keyed.try_acquire(&key, 1).is_ok()
                } else {
                    table.try_acquire(&key, 1).is_ok()
                };
                taken[usize::try_from(key).expect("few")] += u64::from(admitted);
                if run == 0 && turn % 50 == 0 {
                    keyed.evict_unused();
                }
            }
            taken
        });
        let passed = (clock.now() - start).as_secs();
        for key in 0..12 {
            let taken: u64 = totals.iter().map(|taken| taken[key]).sum();
            assert!(taken <= 3 + passed, "run {run}: {taken} in {passed} s");
        }
    }
    assert_eq!(table.stats().overflowed, 0);
    // The threads may have been too busy to find one unused.
    clock.advance(Duration::from_secs(3_600));
    keyed.evict_unused();
    let stats = keyed.stats();
    assert!(stats.evicted > 0, "no key was evicted");
    assert_eq!(stats.created - stats.evicted, stats.keys);
}

/// All threads bring the same new key at once. They share one limiter, and no call overflows, even
/// if there is room for that one key only.
#[test]
fn new_key_of_all_threads_has_one_limiter() {
    const ROUNDS: u64 = 20_000;
    for max_keys in [1, 100_000] {
        let keyed = Keyed::builder(|_: &u64| bucket(Quota::per_day(4)))
            .max_keys(max_keys)
            .overflow(Overflow::Refuse)
            .build();
        let gate = Barrier::new(6);
        let totals = in_parallel(6, |thread| {
            let round = |key| {
                gate.wait();
                let admitted = keyed.try_acquire_at(&key, 1, at(0)).is_ok();
                gate.wait();
                if max_keys == 1 && thread == 0 {
                    assert!(keyed.remove(&key));
                }
                admitted
            };
            (0..ROUNDS).map(round).collect::<Vec<bool>>()
        });
        for round in 0..usize::try_from(ROUNDS).expect("few") {
            let admitted = totals.iter().filter(|thread| thread[round]).count();
            assert_eq!(admitted, 4, "round {round} of {max_keys} keys");
        }
        assert_eq!(keyed.stats().overflowed, 0, "there was room for the key");
    }
}

/// A call for more than the capacity takes no room, not even for a moment, so another key gets the
/// last room. With several parts, because the lock of a single part would hide that moment.
#[test]
fn call_for_more_than_capacity_blocks_no_other_key() {
    const ROOM: u64 = 256;
    let keyed = Keyed::builder(|_: &u64| bucket(Quota::per_day(4)))
        .max_keys(256)
        .overflow(Overflow::Refuse)
        .build();
    for key in 1..ROOM {
        keyed.try_acquire_at(&key, 1, at(0)).expect("room");
    }
    in_parallel(3, |thread| {
        for turn in 0..20_000_u64 {
            if thread > 0 {
                assert!(keyed.try_acquire_at(&(ROOM + turn), 5, at(0)).is_err());
            } else {
                assert_eq!(keyed.try_acquire_at(&0, 1, at(0)), Ok(()), "turn {turn}");
                assert!(keyed.remove(&0));
            }
        }
    });
}

/// While threads add, remove and evict keys, there are never more than `max_keys`.
#[test]
fn there_are_never_more_than_max_keys() {
    const MAX_KEYS: usize = 500;
    let clock = ManualClock::new();
    let time = clock.clone();
    let keyed =
        Keyed::builder(move |_: &u64| TokenBucket::with_clock(Quota::per_second(1), time.clone()))
            .max_keys(MAX_KEYS)
            .build();
    let done = AtomicBool::new(false);
    let most = in_parallel(4, |thread| {
        if thread == 0 {
            let mut most = 0;
            while !done.load(SeqCst) {
                most = most.max(keyed.len());
            }
            return most;
        }
        for turn in 0..20_000_u64 {
            let key = turn * 4 + thread as u64;
            let _ = keyed.try_acquire(&key, 1);
            if turn % 16 == 0 {
                keyed.remove(&(key / 2));
            }
            if thread == 1 && turn % 1_000 == 0 {
                clock.advance(Duration::from_millis(400));
                keyed.evict_unused();
            }
        }
        done.store(true, SeqCst);
        keyed.len()
    });
    assert!(most.iter().all(|&most| most <= MAX_KEYS), "{most:?}");
    assert_eq!(keyed.len() as u64, keyed.stats().keys);
    clock.advance(Duration::from_secs(1));
    keyed.evict_unused();
    assert_eq!((keyed.len(), keyed.stats().keys), (0, 0));
}
