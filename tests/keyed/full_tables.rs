//! `Overflow::Refuse`: a new key gets room as soon as another key is unused, and not before.

use core::hash::BuildHasher;
use core::time::Duration;

use proptest::prelude::*;
use tidegate::{
    ApiRateLimiter, Combined, Denied, FixedKeyed, Keyed, Limiter, ManualClock, Overflow, Quota,
    RateLimitConfig, RetryAfter, SlidingWindow, Timestamp,
};

use crate::{OneSpot, at, bucket, hasher};

const SECOND: u64 = 1_000_000_000;
/// Keys from here on are new.
const NEW: u64 = 1 << 30;

const NO_ROOM: Result<(), Denied> = Err(Denied::Busy {
    retry_after: RetryAfter::from_nanos(SECOND),
});

/// Returns the first nanosecond after `now` at which one of the limiters is unused.
fn first_unused<L: Limiter>(limiters: &[L], now: Timestamp) -> u64 {
    let any_unused = |nanos| {
        limiters
            .iter()
            .any(|limiter| limiter.is_unused_at(at(nanos)))
    };
    let (mut used, mut unused) = (now.as_nanos(), now.as_nanos() + 100_000 * SECOND);
    assert!(!any_unused(used) && any_unused(unused));
    while unused - used > 1 {
        let middle = used.midpoint(unused);
        if any_unused(middle) {
            unused = middle;
        } else {
            used = middle;
        }
    }
    unused
}

/// Fills a table with keys that make these calls, each after some nanoseconds. A new key is refused
/// until one of them is unused, at most `late` nanoseconds longer.
fn new_key_waits_for_unused_key<L: Limiter + 'static>(
    limiter: impl Fn(&u64) -> L + Clone + Send + Sync + 'static,
    calls: &[(u64, u64)],
    refusals: u64,
    late: u64,
) -> Result<(), TestCaseError> {
    let keyed = Keyed::builder(limiter.clone())
        .max_keys(calls.len())
        .overflow(Overflow::Refuse)
        .hasher(hasher())
        .build();
    let mut now = at(0);
    let mut alone = Vec::new();
    for (key, &(nanos, n)) in (0..).zip(calls) {
        now = now + Duration::from_nanos(nanos);
        // No key is unused before all are added.
        keyed.try_acquire_at(&key, n, now).expect("full");
        alone.push(limiter(&key));
        alone[alone.len() - 1].try_acquire_at(n, now).expect("full");
    }
    // Calls for other new keys change nothing.
    for other in 0..refusals {
        let _ = keyed.try_acquire_at(&(NEW + 1 + other), 1, now);
    }
    prop_assert_eq!(keyed.try_acquire_at(&NEW, 1, now), NO_ROOM);
    prop_assert_eq!(
        keyed.wait_time_at(&NEW, 1, now),
        Some(Duration::from_secs(1))
    );
    let then = first_unused(&alone, now);
    prop_assert_eq!(keyed.try_acquire_at(&NEW, 1, at(then - 1)), NO_ROOM);
    prop_assert_eq!(keyed.try_acquire_at(&NEW, 1, at(then + late)), Ok(()));
    prop_assert!(keyed.len() <= calls.len());
    prop_assert_eq!(keyed.stats().overflowed, refusals + 2);
    Ok(())
}

/// Few enough keys that all are in one part, and a search sees all of them.
fn any_calls(most: u64) -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0..SECOND / 100, 1..=most), 1..64)
}

fn awkward_quota() -> Quota {
    let quota = Quota::new(3, Duration::from_nanos(3_333_333_337));
    quota.expect("valid").burst(10)
}

fn window() -> SlidingWindow<ManualClock> {
    let second = Duration::from_secs(1);
    SlidingWindow::with_clock(10, second, ManualClock::new()).expect("fits")
}

/// Enough new keys find every unused key, after any number of refusals, in parts of any size, and
/// whatever was evicted in between.
fn enough_calls_find_unused_keys(
    hasher: impl BuildHasher,
    keys: u64,
    spent: &[u64],
    script: &[(u64, u8)],
) -> Result<(), TestCaseError> {
    let limiter = |key: &u64| bucket(Quota::per_second(1 + key % 2).burst(100));
    let keyed = Keyed::builder(limiter)
        .max_keys(usize::try_from(keys).expect("few"))
        .overflow(Overflow::Refuse)
        .hasher(hasher)
        .build();
    let mut now = at(0);
    for (key, &n) in (0..keys).zip(spent) {
        keyed.try_acquire_at(&key, n, now).expect("room");
    }
    let mut new = NEW;
    for &(key, action) in script {
        new += 1;
        match action {
            0 => now = now + Duration::from_nanos(SECOND / 7),
            1 => {
                let _ = keyed.try_acquire_at(&new, 1 + key % 40, now);
            }
            // More than the capacity: the call makes room, and adds no key.
            _ => {
                let _ = keyed.try_acquire_at(&new, 101, now);
            }
        }
    }
    // Enough to search every bucket several times.
    let calls = 2 * NEW..2 * NEW + keys / 4 + 100;
    for new in calls {
        if keyed.try_acquire_at(&new, 1, now).is_ok() {
            return Ok(());
        }
    }
    prop_assert_eq!(keyed.evict_unused_at(now), 0, "a key was unused");
    Ok(())
}

