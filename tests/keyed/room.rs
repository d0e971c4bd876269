//! Tables without room, with little room, and with room that came back.

use core::time::Duration;

use tidegate::{Denied, FixedKeyed, Keyed, ManualClock, Overflow, Quota, TokenBucket};

use crate::{OneSpot, at, bucket};

const HOUR: Duration = Duration::from_secs(3_600);

fn keyed(max_keys: usize, overflow: Overflow) -> Keyed<u64, TokenBucket<ManualClock>> {
    Keyed::builder(|_: &u64| bucket(Quota::per_hour(10)))
        .max_keys(max_keys)
        .overflow(overflow)
        .build()
}

#[test]
fn table_of_no_keys() {
    let never = Err(Denied::Never { capacity: 0 });
    let refuse = keyed(0, Overflow::Refuse);
    assert_eq!(refuse.try_acquire_at(&1, 1, at(0)), never);
    assert_eq!(refuse.peek_at(&1, 1, at(0)), never);
    assert_eq!(refuse.available_at(&1, at(0)), 0);
    assert_eq!(refuse.wait_time_at(&1, 1, at(0)), None);
    assert_eq!(refuse.try_acquire_at(&1, 0, at(0)), Ok(()));
    let admit = keyed(0, Overflow::Admit);
    assert_eq!(admit.try_acquire_at(&1, 10, at(0)), Ok(()));
    let share = keyed(0, Overflow::Share);
    let admitted = (0..20).filter(|key| share.try_acquire_at(key, 1, at(0)).is_ok());
    assert_eq!(admitted.count(), 10);
    assert_eq!(share.available_at(&99, at(0)), 0);
    for keyed in [refuse, admit, share] {
        assert!(keyed.is_empty());
        assert_eq!(keyed.stats().created, 0);
    }
}

/// A key that shares has what the shared limiter has, also before its first call.
#[test]
fn shared_limiter_can_be_chosen() {
    let shared = bucket(Quota::per_hour(3));
    let keyed = Keyed::builder(|_: &u64| bucket(Quota::per_hour(10)))
        .max_keys(1)
        .shared(shared)
        .build();
    keyed.try_acquire_at(&0, 1, at(0)).expect("room");
    assert_eq!(keyed.available_at(&1, at(0)), 3);
    assert!(keyed.peek_at(&1, 3, at(0)).is_ok());
    assert_eq!(keyed.stats().overflowed, 0, "queries do not count");
    keyed.try_acquire_at(&1, 2, at(0)).expect("3 are left");
    assert!(keyed.try_acquire_at(&2, 2, at(0)).is_err());
    keyed.try_acquire_at(&2, 1, at(0)).expect("1 is left");
    assert_eq!(keyed.stats().overflowed, 3);
    assert_eq!(keyed.available_at(&0, at(0)), 9);
}

/// More than the capacity is refused as such, not as a lack of room, which would end.
#[test]
fn without_room_more_than_capacity_is_never() {
    let never = Err(Denied::Never { capacity: 10 });
    for overflow in [Overflow::Share, Overflow::Refuse, Overflow::Admit] {
        let keyed = keyed(1, overflow);
        keyed.try_acquire_at(&0, 1, at(0)).expect("room");
        assert_eq!(keyed.try_acquire_at(&1, 11, at(0)), never, "{overflow:?}");
        assert_eq!(keyed.peek_at(&1, 11, at(0)), never, "{overflow:?}");
        let most = keyed.try_acquire_at(&1, 10, at(0));
        assert_eq!(most.is_ok(), overflow != Overflow::Refuse, "{overflow:?}");
    }
}

/// A call that the key's own limiter refuses takes no room, or other keys would be refused
/// meanwhile.
#[test]
fn call_for_more_than_capacity_takes_no_room() {
    let keyed = keyed(1, Overflow::Refuse);
    for key in 0..100 {
        let never = Err(Denied::Never { capacity: 10 });
        assert_eq!(keyed.try_acquire_at(&key, 11, at(0)), never);
    }
    assert_eq!((keyed.len(), keyed.stats().overflowed), (0, 0));
    assert_eq!(keyed.try_acquire_at(&1, 10, at(0)), Ok(()));
}

