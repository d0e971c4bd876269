//! Tables of keys: a table of candidates, and candidates in the limiters of a table.

use alloc::sync::Arc;
use core::time::Duration;

use tidegate::{
    FixedKeyed, Keyed, KeyedShadow, ManualClock, Quota, Shadow, ShadowCounts, TokenBucket,
    TrackDenied,
};

use crate::{bucket, counts};

fn fixed(burst: u64, clock: &ManualClock) -> FixedKeyed<ManualClock> {
    FixedKeyed::with_clock(Quota::per_second(1).burst(burst), 100, clock.clone())
}

fn keyed(burst: u64, clock: &ManualClock) -> Keyed<String, TokenBucket<ManualClock>> {
    let clock = clock.clone();
    Keyed::new(move |_: &String| bucket(burst, &clock))
}

#[test]
fn tables_of_any_kind_are_tried_key_by_key() {
    let clock = ManualClock::new();
    let users = KeyedShadow::beside(keyed(3, &clock), fixed(1, &clock));
    for user in ["alice", "alice", "bob", "alice", "alice"] {
        _ = users.try_acquire(user, 1);
    }
    assert_eq!(counts(users.stats()), [2, 2, 0, 1]);
    assert_eq!(users.live().available("alice"), 0);
    assert_eq!(users.candidates().available("bob"), 0);
    assert!(users.try_acquire("carol", 0).is_ok());
    assert_eq!(users.stats().calls(), 5);

    let looser = KeyedShadow::instead(fixed(1, &clock), keyed(2, &clock));
    for _ in 0..4 {
        _ = looser.decide("alice", 1);
    }
    assert_eq!(counts(looser.stats()), [1, 0, 1, 2]);
    let (live, candidates) = looser.into_parts();
    assert_eq!(
        (live.available("alice"), candidates.available("alice")),
        (0, 0)
    );
}

/// The candidates' list has the keys that only they refuse: the customers that a stricter limit
/// would hit.
#[test]
fn list_of_the_candidates_names_the_customers_that_would_be_hit() {
    let clock = ManualClock::new();
    let candidates = TrackDenied::<_, String>::new(fixed(2, &clock), 10);
    let users = KeyedShadow::beside(fixed(5, &clock), candidates);
    for _ in 0..9 {
        _ = users.try_acquire("mallory", 1);
    }
    for _ in 0..3 {
        assert!(users.try_acquire("alice", 1).is_ok());
    }
    let top = users.candidates().most_denied().top(10);
    let listed: Vec<_> = top
        .keys
        .iter()
        .map(|it| (it.key.as_str(), it.at_least))
        .collect();
    // Not the calls that are refused already.
    assert_eq!(listed, [("mallory", 3), ("alice", 1)]);
    assert_eq!(counts(users.stats()), [4, 4, 0, 4]);
}

#[test]
fn waits_for_keys_wait_at_the_live_table() {
    let clock = ManualClock::new();
    let candidates = TrackDenied::<_, String>::new(fixed(1, &clock), 10);
    let users = KeyedShadow::beside(fixed(2, &clock), candidates);
    for _ in 0..2 {
        assert_eq!(users.acquire("alice", 1).wait(), Ok(()));
    }
    assert_eq!(counts(users.stats()), [1, 1, 0, 0]);
    let timeout = Duration::from_millis(100);
    assert!(users.acquire("alice", 1).timeout(timeout).wait().is_err());
    assert_eq!(counts(users.stats()), [1, 1, 0, 1]);
    let top = users.candidates().most_denied().top(10);
    assert_eq!((top.keys.len(), top.keys[0].at_least), (1, 1));
    assert_eq!(users.at("alice").waiting(), 0);

    let users = KeyedShadow::instead(fixed(1, &clock), fixed(2, &clock));
    assert_eq!(users.acquire("alice", 1).wait(), Ok(()));
    for _ in 0..2 {
        assert!(users.acquire("alice", 1).timeout(timeout).wait().is_err());
    }
    assert_eq!(counts(users.stats()), [1, 0, 1, 1]);
}

/// A table whose limiters are shadows: tiers, and counts that outlive the keys.
#[test]
fn limiters_of_a_table_may_be_shadows() {
    let clock = ManualClock::new();
    let all = Arc::new(ShadowCounts::new());
    let (shared, time) = (Arc::clone(&all), clock.clone());
    let users = Keyed::new(move |user: &String| {
        let burst = if user.starts_with("pro:") { 10 } else { 2 };
        Shadow::beside(bucket(burst, &time), bucket(burst / 2, &time))
            .counted_in(Arc::clone(&shared))
    });
    for user in ["alice", "pro:bob"] {
        for _ in 0..12 {
            _ = users.try_acquire(user, 1);
        }
    }
    assert_eq!(counts(all.stats()), [6, 6, 0, 12]);
    clock.advance(Duration::from_secs(10));
    assert_eq!(users.evict_unused(), 2);
    assert_eq!(counts(all.stats()), [6, 6, 0, 12]);
    assert_eq!(users.acquire("alice", 1).wait(), Ok(()));
    assert_eq!(counts(all.stats()), [7, 6, 0, 12]);
}
