//! Decisions and queries for keys that the map holds.

use alloc::sync::Arc;
use core::time::Duration;

use dashmap::DashMap;
use tidegate::{
    Combined, DashKeyed, DefaultClock, Denied, KeyHasher, Limiter, ManualClock, Quota,
    ShardedTokenBucket, SlidingWindow, Timestamp, TokenBucket,
};

use crate::{SECOND, Sessions, bucket, limits, session};

#[test]
fn keys_are_limited_by_their_own_limiters() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let limits = limits(&sessions, &clock);
    sessions.insert("alice".into(), session(3, &clock));
    sessions.insert("bob".into(), session(5, &clock));

    assert_eq!(limits.try_acquire("alice", 2), Ok(()));
    assert_eq!((limits.available("alice"), limits.available("bob")), (1, 5));
    let denied = Denied::NotYet {
        retry_after: SECOND.into(),
    };
    assert_eq!(limits.try_acquire("alice", 2), Err(denied));
    assert_eq!(limits.peek("alice", 2), Err(denied));
    assert_eq!(limits.wait_time("alice", 2), Some(SECOND));
    assert_eq!(limits.wait_time("bob", 5), Some(Duration::ZERO));
    assert_eq!(
        limits.try_acquire("bob", 6),
        Err(Denied::Never { capacity: 5 })
    );
    assert_eq!(limits.peek("bob", 5), Ok(()));
    assert_eq!(limits.try_acquire("alice", 0), Ok(()));

    let snapshot = limits.snapshot_at("alice", limits.now());
    assert_eq!((snapshot.capacity, snapshot.available), (3, 1));

    clock.advance(SECOND);
    assert_eq!(limits.try_acquire("alice", 2), Ok(()));
}

/// The limiter in the map and the table are one and the same.
#[test]
fn map_stays_the_users_own() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let limits = limits(&sessions, &clock);
    sessions.insert("alice".into(), session(3, &clock));
    limits.try_acquire("alice", 1).unwrap();
    {
        let alice = limits.map().get("alice").unwrap();
        assert_eq!(alice.limiter.available(), 2);
        alice.limiter.debit(2);
    }
    assert_eq!(limits.available("alice"), 0);
    sessions.get("alice").unwrap().limiter.reset();
    assert_eq!(limits.available("alice"), 3);
    sessions.insert("alice".into(), session(7, &clock));
    assert_eq!(limits.available("alice"), 7);
    let (_, removed) = limits.remove("alice").unwrap();
    assert_eq!(removed.limiter.available(), 7);
    assert!(limits.remove("alice").is_none());
    assert!(sessions.is_empty());
}

#[test]
fn calls_as_of_an_instant_read_no_clock() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let limits = limits(&sessions, &clock);
    sessions.insert("alice".into(), session(1, &clock));
    let later = Timestamp::ZERO + SECOND;
    assert_eq!(limits.try_acquire_at("alice", 1, later), Ok(()));
    assert_eq!(limits.available_at("alice", later), 0);
    assert_eq!(limits.wait_time_at("alice", 1, later), Some(SECOND));
    assert!(limits.peek_at("alice", 1, later).is_err());
    assert_eq!(limits.available_at("alice", later + SECOND), 1);
}

/// A map by value, by reference and by pointer; keys and hash functions of all kinds.
#[test]
fn all_kinds_of_maps() {
    let clock = ManualClock::new();
    let filled = || {
        let map: DashMap<String, TokenBucket<ManualClock>> = DashMap::new();
        map.insert("alice".into(), bucket(2, &clock));
        map
    };
    let owned = DashKeyed::with_clock(filled(), |bucket| bucket, clock.clone());
    assert_eq!(owned.try_acquire("alice", 2), Ok(()));
    assert_eq!(owned.map().len(), 1);

    let shared = Arc::new(filled());
    let tables = [shared.clone(), shared.clone()]
        .map(|map| DashKeyed::with_clock(map, |bucket| bucket, clock.clone()));
    assert_eq!(tables[0].try_acquire("alice", 2), Ok(()));
    assert!(tables[1].try_acquire(&String::from("alice"), 1).is_err());

    let numbers = DashMap::with_hasher(KeyHasher::default());
    numbers.insert([7, 8], (bucket(2, &clock), "a name"));
    let limits = DashKeyed::with_clock(&numbers, |value: &(_, &str)| &value.0, clock.clone());
    assert_eq!(limits.try_acquire(&[7, 8], 2), Ok(()));
    assert!(limits.try_acquire(&[7, 8][..], 1).is_err());
}

/// Whatever is a limiter can be a part of a value.
#[test]
fn all_kinds_of_limiters() {
    fn admits_three<L: Limiter<Clock = ManualClock>>(limiter: L) {
        let clock = limiter.clock().clone();
        let map = DashMap::new();
        map.insert(1, (limiter, "more"));
        let limits = DashKeyed::with_clock(&map, |value: &(L, &str)| &value.0, clock);
        assert_eq!(limits.try_acquire(&1, 3), Ok(()));
        assert!(limits.try_acquire(&1, 1).is_err());
        assert_eq!(limits.available(&1), 0);
    }
    let clock = ManualClock::new();
    let quota = Quota::per_second(1).burst(3);
    let window = || SlidingWindow::with_clock(3, SECOND, clock.clone()).unwrap();
    admits_three(bucket(3, &clock));
    admits_three(Arc::new(bucket(3, &clock)));
    admits_three(window());
    admits_three(ShardedTokenBucket::with_clock(quota, clock.clone()));
    let combined = Combined::builder()
        .limit("bucket", bucket(3, &clock))
        .limit("window", window());
    admits_three(combined.build());
}

#[test]
fn default_clock() {
    let map = DashMap::new();
    map.insert(1, TokenBucket::new(Quota::per_day(3)));
    let limits = DashKeyed::new(map, |bucket| bucket);
    assert_eq!(limits.try_acquire(&1, 3), Ok(()));
    assert!(limits.try_acquire(&1, 1).is_err());
    let _: &DefaultClock = limits.clock();
}

/// A projection that panics charges nothing, and leaves no lock behind.
#[test]
fn projection_that_panics() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let limits = DashKeyed::with_clock(
        &sessions,
        |session: &crate::Session| {
            assert!(session.is_logged_in, "logged out");
            &session.limiter
        },
        clock.clone(),
    );
    sessions.insert("alice".into(), session(1, &clock));
    let call = || limits.try_acquire("alice", 1);
    assert!(std::panic::catch_unwind(core::panic::AssertUnwindSafe(call)).is_err());
    sessions.get_mut("alice").unwrap().is_logged_in = true;
    assert_eq!(limits.available("alice"), 1);
}

#[test]
fn debug_shows_no_keys() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    sessions.insert("alice".into(), session(1, &clock));
    let shown = format!("{:?}", limits(&sessions, &clock));
    assert!(
        shown.starts_with("DashKeyed") && !shown.contains("alice"),
        "{shown}"
    );
}
