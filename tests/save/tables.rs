//! Tables of keys: `Keyed` and `FixedKeyed`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use proptest::prelude::*;
use tidegate::{
    BucketLevel, FixedKey, FixedKeyed, KeyHasher, Keyed, ManualClock, Overflow, Quota,
    RestoreError, RestoreTableError, SlidingWindow, TableRecord, Timestamp, TokenBucket,
    WindowState,
};

use crate::{SECOND, at, wall};

type Table = Keyed<u64, TokenBucket<ManualClock>>;
type Fixed = FixedKeyed<ManualClock>;
type Record = TableRecord<u64, BucketLevel>;

/// Tiers by the key: the first quota, common ones, and one that a word cannot hold for long.
fn quota(key: u64) -> Quota {
    match key % 4 {
        0 => Quota::per_second(10).burst(20),
        1 => Quota::per_second(3).burst(7),
        2 => Quota::per_minute(100_001),
        _ => Quota::new(1_000, Duration::from_nanos(1)).unwrap(),
    }
}

fn table() -> Table {
    Keyed::new(|&key| TokenBucket::with_clock(quota(key), ManualClock::new()))
}

fn fixed(keys: usize, seed: u64) -> Fixed {
    let hasher = KeyHasher::with_seeds([seed, 2, 3, 4]);
    let quota = Quota::per_second(10).burst(20);
    FixedKeyed::with_clock_and_hasher(quota, keys, ManualClock::new(), hasher)
}

fn records(table: &Table, now: Timestamp) -> Vec<Record> {
    let mut records = Vec::new();
    let write = |record| {
        records.push(record);
        ok(())
    };
    let keys = table.save_at(now, wall(0), write).unwrap();
    assert_eq!(records.len() as u64, keys + 2);
    records
}

fn fixed_records(table: &Fixed, now: Timestamp) -> Vec<TableRecord<FixedKey, BucketLevel>> {
    let mut records = Vec::new();
    let write = |record| {
        records.push(record);
        ok(())
    };
    let keys = table.save_at(now, wall(0), write).unwrap();
    assert_eq!(records.len() as u64, keys + 2);
    records
}

#[expect(clippy::unnecessary_wraps, reason = "a record that was read")]
const fn ok<T>(record: T) -> Result<T, Infallible> {
    Ok(record)
}

fn restore(
    records: Vec<Record>,
    fresh: Table,
    passed: u64,
) -> Result<Table, RestoreTableError<Infallible>> {
    Keyed::restore_at(records.into_iter().map(ok), fresh, at(SECOND), wall(passed))
}

fn refusal(records: Vec<Record>) -> RestoreError {
    match restore(records, table(), 0) {
        Err(RestoreTableError::Restore(error)) => error,
        other => panic!("{other:?}"),
    }
}

