//! Limits of keys change: of all, of a tier, of one.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::time::Duration;
use std::thread;

use tidegate::{
    Combined, Denied, Keyed, Limiter, ManualClock, Overflow, Quota, SlidingWindow, TokenBucket,
};

type Users = Keyed<String, TokenBucket<ManualClock>>;

fn make(
    free: Quota,
    pro: Quota,
    clock: &ManualClock,
) -> impl Fn(&String) -> TokenBucket<ManualClock> + use<> {
    let clock = clock.clone();
    move |user| {
        let quota = if user.starts_with("pro:") { pro } else { free };
        TokenBucket::with_clock(quota, clock.clone())
    }
}

fn users() -> (Users, ManualClock) {
    let clock = ManualClock::new();
    let make = make(Quota::per_minute(60), Quota::per_minute(600), &clock);
    (Keyed::new(make), clock)
}

#[test]
fn tier_changes_and_keeps_its_levels() {
    let (users, clock) = users();
    users.try_acquire("alice", 50).expect("valid");
    users.try_acquire("pro:bob", 500).expect("valid");
    users.try_acquire("pro:eve", 1).expect("valid");
    users.at("pro:eve").debit(1_000);
    users.set_factory(make(
        Quota::per_minute(60),
        Quota::per_minute(6_000),
        &clock,
    ));

    assert_eq!(
        (users.available("alice"), users.available("pro:bob")),
        (10, 100)
    );
    assert_eq!(users.at("pro:eve").debt(), 401);
    assert_eq!(users.available("pro:new"), 6_000);
    clock.advance(Duration::from_secs(1));
    assert_eq!(
        (users.available("alice"), users.available("pro:bob")),
        (11, 200)
    );
    assert_eq!(users.at("pro:eve").debt(), 301);
    assert_eq!(
        users.try_acquire("pro:bob", 6_001),
        Err(Denied::Never { capacity: 6_000 })
    );
}

#[test]
fn all_keys_change_back_and_forth() {
    let (users, clock) = users();
    for user in 0..500_u64 {
        users
            .try_acquire(&user.to_string(), 1 + user % 59)
            .expect("valid");
    }
    for per_minute in [120, 30, 60, 600, 60] {
        let quota = Quota::per_minute(per_minute);
        users.set_factory(make(quota, quota, &clock));
        assert_eq!(users.len(), 500);
    }
    for user in 0..500_u64 {
        // 30 was the least capacity on the way.
        assert_eq!(users.available(&user.to_string()), (59 - user % 59).min(30));
    }
}

#[test]
fn one_key_keeps_its_quota_until_it_is_removed() {
    let (users, clock) = users();
    users.try_acquire("alice", 20).expect("valid");
    users
        .at("alice")
        .set_quota(Quota::per_minute(1_000))
        .expect("valid");
    users
        .at("new")
        .set_quota(Quota::per_minute(10))
        .expect("valid");
    assert_eq!((users.available("alice"), users.available("new")), (40, 10));

    clock.advance(Duration::from_secs(3_600));
    assert_eq!(
        users.evict_unused(),
        0,
        "keys with a quota of their own stay"
    );
    assert_eq!(
        (users.available("alice"), users.available("new")),
        (1_000, 10)
    );
    users.set_factory(make(Quota::per_minute(5), Quota::per_minute(5), &clock));
    assert_eq!(
        (users.available("alice"), users.available("bob")),
        (1_000, 5)
    );
    users
        .at("alice")
        .set_quota(Quota::per_minute(7))
        .expect("valid");
    assert_eq!(users.available("alice"), 7);
    assert!(users.remove("alice"));
    assert_eq!(users.available("alice"), 5);
}

#[test]
fn key_without_room_gets_no_quota() {
    let clock = ManualClock::new();
    let users: Users = Keyed::builder(make(Quota::per_minute(9), Quota::per_minute(9), &clock))
        .max_keys(1)
        .overflow(Overflow::Share)
        .build();
    users.try_acquire("alice", 1).expect("valid");
    assert!(matches!(
        users.at("bob").set_quota(Quota::per_minute(50)),
        Err(Denied::Busy { .. })
    ));
    assert_eq!((users.len(), users.available("alice")), (1, 8));
}

