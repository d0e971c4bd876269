//! The stated bounds, against exact counts.

use alloc::collections::BTreeMap;
use core::hash::{BuildHasher, Hasher};
use std::thread;

use proptest::prelude::*;
use tidegate::{DeniedKeys, MostDenied};

type Exact = BTreeMap<u64, u64>;

fn exact(stream: &[u64]) -> Exact {
    let mut counts = Exact::new();
    for key in stream {
        *counts.entry(*key).or_default() += 1;
    }
    counts
}

/// Checks a whole list, and the first `n` of it.
fn check(all: &DeniedKeys<u64>, top: &DeniedKeys<u64>, n: usize, counters: u64, exact: &Exact) {
    let counted: u64 = exact.values().sum();
    assert_eq!((all.counted, all.skipped), (counted, 0));
    assert!(all.most_of_others <= counted / counters);
    let mut listed = Exact::new();
    for denied in &all.keys {
        let true_count = exact[&denied.key];
        assert!(denied.at_least <= true_count, "{denied:?}: {true_count}");
        assert!(true_count <= denied.at_most, "{denied:?}: {true_count}");
        assert!(denied.at_most - denied.at_least <= counted / counters);
        assert_eq!(listed.insert(denied.key, true_count), None);
    }
    for (key, count) in exact {
        if *count > all.most_of_others {
            assert!(listed.contains_key(key), "{key} was denied {count} times");
        }
    }
    let ranks = all.keys.windows(2);
    assert!(ranks.into_iter().all(|it| it[0].at_least >= it[1].at_least));

    assert_eq!(top.keys.len(), all.keys.len().min(n));
    for (key, count) in exact {
        // More than M / c + M / n, without division.
        let (counters, places) = (u128::from(counters), n as u128);
        let share = u128::from(*count) * counters * places;
        if n > 0 && share > u128::from(counted) * (counters + places) {
            assert!(top.keys.iter().any(|it| it.key == *key), "{key} of {top:?}");
        }
    }
}

/// Puts every key in one place of the index.
#[derive(Clone, Copy, Default)]
struct Colliding;

impl Hasher for Colliding {
    fn finish(&self) -> u64 {
        7
    }

    fn write(&mut self, _: &[u8]) {}
}

impl BuildHasher for Colliding {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self
    }
}

/// Records each part of the stream in a thread of its own, one after the other, so that several
/// sketches are used and none is locked.
fn record_all<S: BuildHasher + Sync>(denied: &MostDenied<u64, S>, parts: &[Vec<u64>]) {
    for part in parts {
        thread::scope(|scope| {
            scope.spawn(|| part.iter().for_each(|key| denied.record(key)));
        });
    }
}

fn check_streams<S: BuildHasher + Sync>(denied: &MostDenied<u64, S>, n: usize, parts: &[Vec<u64>]) {
    record_all(denied, parts);
    let exact = exact(&parts.concat());
    let (all, top) = (denied.top(usize::MAX), denied.top(n));
    let counters = denied.counters() as u64;
    check(&all, &top, n, counters, &exact);
    // Taking moves what copying shows.
    let mut taken = denied.take(usize::MAX);
    let by_key = |list: &mut DeniedKeys<u64>| list.keys.sort_by_key(|it| it.key);
    let mut all = all;
    by_key(&mut taken);
    by_key(&mut all);
    assert_eq!(taken, all);
    assert_eq!(denied.take(usize::MAX).counted, 0);
}

/// Streams with few and with many keys, steady and in runs.
fn stream() -> impl Strategy<Value = Vec<u64>> {
    let key = prop_oneof![3 => 0..4_u64, 3 => 0..40_u64, 2 => any::<u64>()];
    let run = (key, 1..20_usize).prop_map(|(key, times)| vec![key; times]);
    let runs = prop::collection::vec(run, 0..40);
    runs.prop_map(|runs| runs.concat())
}

proptest! {
    #[test]
    fn bounds_hold_for_any_stream(
        counters in 1..12_usize,
        n in 0..12_usize,
        parts in prop::collection::vec(stream(), 1..6),
    ) {
        check_streams(&MostDenied::new(counters), n, &parts);
        check_streams(&MostDenied::with_hasher(counters, Colliding), n, &parts);
    }
}

/// Each new key takes the least counter over, so that as many errors as possible add up.
#[test]
fn bounds_hold_for_hostile_streams() {
    const COUNTERS: usize = 50;
    let heavy = |times: usize| vec![u64::MAX; times];
    let flood = |from: u64, keys: u64| (from..from + keys).collect::<Vec<u64>>();
    let turns = |keys: u64| (0..20_000).map(|n| n % keys).collect::<Vec<u64>>();
    let interleaved = |share: u64| {
        let key = |n: u64| if n % share == 0 { u64::MAX } else { n };
        (0..50_000).map(key).collect::<Vec<u64>>()
    };
    let streams = [
        vec![turns(50)],
        vec![turns(51)],
        vec![turns(99), turns(50)],
        vec![heavy(500), flood(0, 20_000)],
        vec![flood(0, 20_000), heavy(500)],
        vec![flood(0, 10_000), heavy(401), flood(10_000, 10_000)],
        vec![interleaved(20)],
        vec![interleaved(45), interleaved(60)],
        vec![heavy(10), flood(0, 49), flood(100, 10_000), flood(0, 49)],
    ];
    for parts in streams {
        check_streams(&MostDenied::new(COUNTERS), 10, &parts);
        let one_thread = [parts.concat()];
        check_streams(&MostDenied::new(COUNTERS), 10, &one_thread);
    }
}

/// A key with more than its share is listed first, whatever the flood around it.
#[test]
fn flood_does_not_evict_a_heavy_key() {
    let denied = MostDenied::<u64>::new(100);
    for n in 0..100_000 {
        denied.record(&n);
        if n % 33 == 0 {
            denied.record(&u64::MAX);
        }
    }
    let top = denied.top(1);
    assert_eq!(top.keys[0].key, u64::MAX);
    assert!(top.keys[0].at_least > 2_000, "{top:?}");
    assert!(top.keys[0].at_most - top.keys[0].at_least <= top.counted / 100);
}

/// Without evictions, counts are exact.
#[test]
fn few_keys_are_counted_exactly() {
    let denied = MostDenied::<String>::new(10);
    for (key, times) in [("a", 3), ("b", 5), ("c", 1)] {
        for _ in 0..times {
            denied.record(key);
        }
    }
    let top = denied.top(10);
    let listed = top
        .keys
        .iter()
        .map(|it| (it.key.as_str(), it.at_least, it.at_most));
    assert_eq!(
        listed.collect::<Vec<_>>(),
        [("b", 5, 5), ("a", 3, 3), ("c", 1, 1)]
    );
    assert_eq!((top.counted, top.skipped, top.most_of_others), (9, 0, 0));
    denied.reset();
    assert_eq!(denied.top(10).keys, []);
}

/// Bad sizes are brought to the nearest good one.
#[test]
fn every_size_works() {
    for counters in [0, 1, usize::MAX] {
        let denied = MostDenied::<u64>::new(counters);
        assert!((1..=1 << 20).contains(&denied.counters()));
        for key in [1, 2, 2, 2] {
            denied.record(&key);
        }
        assert_eq!(denied.top(1).keys[0].key, 2);
        assert_eq!(denied.top(0).keys, []);
    }
}