proptest! {
    /// Each key of a restored table has what a bucket of its own has after the same restore.
    #[test]
    fn keys_are_restored_like_buckets(
        spent in prop::collection::btree_map(0_u64..200, 1_u64..8, 0..60),
        now in 0..3_600 * SECOND,
        passed in prop_oneof![Just(0), 0..3 * SECOND],
    ) {
        let (before, fixed_before) = (table(), fixed(100, 1));
        let mut alone = BTreeMap::new();
        for (&key, &n) in &spent {
            let bucket = TokenBucket::with_clock(quota(key), ManualClock::new());
            bucket.try_acquire_at(n, at(now)).unwrap();
            before.try_acquire_at(&key, n, at(now)).unwrap();
            fixed_before.try_acquire_at(&key, n, at(now)).unwrap();
            alone.insert(key, bucket);
        }
        let after = restore(records(&before, at(now)), table(), passed).unwrap();
        let fixed_records = fixed_records(&fixed_before, at(now)).into_iter().map(ok);
        let fixed_after =
            Fixed::restore_at(fixed_records, fixed(100, 1), at(SECOND), wall(passed)).unwrap();
        for key in 0..200 {
            let fresh = TokenBucket::with_clock(quota(key), ManualClock::new());
            let expected = match alone.get(&key) {
                Some(bucket) => {
                    let saved = bucket.save_at(at(now), wall(0));
                    TokenBucket::restore_at(&saved, fresh, at(SECOND), wall(passed)).unwrap()
                }
                None => fresh,
            };
            // Words have grains of half a nanosecond.
            let (least, most) =
                (expected.available_at(at(SECOND)), expected.available_at(at(SECOND + 8)));
            let available = after.available_at(&key, at(SECOND + 4));
            prop_assert!((least..=most).contains(&available), "{key}: {least}..={most}");
            if key % 4 == 0 {
                let available = fixed_after.available_at(&key, at(SECOND));
                prop_assert_eq!(available, least, "{}", key);
            }
        }
        // Keys that are full by now are left out.
        let full = |(key, bucket): &(&u64, &TokenBucket<ManualClock>)| {
            let saved = bucket.save_at(at(now), wall(0));
            let fresh = TokenBucket::with_clock(quota(**key), ManualClock::new());
            let bucket = TokenBucket::restore_at(&saved, fresh, at(SECOND), wall(passed)).unwrap();
            // Not within the rounding of a word.
            bucket.peek_at(quota(**key).capacity(), at(SECOND)).is_ok()
        };
        let in_use = alone.len() - alone.iter().filter(full).count();
        prop_assert!(after.len() >= in_use);
        prop_assert!(after.len() <= spent.len());
    }
}

#[test]
fn limiters_kept_whole_are_restored() {
    type Windows = Keyed<String, SlidingWindow<ManualClock>>;
    let windows = || -> Windows {
        let minute = Duration::from_secs(60);
        Keyed::new(move |_: &String| {
            SlidingWindow::with_clock(10, minute, ManualClock::new()).unwrap()
        })
    };
    let before = windows();
    before.try_acquire_at("alice", 7, at(0)).unwrap();
    let mut records: Vec<TableRecord<String, WindowState>> = Vec::new();
    let write = |record| {
        records.push(record);
        ok(())
    };
    assert_eq!(before.save_at(at(SECOND), wall(0), write), Ok(1));
    let after = Windows::restore_at(records.into_iter().map(ok), windows(), at(0), wall(0));
    let after = after.unwrap();
    assert_eq!(after.available_at("alice", at(0)), 3);
    assert_eq!(after.available_at("bob", at(0)), 10);
}

#[test]
fn bucket_of_keys_without_room_is_restored() {
    let full = || {
        Keyed::builder(|&key: &u64| TokenBucket::with_clock(quota(key), ManualClock::new()))
            .max_keys(1)
            .build()
    };
    let before: Table = full();
    before.try_acquire_at(&0, 1, at(0)).unwrap();
    before.try_acquire_at(&4, 15, at(0)).unwrap();
    let after = restore(records(&before, at(0)), full(), 0).unwrap();
    assert_eq!(after.available_at(&8, at(SECOND)), 5);

    // Without a key there is nothing to make it of, unless the builder has it.
    let none = || {
        Keyed::builder(|&key: &u64| TokenBucket::with_clock(quota(key), ManualClock::new()))
            .max_keys(0)
    };
    let before: Table = none().build();
    before.try_acquire_at(&4, 15, at(0)).unwrap();
    let saved = records(&before, at(0));
    assert_eq!(saved.len(), 2);
    let restored = restore(saved.clone(), none().build(), 0);
    let refused = RestoreTableError::Restore(RestoreError::NoSharedLimiter);
    assert_eq!(restored.unwrap_err(), refused);
    let shared = TokenBucket::with_clock(quota(0), ManualClock::new());
    let after = restore(saved, none().shared(shared).build(), 0).unwrap();
    assert_eq!(after.available_at(&8, at(SECOND)), 5);

    let before = fixed(1, 1);
    // Until all 15 entries of the only set are in use, and two more calls share a bucket.
    let admitted = (0..40_u64).filter(|key| before.try_acquire_at(key, 9, at(0)).is_ok());
    assert_eq!(admitted.count(), 17);
    let records = fixed_records(&before, at(0)).into_iter().map(ok);
    let after = Fixed::restore_at(records, fixed(1, 1), at(0), wall(0)).unwrap();
    let admitted = (0..40_u64).filter(|key| after.try_acquire_at(key, 9, at(0)).is_ok());
    assert_eq!(
        admitted.count(),
        15,
        "a second time for each key that has an entry"
    );
}

