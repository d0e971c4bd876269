//! Threads that decide, add, evict and remove keys at once.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;

use dashmap::DashMap;
use tidegate::{Clock, DashKeyed, ManualClock, TokenBucket};

use crate::parallel::in_parallel;
use crate::{SECOND, bucket};

const KEYS: usize = 12;
const CAPACITY: u64 = 3;

/// Keys that become unused, are evicted and come back all the time get no more than their capacity
/// and what flowed in.
#[test]
fn evicted_keys_get_no_more_than_is_refilled() {
    let (clock, map) = (ManualClock::new(), DashMap::new());
    let table = DashKeyed::with_clock(
        &map,
        |value: &(TokenBucket<_>, u64)| &value.0,
        clock.clone(),
    )
    .or_insert_with(|key: &u64| (bucket(CAPACITY, &clock), *key));
    let evicted = in_parallel(4, |thread| {
        let (mut taken, mut evicted) = ([0_u64; KEYS], 0);
        for turn in 0..6_000_u64 {
            if thread == 0 && turn % 8 == 0 {
                clock.advance(SECOND);
            }
            let key = (turn + thread as u64) % KEYS as u64;
            if table.try_acquire(&key, 1).is_ok() {
                taken[usize::try_from(key).expect("few")] += 1;
            }
            if turn % 50 == 0 {
                evicted += table.evict_unused(|key, value| *key == value.1);
            } else if turn % 10 == 0 {
                evicted += table.evict_some(5, |_, _| true);
            }
        }
        (taken, evicted)
    });
    let passed = (clock.now() - tidegate::Timestamp::ZERO).as_secs();
    for key in 0..KEYS {
        let taken: u64 = evicted.iter().map(|(taken, _)| taken[key]).sum();
        assert!(taken <= CAPACITY + passed, "{taken} in {passed} s");
    }
    // The threads may have been too busy to find one unused.
    clock.advance(Duration::from_secs(3_600));
    let last = table.evict_unused(|key, value| *key == value.1);
    assert!(evicted.iter().map(|(_, evicted)| evicted).sum::<u64>() + last > 0);
}

/// All threads bring the same new key at once. They share one limiter.
#[test]
fn new_key_of_all_threads_has_one_limiter() {
    let (clock, map) = (ManualClock::new(), DashMap::new());
    let table = DashKeyed::with_clock(&map, |bucket| bucket, clock.clone())
        .or_insert_with(|_: &u64| bucket(CAPACITY, &clock));
    let admitted = in_parallel(4, |_| {
        let admits = |key: &u64| table.try_acquire(key, 1).is_ok();
        (0..20_000).map(|key| admits(&key)).collect::<Vec<bool>>()
    });
    for key in 0..20_000 {
        let admitted = admitted.iter().filter(|thread| thread[key]).count() as u64;
        assert_eq!(admitted, CAPACITY, "key {key}");
    }
    assert_eq!(map.len(), 20_000);
}

/// A flood of keys from one thread, and evictions by another, lose nothing of a key in use.
#[test]
fn key_in_use_survives_evictions() {
    let (clock, map) = (ManualClock::new(), DashMap::new());
    let table = DashKeyed::with_clock(&map, |bucket| bucket, clock.clone())
        .or_insert_with(|_: &u64| bucket(CAPACITY, &clock));
    table.try_acquire(&0, CAPACITY).expect("full");
    let done = AtomicBool::new(false);
    in_parallel(3, |thread| match thread {
        0 => {
            for key in 1..50_000 {
                // Adds an entry that is unused at once.
                table.try_acquire(&key, 1).expect("new");
                map.get(&key).inspect(|entry| entry.reset());
            }
            done.store(true, SeqCst);
        }
        1 => {
            while !done.load(SeqCst) {
                table.evict_some(500, |_, _| true);
            }
        }
        _ => {
            while !done.load(SeqCst) {
                assert!(table.try_acquire(&0, 1).is_err());
            }
        }
    });
    table.evict_unused(|_, _| true);
    assert_eq!(map.len(), 1);
    assert_eq!(table.available(&0), 0);
}
