//! Memory of the tables of keys: no allocation for a known key after the thread's
//! first call, and a bound for any keys.
//!
//! These tests are a program of their own and run one at a time, because the allocator counts for
//! the whole program.

use core::time::Duration;
use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use cap::Cap;
use tidegate::{
    FixedKeyed, KeyHasher, Keyed, ManualClock, Overflow, Quota, Timestamp, TokenBucket,
};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const HOUR: u64 = 3_600_000_000_000;
/// Bytes for the test harness, which prints, and starts and ends threads, while tests run.
const HARNESS: usize = 64 << 10;

fn run_alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// Counts the bytes that were allocated since the start, and limits them.
struct Memory {
    before: usize,
}

impl Memory {
    fn start() -> Self {
        Self {
            before: ALLOCATOR.allocated(),
        }
    }

    fn used(&self) -> usize {
        ALLOCATOR.allocated().saturating_sub(self.before)
    }

    /// An allocation beyond `most` bytes fails and ends the program.
    fn limit(&self, most: usize) {
        ALLOCATOR
            .set_limit(self.before + most + HARNESS)
            .expect("below the limit so far");
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        ALLOCATOR.set_limit(usize::MAX).expect("no limit");
    }
}

type Map<K> = Keyed<K, TokenBucket<ManualClock>>;

fn map<K>(max_keys: usize, clock: &ManualClock) -> Map<K> {
    let clock = clock.clone();
    Keyed::builder(move |_: &K| TokenBucket::with_clock(Quota::per_hour(10), clock.clone()))
        .max_keys(max_keys)
        .overflow(Overflow::Refuse)
        .hasher(KeyHasher::with_seeds([1, 2, 3, 4]))
        .build()
}

fn table(keys: usize, clock: &ManualClock) -> FixedKeyed<ManualClock> {
    let hasher = KeyHasher::with_seeds([1, 2, 3, 4]);
    FixedKeyed::with_clock_and_hasher(Quota::per_hour(10), keys, clock.clone(), hasher)
        .overflow(Overflow::Refuse)
}

/// Bytes that the empty parts of a map keep: 64 buckets each.
fn small_tables(bytes_per_key: usize) -> usize {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let parts = (8 * threads).max(64).next_power_of_two().min(ROOM / 32);
    parts * 65 * bytes_per_key
}

/// Asserts that a call allocates nothing. The harness may allocate meanwhile, but not every time.
fn allocates_nothing<R>(call: impl Fn() -> R) {
    let silent = |_| {
        let before = ALLOCATOR.total_allocated();
        for _ in 0..100 {
            call();
        }
        ALLOCATOR.total_allocated() == before
    };
    assert!((0..10).any(silent));
}

#[test]
fn calls_of_known_keys_allocate_nothing() {
    let _alone = run_alone();
    let clock = ManualClock::new();
    let users: Map<String> = map(10, &clock);
    users.try_acquire("alice", 1).expect("new");
    for n in [1, 2, 100] {
        allocates_nothing(|| users.try_acquire("alice", n).is_ok());
        allocates_nothing(|| users.peek("alice", n).is_ok());
        allocates_nothing(|| users.wait_time("alice", n).is_some());
    }
    allocates_nothing(|| assert_eq!(users.available("alice"), 0));
    allocates_nothing(|| assert_eq!(users.stats().keys, 1));
    allocates_nothing(|| assert_eq!(users.evict_unused(), 0));

    // A fixed table allocates for no key.
    let table = table(8, &clock);
    for key in 0..100_u64 {
        allocates_nothing(|| table.try_acquire(&key, 1).is_ok());
        allocates_nothing(|| table.peek(&key, 1).is_ok());
    }
    assert!(table.stats().overflowed > 0 && table.stats().active > 0);
}

/// Keys in use stay, and their calls allocate nothing, also where every bucket is full again when
/// its key comes.
#[test]
fn visits_to_full_buckets_allocate_nothing() {
    const KEYS: usize = 1_000;
    let _alone = run_alone();
    let clock = ManualClock::new();
    let factory = {
        let clock = clock.clone();
        let quota = Quota::per_second(1_000_000).burst(1 << 32);
        move |_: &String| TokenBucket::with_clock(quota, clock.clone())
    };
    let keyed = Keyed::new(factory);
    let names: Vec<String> = (0..KEYS).map(|key| format!("user {key}")).collect();
    let visit_all = || {
        for name in &names {
            clock.advance(Duration::from_micros(10));
            assert_eq!(keyed.available(name), 1 << 32, "full");
            assert_eq!(keyed.try_acquire(name, 1), Ok(()));
        }
    };
    visit_all();
    for _ in 0..20 {
        // As in `allocates_nothing`: the harness may allocate meanwhile, but not every time.
        let silent = |_| {
            let before = ALLOCATOR.total_allocated();
            visit_all();
            ALLOCATOR.total_allocated() == before
        };
        assert!((0..10).any(silent));
        // Somewhat less than the timeout passes.
        clock.advance(Duration::from_millis(9_980));
    }
    let stats = keyed.stats();
    assert_eq!((stats.keys, stats.created), (KEYS as u64, KEYS as u64));
    assert_eq!((stats.evicted, stats.overflowed), (0, 0));
}

/// 32 bytes for each key of the capacity.
#[test]
fn table_takes_32_bytes_per_key() {
    let _alone = run_alone();
    for keys in [1, 8, 100, 100_000] {
        let clock = ManualClock::new();
        let memory = Memory::start();
        let table = table(keys, &clock);
        let used = memory.used();
        assert!(
            used <= 32 * table.capacity_in_keys() + HARNESS,
            "{used} for {keys}"
        );
        assert!(used + HARNESS >= 32 * keys, "{used} for {keys}");
    }
}