proptest! {
    #[test]
    fn full_map_of_buckets(calls in any_calls(10), refusals in 0..5_u64) {
        let limiter = |_: &u64| bucket(Quota::per_second(1).burst(10));
        new_key_waits_for_unused_key(limiter, &calls, refusals, 0)?;
    }

    #[test]
    fn full_map_of_buckets_with_awkward_rate(calls in any_calls(10), refusals in 0..5_u64) {
        let limiter = |_: &u64| bucket(awkward_quota());
        new_key_waits_for_unused_key(limiter, &calls, refusals, 2)?;
    }

    #[test]
    fn full_map_of_buckets_with_four_quotas(calls in any_calls(10), refusals in 0..5_u64) {
        let limiter = |key: &u64| bucket(Quota::per_minute(50 + key % 4).burst(10));
        new_key_waits_for_unused_key(limiter, &calls, refusals, 2)?;
    }

    #[test]
    fn full_map_of_windows(calls in any_calls(10), refusals in 0..5_u64) {
        new_key_waits_for_unused_key(|_| window(), &calls, refusals, 0)?;
    }

    #[test]
    fn full_map_of_combinations(calls in any_calls(10), refusals in 0..5_u64) {
        let combined = |_: &u64| {
            Combined::builder()
                .limit("window", window())
                .limit("bucket", bucket(Quota::per_second(2).burst(20)))
                .build()
        };
        new_key_waits_for_unused_key(combined, &calls, refusals, 0)?;
    }

    #[test]
    fn full_map_of_api_limiters(
        calls in prop::collection::vec((0..SECOND / 100, 1..=5_u64), 1..8),
        refusals in 0..5_u64,
    ) {
        let config = RateLimitConfig::default();
        let api = move |_: &u64| {
            ApiRateLimiter::with_clock(config, ManualClock::new()).expect("valid")
        };
        new_key_waits_for_unused_key(api, &calls, refusals, 0)?;
    }

    #[test]
    fn unused_key_is_found_after_many_refusals(
        keys in 1..700_u64,
        spent in prop::collection::vec(1..50_u64, 700),
        script in prop::collection::vec((0..300_u64, 0..3_u8), 0..200),
    ) {
        enough_calls_find_unused_keys(OneSpot, keys, &spent, &script)?;
        enough_calls_find_unused_keys(hasher(), keys, &spent, &script)?;
    }

    #[test]
    fn full_set_of_fixed_table(
        calls in prop::collection::vec((0..SECOND / 100, 1..=10_u64), 15),
        awkward in any::<bool>(),
    ) {
        let quota = if awkward { awkward_quota() } else { Quota::per_second(1).burst(10) };
        let table = FixedKeyed::with_clock_and_hasher(quota, 8, ManualClock::new(), OneSpot)
            .overflow(Overflow::Refuse);
        let mut now = at(0);
        let mut alone = Vec::new();
        for (key, &(nanos, n)) in (0_u64..).zip(&calls) {
            now = now + Duration::from_nanos(nanos);
            table.try_acquire_at(&key, n, now).expect("full");
            alone.push(bucket(quota));
            alone[alone.len() - 1].try_acquire_at(n, now).expect("full");
        }
        prop_assert_eq!(table.try_acquire_at(&NEW, 1, now), NO_ROOM);
        prop_assert_eq!(table.wait_time_at(&NEW, 1, now), Some(Duration::from_secs(1)));
        // An owner is evicted a grain after its bucket is full.
        let then = first_unused(&alone, now);
        let late = if awkward { 2 } else { 0 };
        prop_assert_eq!(table.try_acquire_at(&NEW, 1, at(then - 1)), NO_ROOM);
        prop_assert_eq!(table.try_acquire_at(&NEW, 1, at(then + 1 + late)), Ok(()));
    }
}

/// Wherever the first unused key is, a search finds it, although all keys were in use before.
#[test]
fn any_key_is_found_once_unused() {
    for keys in [30, 60, 90, 110, 200, 300] {
        for early in 0..keys {
            let keyed = Keyed::builder(|_: &u64| bucket(Quota::per_second(1).burst(10)))
                .max_keys(usize::try_from(keys).expect("few"))
                .overflow(Overflow::Refuse)
                .hasher(OneSpot)
                .build();
            for key in 0..keys {
                let n = if key == early { 1 } else { 10 };
                keyed.try_acquire_at(&key, n, at(0)).expect("room");
            }
            let calls = NEW..NEW + keys / 16 + 4;
            for new in calls.clone() {
                assert!(keyed.try_acquire_at(&new, 1, at(0)).is_err());
            }
            let mut calls = calls;
            let found = calls.any(|new| keyed.try_acquire_at(&new, 1, at(SECOND)).is_ok());
            assert!(found, "key {early} of {keys}");
        }
    }
}

