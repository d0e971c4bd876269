//! Keys of all kinds and their borrowed forms, tables in statics, statistics and debug output.

extern crate alloc;

use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;
use std::hash::RandomState;
use std::sync::LazyLock;

use tidegate::{
    Clock, Combined, DefaultClock, FixedKeyed, IpKey, KeyHasher, Keyed, ManualClock, Overflow,
    Quota, SlidingWindow, TokenBucket,
};

use crate::bucket;

fn keyed<K>() -> Keyed<K, TokenBucket<ManualClock>> {
    Keyed::new(|_: &K| bucket(Quota::per_hour(10)))
}

#[test]
fn borrowed_forms_are_the_key() {
    let users = keyed::<String>();
    users.try_acquire("alice", 4).expect("new");
    users
        .try_acquire(&String::from("alice"), 1)
        .expect("6 are left");
    assert_eq!(users.available("alice"), 5);
    assert_eq!(users.available(&String::from("alice")), 5);
    assert!(users.contains("alice") && !users.contains("bob"));
    assert!(users.remove("alice"));

    let tokens = keyed::<Vec<u8>>();
    tokens.try_acquire(&b"secret"[..], 4).expect("new");
    tokens
        .try_acquire(&b"secret".to_vec(), 1)
        .expect("the same");
    assert_eq!(tokens.available(&b"secret"[..]), 5);

    let pairs = keyed::<(u32, String)>();
    let pair = (7, String::from("/upload"));
    pairs.try_acquire(&pair, 10).expect("new");
    assert!(pairs.try_acquire(&pair, 1).is_err());
    assert!(pairs.try_acquire(&(8, pair.1), 1).is_ok());

    let addresses = keyed::<IpAddr>();
    addresses
        .try_acquire(&IpAddr::from([127, 0, 0, 1]), 1)
        .expect("new");
    let networks = keyed::<IpKey>();
    networks
        .try_acquire(&IpKey::from(IpAddr::from([127, 0, 0, 1])), 1)
        .expect("new");

    let shared = keyed::<Arc<str>>();
    shared
        .try_acquire(&Arc::<str>::from("alice"), 1)
        .expect("new");
    assert_eq!(shared.available(&Arc::<str>::from("alice")), 9);

    let statics = keyed::<&'static str>();
    statics.try_acquire(&"login", 1).expect("new");
    assert_eq!(statics.available(&"login"), 9);
}

#[test]
fn table_takes_keys_of_any_type() {
    let table = FixedKeyed::with_clock(Quota::per_hour(10), 100, ManualClock::new());
    table.try_acquire("alice", 4).expect("new");
    table
        .try_acquire(&String::from("alice"), 1)
        .expect("the same hash");
    assert_eq!(table.available("alice"), 5);
    table.try_acquire(&(1_u8, "alice"), 10).expect("another");
    table.try_acquire(&7_u128, 10).expect("another");
    table.try_acquire(&[1_u8, 2][..], 10).expect("another");
    assert_eq!(table.stats().active, 4);
}

#[test]
fn tables_are_send_sync_and_unpin() {
    const fn everywhere<T: Send + Sync + Unpin + 'static>() {}
    everywhere::<Keyed<String, TokenBucket>>();
    everywhere::<Keyed<u64, SlidingWindow<ManualClock>, RandomState>>();
    everywhere::<Keyed<u64, Combined<DefaultClock>>>();
    everywhere::<FixedKeyed>();
    everywhere::<FixedKeyed<ManualClock, RandomState>>();
    everywhere::<KeyHasher>();
}

#[test]
fn tables_live_in_statics() {
    static MAP: LazyLock<Keyed<String, TokenBucket>> =
        LazyLock::new(|| Keyed::new(|_| TokenBucket::new(Quota::per_day(2))));
    static TABLE: LazyLock<FixedKeyed> =
        LazyLock::new(|| FixedKeyed::new(Quota::per_day(2), 1_000));
    for admitted in [true, true, false] {
        assert_eq!(MAP.try_acquire("alice", 1).is_ok(), admitted);
        assert_eq!(TABLE.try_acquire("alice", 1).is_ok(), admitted);
    }
}

/// The hash function does not change decisions.
#[test]
fn hash_function_can_be_chosen() {
    fn check<S: core::hash::BuildHasher + Clone>(hasher: S) {
        let keyed = Keyed::builder(|_: &String| bucket(Quota::per_hour(3)))
            .hasher(hasher.clone())
            .build();
        let clock = ManualClock::new();
        let table = FixedKeyed::with_clock_and_hasher(Quota::per_hour(3), 50, clock, hasher);
        for key in 0..30 {
            let key = format!("user {key}");
            let calls = |call: &dyn Fn() -> bool| (0..5).filter(|_| call()).count();
            assert_eq!(calls(&|| keyed.try_acquire(&key, 1).is_ok()), 3);
            assert_eq!(calls(&|| table.try_acquire(&key, 1).is_ok()), 3);
        }
        assert_eq!(keyed.len(), 30);
        assert_eq!(table.stats().active, 30);
    }
    check(RandomState::new());
    check(KeyHasher::new());
    check(KeyHasher::with_seeds([0; 4]));
}