/// Distinct keys of a flood: a hundred times as many as there is room for.
const FLOOD: u64 = 10_000_000;
const ROOM: usize = 100_000;
/// Bytes for each key of 8 bytes: 16 and one for the hash table, which is filled to between 7/16
/// and 7/8. A part takes twice that while it grows, but only one part grows at a time.
const BYTES_PER_KEY: usize = 17 * 16 / 7;

/// While all keys are in use, a flood leaves them what they have spent, and memory is bounded at
/// every moment.
#[test]
fn flood_of_ten_million_keys_through_map() {
    let _alone = run_alone();
    let clock = ManualClock::new();
    let memory = Memory::start();
    memory.limit(ROOM * BYTES_PER_KEY);
    let keyed: Map<u64> = map(ROOM, &clock);
    let now = at(HOUR);
    let room = ROOM as u64;
    for key in 0..room {
        keyed.try_acquire_at(&key, 10, now).expect("room");
    }
    for other in room..FLOOD {
        assert!(keyed.try_acquire_at(&other, 1, now).is_err());
    }
    assert_eq!(keyed.stats().overflowed, FLOOD - room);
    assert_eq!(keyed.len(), ROOM);
    for key in 0..room {
        assert!(keyed.try_acquire_at(&key, 1, now).is_err(), "a fresh burst");
        assert_eq!(keyed.available_at(&key, now), 0);
    }
}

/// A token comes back in 6 minutes, so half as many other keys are in use as there is room for.
const STEP: u64 = HOUR / 10 / (ROOM as u64 / 2);
const OTHERS: u64 = FLOOD / 20;

/// While other keys become unused after a while, they are evicted, and keys in use stay.
#[test]
fn slow_flood_through_map_is_evicted() {
    let _alone = run_alone();
    let clock = ManualClock::new();
    let memory = Memory::start();
    memory.limit(ROOM * BYTES_PER_KEY);
    let keyed: Map<u64> = map(ROOM, &clock);
    // Every hundredth key spends all it has.
    let (mut now, mut peak) = (HOUR, 0);
    for other in 0..OTHERS {
        if other % 100 == 0 {
            let spent = u64::MAX - other;
            keyed.try_acquire_at(&spent, 10, at(now)).expect("new");
        }
        keyed.try_acquire_at(&other, 1, at(now)).expect("room");
        now += STEP;
        peak = peak.max(keyed.len());
    }
    assert!(peak <= ROOM * 4 / 5, "{peak} keys");
    assert_eq!(keyed.stats().overflowed, 0);
    for other in (0..OTHERS).step_by(100) {
        let passed = now - (HOUR + other * STEP);
        let left = keyed.available_at(&(u64::MAX - other), at(now));
        assert_eq!(left, (passed * 10 / HOUR).min(10), "spent {passed} ns ago");
    }
    check_memory_after_flood(&keyed, &memory, now + HOUR);
}

/// After a flood, insertions free its memory, and so does `evict_unused`.
fn check_memory_after_flood(keyed: &Map<u64>, memory: &Memory, now: u64) {
    let flooded = memory.used();
    let keys = keyed.len() as u64;
    for key in 0..keys / 2 {
        keyed
            .try_acquire_at(&(FLOOD + key), 1, at(now + key))
            .expect("room");
        keyed.remove(&(FLOOD + key));
    }
    assert!(keyed.len() < 100, "{} of {keys} keys", keyed.len());
    let after = memory.used();
    let most = flooded / 4 + small_tables(17) + HARNESS;
    assert!(after < most, "{after} of {flooded} bytes");
    keyed.evict_unused_at(at(now));
    let empty = small_tables(17) + small_tables(6) + HARNESS;
    assert!(memory.used() < empty, "{} bytes", memory.used());
}

/// `evict_unused` and removals free memory without a new key.
#[test]
fn evict_unused_and_remove_free_memory() {
    let _alone = run_alone();
    let clock = ManualClock::new();
    let memory = Memory::start();
    let keyed: Map<String> = map(ROOM, &clock);
    let empty = memory.used();
    for way in 0..3 {
        for key in 0..50_000 {
            let now = at(HOUR * 2 * way);
            keyed
                .try_acquire_at(&format!("user {key}"), 1, now)
                .expect("room");
        }
        assert!(memory.used() + HARNESS > 50_000 * 40);
        if way == 1 {
            for key in 0..50_000 {
                assert!(keyed.remove(&format!("user {key}")));
            }
        } else {
            assert_eq!(keyed.evict_unused_at(at(HOUR * (2 * way + 1))), 50_000);
        }
        let left = memory.used().saturating_sub(empty);
        assert!(left <= small_tables(33) + HARNESS, "{left} bytes are left");
    }
}

#[test]
fn flood_of_ten_million_keys_through_table() {
    let _alone = run_alone();
    let clock = ManualClock::new();
    let table = table(ROOM, &clock);
    let now = at(HOUR);
    let active: Vec<u64> = (0..ROOM as u64 / 8)
        .filter(|key| table.try_acquire_at(key, 10, now).is_ok())
        .collect();
    // Nothing is allocated besides the table.
    let memory = Memory::start();
    memory.limit(0);
    for other in ROOM as u64..FLOOD {
        let _ = table.try_acquire_at(&other, 1, now);
    }
    for key in &active {
        assert!(table.try_acquire_at(key, 1, now).is_err(), "a fresh burst");
        assert_eq!(table.available_at(key, now), 0);
    }
    // All entries are in use, and every other call is counted.
    let stats = table.stats_at(now);
    assert_eq!(stats.active, ROOM as u64 / 8 * 15);
    assert_eq!(
        stats.overflowed,
        FLOOD - ROOM as u64 + active.len() as u64 - stats.active
    );
}