#[test]
fn streams_must_be_whole() {
    let before = table();
    for key in 0..3 {
        before.try_acquire_at(&key, 2, at(0)).unwrap();
    }
    let whole = records(&before, at(0));
    assert!(restore(whole.clone(), table(), 0).is_ok());
    assert_eq!(refusal(Vec::new()), RestoreError::NoHeader);
    assert_eq!(refusal(whole[1..].to_vec()), RestoreError::NoHeader);
    for end in 1..whole.len() {
        assert_eq!(refusal(whole[..end].to_vec()), RestoreError::Truncated);
    }
    let mut lost = whole.clone();
    lost.remove(2);
    assert_eq!(refusal(lost), RestoreError::Truncated);
    let mut twice = whole.clone();
    twice[2] = twice[1].clone();
    assert_eq!(refusal(twice), RestoreError::DuplicateKey);
    for further in [whole[0].clone(), whole[4].clone()] {
        let mut long = whole.clone();
        long.push(further);
        assert_eq!(refusal(long), RestoreError::TrailingRecords);
    }
    let mut headers = whole.clone();
    headers.insert(2, whole[0].clone());
    assert_eq!(refusal(headers), RestoreError::TrailingRecords);

    let broken = whole.into_iter().take(2).map(Ok).chain([Err("disk")]);
    let restored = Keyed::restore_at(broken, table(), at(0), wall(0));
    assert_eq!(restored.unwrap_err(), RestoreTableError::Source("disk"));
    // An error of the writer ends the save.
    let mut written = 0;
    let failed = before.save_at(at(0), wall(0), |_| {
        written += 1;
        if written == 3 { Err("full") } else { Ok(()) }
    });
    assert_eq!((failed, written), (Err("full"), 3));
}

#[test]
fn tables_without_room_are_refused() {
    let before = table();
    for key in 0..3 {
        before.try_acquire_at(&key, 2, at(0)).unwrap();
    }
    let small =
        Keyed::builder(|&key: &u64| TokenBucket::with_clock(quota(key), ManualClock::new()))
            .max_keys(2)
            .overflow(Overflow::Refuse)
            .build();
    let restored = restore(records(&before, at(0)), small, 0);
    let refused = RestoreTableError::Restore(RestoreError::NoRoom);
    assert_eq!(restored.unwrap_err(), refused);
}

#[test]
fn fixed_tables_must_hash_alike() {
    let before = fixed(100, 1);
    before.try_acquire_at("alice", 15, at(0)).unwrap();
    let saved = fixed_records(&before, at(0));
    let restore = |fresh: Fixed| {
        let records = saved.clone().into_iter().map(ok);
        Fixed::restore_at(records, fresh, at(0), wall(0))
    };
    let after = restore(fixed(100, 1)).unwrap();
    assert_eq!(after.available_at("alice", at(0)), 5);
    assert_eq!(after.available_at("bob", at(0)), 20);
    let refused = RestoreTableError::Restore(RestoreError::DifferentTable);
    assert_eq!(restore(fixed(100, 2)).unwrap_err(), refused);
    assert_eq!(restore(fixed(200, 1)).unwrap_err(), refused);

    let twice: Vec<_> = [0, 1, 1].map(|index| saved[index].clone()).into();
    let restored = Fixed::restore_at(twice.into_iter().map(ok), fixed(100, 1), at(0), wall(0));
    let refused = RestoreTableError::Restore(RestoreError::DuplicateKey);
    assert_eq!(restored.unwrap_err(), refused);
}
