//! A million keys are saved and restored without a copy of the table in memory.
//!
//! These tests are a program of their own and run one at a time, because the allocator counts for
//! the whole program.

#![expect(clippy::std_instead_of_core, reason = "a test of types that need std")]

use std::alloc::System;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cap::Cap;
use tidegate::{
    BucketLevel, FixedKey, FixedKeyed, KeyHasher, Keyed, ManualClock, Quota, TableRecord,
    Timestamp, TokenBucket, UnixTime,
};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const KEYS: u64 = 1_000_000;
const WALL: UnixTime = UnixTime::from_nanos(1_700_000_000_000_000_000);
/// A record of 16 bytes of a map of a million keys would take 16 MB, one of a shard 640 KB.
const FLAT: usize = 2 << 20;

fn run_alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `task`, which fails to allocate more than `most` bytes on top of what it holds.
fn within<R>(most: usize, task: impl FnOnce() -> R) -> R {
    let limit = ALLOCATOR.allocated() + most;
    ALLOCATOR.set_limit(limit).expect("above what is allocated");
    let result = task();
    ALLOCATOR.set_limit(usize::MAX).expect("no limit");
    result
}

type Map = Keyed<u64, TokenBucket<ManualClock>>;

fn map() -> Map {
    let quota = Quota::per_hour(10);
    Keyed::new(move |_: &u64| TokenBucket::with_clock(quota, ManualClock::new()))
}

fn table() -> FixedKeyed<ManualClock> {
    let hasher = KeyHasher::with_seeds([1, 2, 3, 4]);
    let keys = 2 * usize::try_from(KEYS).expect("fits");
    FixedKeyed::with_clock_and_hasher(Quota::per_hour(10), keys, ManualClock::new(), hasher)
}

/// Checks records as they pass, and keeps a few.
#[derive(Debug)]
struct Seen<K> {
    keys: u64,
    sample: Option<TableRecord<K, BucketLevel>>,
}

impl<K> Seen<K> {
    const fn new() -> Self {
        Self {
            keys: 0,
            sample: None,
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "a writer that does not fail")]
    fn see(&mut self, record: TableRecord<K, BucketLevel>) -> Result<(), Infallible> {
        if let TableRecord::Key(_, state) = record {
            assert_eq!(state.available(), 7);
            self.keys += 1;
        }
        self.sample = Some(record);
        Ok(())
    }
}

#[test]
fn million_keys_of_a_map_stream() {
    let _alone = run_alone();
    let before = map();
    for key in 0..KEYS {
        before.try_acquire(&key, 3).expect("new");
    }
    let mut seen = Seen::new();
    let saved = within(FLAT, || {
        before.save_at(Timestamp::ZERO, WALL, |record| seen.see(record))
    });
    assert_eq!((saved, seen.keys), (Ok(KEYS), KEYS));
    assert_eq!(seen.sample, Some(TableRecord::End(KEYS)));

    // The stream is made as it is read, of the header and of one state for all keys.
    let mut first = Vec::new();
    let _ = before.save_at(Timestamp::ZERO, WALL, |record| {
        first.push(record);
        if first.len() < 2 { Ok(()) } else { Err(()) }
    });
    let (Some(TableRecord::Key(_, state)), Some(header)) = (first.pop(), first.pop()) else {
        unreachable!("a header and a key");
    };
    let restored = {
        drop(before);
        let keys = (0..KEYS).map(|key| TableRecord::Key(key, state));
        let records = [header]
            .into_iter()
            .chain(keys)
            .chain([TableRecord::End(KEYS)]);
        let fresh = map();
        // As in tests/keyed_memory.rs: 17 bytes for each key, in tables that are 7/16 full at
        // least, and one of 64 parts while it grows.
        let most = 17 * 16 / 7 * usize::try_from(KEYS).expect("fits") + FLAT;
        within(most, || {
            Map::restore_at(
                records.map(Ok::<_, Infallible>),
                fresh,
                Timestamp::ZERO,
                WALL,
            )
        })
    };
    let after = restored.expect("valid");
    assert_eq!(after.len() as u64, KEYS);
    assert!((0..KEYS).step_by(997).all(|key| after.available(&key) == 7));
}

#[test]
fn million_keys_of_a_fixed_table_stream() {
    let _alone = run_alone();
    let (before, fresh) = (table(), table());
    for key in 0..KEYS {
        before.try_acquire(&key, 3).expect("new");
    }
    let mut seen: Seen<FixedKey> = Seen::new();
    let saved = within(FLAT, || {
        before.save_at(Timestamp::ZERO, WALL, |record| seen.see(record))
    });
    assert_eq!(saved, Ok(seen.keys));
    // Some of the million found no entry.
    assert!(seen.keys > KEYS * 99 / 100, "{seen:?}");

    // Passed from one table to the other by a thread, in a channel of a few records.
    let (sender, receiver) = std::sync::mpsc::sync_channel(64);
    let restored = within(FLAT, || {
        std::thread::scope(|scope| {
            let before = &before;
            scope
                .spawn(move || before.save_at(Timestamp::ZERO, WALL, |record| sender.send(record)));
            let records = receiver.into_iter().map(Ok::<_, Infallible>);
            FixedKeyed::restore_at(records, fresh, Timestamp::ZERO, WALL)
        })
    });
    let after = restored.expect("valid");
    for key in (0..KEYS).step_by(997) {
        assert_eq!(after.available(&key), before.available(&key));
    }
}