/// Statistics add up after any calls.
#[test]
fn statistics_add_up() {
    let clock = ManualClock::new();
    let time = clock.clone();
    let keyed =
        Keyed::builder(move |_: &u64| TokenBucket::with_clock(Quota::per_second(5), time.clone()))
            .max_keys(100)
            .overflow(Overflow::Refuse)
            .build();
    let (mut removed, mut refused) = (0, 0);
    for turn in 0..5_000_u64 {
        let key = turn * turn % 307;
        refused += u64::from(!keyed.contains(&key) && keyed.try_acquire(&key, 1).is_err());
        removed += u64::from(turn % 7 == 0 && keyed.remove(&(key / 2)));
        clock.advance(Duration::from_millis(turn % 3));
        let stats = keyed.stats();
        assert_eq!(stats.created - stats.evicted - removed, stats.keys);
        assert_eq!(stats.keys, keyed.len() as u64);
        assert_eq!(stats.overflowed, refused);
        assert_eq!(stats.max_keys, 100);
    }
    assert!(removed > 0 && refused > 0 && keyed.stats().evicted > 0);
}

/// Queries and refusals add no key.
#[test]
fn queries_add_no_key() {
    let keyed = keyed::<u64>();
    assert_eq!(keyed.available(&1), 10);
    assert_eq!(keyed.wait_time(&1, 10), Some(Duration::ZERO));
    assert_eq!(keyed.wait_time(&1, 11), None);
    assert!(keyed.peek(&1, 10).is_ok() && keyed.peek(&1, 11).is_err());
    assert_eq!(keyed.try_acquire(&1, 0), Ok(()));
    assert!(keyed.try_acquire(&1, 11).is_err());
    assert!(!keyed.contains(&1) && keyed.is_empty() && !keyed.remove(&1));
    assert_eq!(keyed.evict_unused(), 0);
    keyed.for_each(|key, _| panic!("{key}"));
    assert_eq!(keyed.stats().created, 0);
}

#[test]
fn each_key_is_visited_once() {
    let keyed = Keyed::new(|key: &u64| bucket(Quota::per_hour(10 + key % 3)));
    for key in 0..1_000 {
        keyed.try_acquire(&key, key % 10 + 1).expect("new");
    }
    let mut shown = Vec::new();
    keyed.for_each(|key, available| {
        assert_eq!(available, 10 + key % 3 - (key % 10 + 1));
        shown.push(*key);
    });
    shown.sort_unstable();
    assert!(shown.into_iter().eq(0..1_000));
}

/// Keys are often secret or personal, and seeds defend against collisions. `Debug` shows neither.
#[test]
fn debug_output_shows_no_keys() {
    let builder = Keyed::builder(|_: &String| bucket(Quota::per_hour(10))).max_keys(77);
    assert!(format!("{builder:?}").contains("77"));
    let keyed = builder.build();
    let table = FixedKeyed::with_clock(Quota::per_hour(10), 100, ManualClock::new());
    keyed.try_acquire("hunter2", 1).expect("new");
    table.try_acquire("hunter2", 1).expect("new");
    for text in [
        format!("{keyed:?}"),
        format!("{table:?}"),
        format!("{:?}", keyed.stats()),
        format!("{:?}", KeyHasher::with_seeds([123_456; 4])),
    ] {
        assert!(
            !text.contains("hunter2") && !text.contains("123456"),
            "{text}"
        );
    }
    assert!(format!("{keyed:?}").contains("keys: 1"));
}

/// Each call reads the clock of the first limiter once.
#[test]
fn call_reads_one_clock_once() {
    #[derive(Clone, Default)]
    struct Counted(Arc<core::sync::atomic::AtomicU64>);
    impl Clock for Counted {
        fn now(&self) -> tidegate::Timestamp {
            tidegate::Timestamp::from_nanos(
                self.0.fetch_add(1, core::sync::atomic::Ordering::SeqCst),
            )
        }
    }
    let clock = Counted::default();
    let time = clock.clone();
    let keyed = Keyed::new(move |_: &u64| TokenBucket::with_clock(Quota::per_day(5), time.clone()));
    let reads = || clock.0.load(core::sync::atomic::Ordering::SeqCst);
    // One more reading for the first limiter, to find out its kind.
    keyed.try_acquire(&1, 1).expect("new");
    let mut before = reads();
    let calls: [&dyn Fn(); 7] = [
        &|| assert!(keyed.try_acquire(&1, 1).is_ok()),
        &|| assert!(keyed.try_acquire(&2, 1).is_ok()),
        &|| assert!(keyed.try_acquire(&1, 10).is_err()),
        &|| assert!(keyed.peek(&3, 1).is_ok()),
        &|| assert!(keyed.wait_time(&1, 1).is_some()),
        &|| assert!(keyed.available(&1) < 5),
        &|| assert_eq!(keyed.evict_unused(), 0),
    ];
    for call in calls {
        call();
        before += 1;
        assert_eq!(reads(), before);
    }
}