#[test]
fn removal_makes_room_and_forgives() {
    let keyed = keyed(1, Overflow::Refuse);
    keyed.try_acquire_at(&1, 10, at(0)).expect("room");
    assert!(keyed.try_acquire_at(&2, 1, at(0)).is_err());
    assert!(keyed.try_acquire_at(&2, 1, at(0)).is_err(), "still refused");
    assert!(!keyed.remove(&2));
    assert!(keyed.remove(&1));
    assert!(!keyed.remove(&1));
    assert_eq!(keyed.try_acquire_at(&2, 10, at(0)), Ok(()));
    assert!(keyed.remove(&2));
    assert_eq!(keyed.try_acquire_at(&1, 10, at(0)), Ok(()), "forgiven");
}

/// Keys of all kinds are found, evicted and removed.
#[test]
fn keys_of_all_kinds_are_evicted_and_removed() {
    // The first quota, more than 64 other quotas, and buckets that are not full when they are made.
    let limiter = |key: &u64| {
        let bucket = bucket(Quota::per_hour(10 + key % 70));
        if key % 3 == 2 {
            bucket.with_initial(5)
        } else {
            bucket
        }
    };
    let keyed = Keyed::new(limiter);
    for key in 0..210 {
        keyed.try_acquire_at(&key, 1, at(0)).expect("new");
    }
    for key in 0..210 {
        assert!(keyed.contains(&key));
    }
    assert_eq!((keyed.len(), keyed.evict_unused_at(at(0))), (210, 0));
    for key in 0..70 {
        assert!(keyed.remove(&key) && !keyed.contains(&key));
    }
    assert_eq!(keyed.len(), 140);
    let later = at(0) + HOUR;
    assert_eq!(keyed.evict_unused_at(later), 140);
    assert!(keyed.is_empty());
    let stats = keyed.stats();
    assert_eq!((stats.keys, stats.created, stats.evicted), (0, 210, 140));
}

/// Insertions evict unused keys, without a call of `evict_unused`.
#[test]
fn insertions_evict_unused_keys() {
    let keyed = Keyed::builder(|_: &u64| bucket(Quota::per_hour(10)))
        .hasher(OneSpot)
        .build();
    for key in 0..10_000 {
        keyed.try_acquire_at(&key, 1, at(0)).expect("new");
    }
    let later = at(0) + HOUR;
    for key in 10_000..12_000 {
        keyed.try_acquire_at(&key, 1, later).expect("new");
    }
    assert_eq!((keyed.len(), keyed.stats().evicted), (2_000, 10_000));
}

/// Queries of a full table answer by its policy.
#[test]
fn queries_of_full_table_follow_policy() {
    for (overflow, available, peeked) in [
        (Overflow::Share, 10, true),
        (Overflow::Refuse, 0, false),
        (Overflow::Admit, 10, true),
    ] {
        let quota = Quota::per_hour(10);
        let table = FixedKeyed::with_clock_and_hasher(quota, 1, ManualClock::new(), OneSpot)
            .overflow(overflow);
        assert_eq!(table.capacity_in_keys(), 8);
        for key in 0..15_u64 {
            table.try_acquire_at(&key, 10, at(0)).expect("an entry");
        }
        let new_key = 1_000_u64;
        assert_eq!(
            table.available_at(&new_key, at(0)),
            available,
            "{overflow:?}"
        );
        assert_eq!(table.peek_at(&new_key, 10, at(0)).is_ok(), peeked);
        let never = Err(Denied::Never { capacity: 10 });
        assert_eq!(table.peek_at(&new_key, 11, at(0)), never);
        assert_eq!(table.try_acquire_at(&new_key, 11, at(0)), never);
        assert_eq!(table.stats_at(at(0)).overflowed, 0);
        assert_eq!(table.try_acquire_at(&new_key, 10, at(0)).is_ok(), peeked);
        assert_eq!(table.stats_at(at(0)).overflowed, 1);
    }
}

/// What a policy admitted is not charged to a key that finds room later. The sum is bounded, not
/// the single key.
#[test]
fn key_that_finds_room_later_starts_anew() {
    let keyed = keyed(1, Overflow::Share);
    keyed.try_acquire_at(&1, 1, at(0)).expect("room");
    keyed.try_acquire_at(&2, 10, at(0)).expect("shared");
    assert!(keyed.try_acquire_at(&2, 1, at(0)).is_err());
    let later = at(0) + HOUR / 10;
    assert_eq!(keyed.try_acquire_at(&2, 10, later), Ok(()), "its own");
}