/// In many parts, a call also finds room in another part than its own, and searches end anywhere.
/// Enough new keys still evict all unused keys, if none is kept for a while.
#[test]
fn enough_new_keys_evict_all_unused_keys_of_many_parts() {
    let keyed = Keyed::builder(|_: &u64| bucket(Quota::per_second(1).burst(10)))
        .max_keys(8_000)
        .idle_timeout(Duration::ZERO)
        .overflow(Overflow::Refuse)
        .hasher(hasher())
        .build();
    for key in 0..8_000 {
        let n = if key % 7 == 0 { 1 + key % 10 } else { 10 };
        keyed.try_acquire_at(&key, n, at(0)).expect("room");
    }
    let mut new = NEW;
    for second in 1..30 {
        let now = at(second * SECOND);
        // Some calls are for more than the capacity: they make room, and add no key.
        for turn in 0..3_000 {
            new += 1;
            let n = if turn < 1_000 && turn % 3 == 0 {
                11
            } else {
                1 + new % 10
            };
            let _ = keyed.try_acquire_at(&new, n, now);
        }
        let mut unused = 0;
        keyed.for_each(|key, _| unused += u64::from(keyed.available_at(key, now) == 10));
        assert!(
            unused == 0 || keyed.len() < 8_000,
            "{unused} after {second} s"
        );
    }
}

/// A key that was added or charged after a refusal counts as of its last charge.
#[test]
fn keys_added_after_refusal_count() {
    let keyed = Keyed::builder(|_: &u64| bucket(Quota::per_second(1).burst(10)))
        .max_keys(2)
        .overflow(Overflow::Refuse)
        .build();
    for key in [1, 2] {
        keyed.try_acquire_at(&key, 10, at(0)).expect("room");
    }
    assert_eq!(keyed.try_acquire_at(&NEW, 1, at(0)), NO_ROOM);
    assert!(keyed.remove(&1));
    keyed.try_acquire_at(&3, 1, at(0)).expect("room");
    assert_eq!(keyed.try_acquire_at(&NEW, 1, at(SECOND - 1)), NO_ROOM);
    // Another charge delays the eviction.
    keyed.try_acquire_at(&3, 4, at(0)).expect("9 are left");
    assert_eq!(keyed.try_acquire_at(&NEW, 1, at(SECOND)), NO_ROOM);
    assert_eq!(keyed.try_acquire_at(&NEW, 1, at(5 * SECOND - 1)), NO_ROOM);
    assert_eq!(keyed.try_acquire_at(&NEW, 1, at(5 * SECOND)), Ok(()));
    assert!(keyed.contains(&2) && !keyed.contains(&3));
}

/// A combination is unused when its slowest limit is, whichever of them is the smallest.
#[test]
fn combination_is_unused_when_all_limits_are() {
    let combined = |_: &u64| {
        Combined::builder()
            .limit("fast", bucket(Quota::per_second(10).burst(10)))
            .limit("slow", bucket(Quota::per_minute(1).burst(100)))
            .build()
    };
    let keyed = Keyed::builder(combined)
        .max_keys(1)
        .overflow(Overflow::Refuse)
        .build();
    keyed.try_acquire_at(&1, 5, at(0)).expect("full");
    assert_eq!(keyed.try_acquire_at(&2, 1, at(0)), NO_ROOM);
    assert_eq!(keyed.try_acquire_at(&2, 1, at(300 * SECOND - 1)), NO_ROOM);
    assert_eq!(keyed.try_acquire_at(&2, 1, at(300 * SECOND)), Ok(()));
}

/// A limiter that a server has paused is in use, even if nothing was charged for long.
#[test]
fn paused_limiter_is_in_use() {
    let keyed = Keyed::builder(|_: &u64| {
        let api = ApiRateLimiter::with_clock(RateLimitConfig::default(), ManualClock::new());
        let api = api.expect("valid");
        api.pause_for(Duration::from_millis(2_500));
        api
    })
    .max_keys(1)
    .overflow(Overflow::Refuse)
    .build();
    // No longer paused when it is charged, but still paused as of the next call.
    keyed
        .try_acquire_at(&1, 1, at(3 * SECOND))
        .expect("paused until 2.5 s");
    assert_eq!(keyed.try_acquire_at(&2, 1, at(2 * SECOND)), NO_ROOM);
}