#[test]
fn charges_from_before_are_not_undone() {
    let (users, clock) = users();
    let alice = users.at("alice");
    users.try_acquire("alice", 1).expect("valid");
    let charge = alice.charge_at(10, alice.now()).expect("valid");
    alice.set_quota(Quota::per_minute(61)).expect("valid");
    assert_eq!(alice.undo(charge), 0);
    assert_eq!(alice.available(), 49);

    let bob = users.at("bob");
    users.try_acquire("bob", 1).expect("valid");
    let charge = bob.charge_at(10, bob.now()).expect("valid");
    users.set_factory(make(Quota::per_minute(30), Quota::per_minute(60), &clock));
    assert_eq!(bob.undo(charge), 0);
    assert_eq!(bob.available(), 30);
}

#[test]
fn more_quotas_than_a_table_knows() {
    let clock = ManualClock::new();
    let quotas = |more: u64, clock: &ManualClock| {
        let clock = clock.clone();
        move |key: &u64| TokenBucket::with_clock(Quota::per_minute(100 + key + more), clock.clone())
    };
    let users = Keyed::new(quotas(0, &clock));
    for key in 0..200 {
        users.try_acquire(&key, 100).expect("valid");
    }
    users.set_factory(quotas(50, &clock));
    for key in 0..200 {
        assert_eq!(users.available(&key), key);
        assert_eq!(users.at(&key).capacity(), 150 + key);
    }
}

#[test]
fn windows_and_combinations_of_keys_change() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let clock = ManualClock::new();
    let windows = |limit, clock: &ManualClock| {
        let clock = clock.clone();
        move |_: &u8| SlidingWindow::with_clock(limit, HOUR, clock.clone()).expect("valid")
    };
    let keys = Keyed::new(windows(10, &clock));
    keys.try_acquire(&1, 7).expect("valid");
    keys.set_factory(windows(20, &clock));
    assert_eq!((keys.available(&1), keys.available(&2)), (13, 20));

    let both = |limit, quota, clock: &ManualClock| {
        let clock = clock.clone();
        move |_: &u8| {
            let hour = SlidingWindow::with_clock(limit, HOUR, clock.clone()).expect("valid");
            let burst = TokenBucket::with_clock(quota, clock.clone());
            Combined::builder()
                .limit("hour", hour)
                .limit("burst", burst)
                .build()
        }
    };
    let keys = Keyed::new(both(10, Quota::per_second(5), &clock));
    keys.try_acquire(&1, 4).expect("valid");
    keys.set_factory(both(6, Quota::per_second(50), &clock));
    assert_eq!(keys.available(&1), 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(keys.available(&1), 2);
}

#[test]
fn threads_add_keys_beside_changes() {
    const KEYS: u64 = 2_000;
    const EACH: u64 = 5;
    const CALLS: usize = 5;
    let clock = ManualClock::new();
    let quotas = |rate: u64, clock: &ManualClock| {
        let clock = clock.clone();
        move |_: &u64| TokenBucket::with_clock(Quota::per_hour(rate).burst(EACH), clock.clone())
    };
    let keys = Keyed::new(quotas(1, &clock));
    let done = AtomicBool::new(false);
    let admitted: u64 = thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let calls = (0..KEYS).flat_map(|key| [key; CALLS]);
                    calls
                        .map(|key| u64::from(keys.try_acquire(&key, 1).is_ok()))
                        .sum::<u64>()
                })
            })
            .collect();
        let changer = scope.spawn(|| {
            for rate in (1..).take_while(|rate| *rate < 20 || !done.load(Relaxed)) {
                keys.set_factory(quotas(1 + rate % 3, &clock));
            }
        });
        let admitted = callers
            .into_iter()
            .map(|caller| caller.join().expect("valid"))
            .sum();
        done.store(true, Relaxed);
        changer.join().expect("valid");
        admitted
    });
    assert_eq!(
        admitted,
        KEYS * EACH,
        "no key gets a burst twice, and none loses one"
    );
}
