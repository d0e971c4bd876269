//! Limits of keys change: of all, of a tier, of one.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::time::Duration;
use std::thread;

use tidegate::{
    ApiRateLimiter, Clock, Combined, Denied, Keyed, Limiter, ManualClock, Overflow, Quota,
    RateLimitConfig, SlidingWindow, Timestamp, TokenBucket,
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

/// A bucket that several limiters use.
fn shared_bucket(limit: u64, clock: &ManualClock) -> Arc<TokenBucket<ManualClock>> {
    let quota = Quota::per_minute(limit);
    Arc::new(TokenBucket::with_clock(quota, clock.clone()))
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

#[test]
fn spent_keys_get_no_burst_in_whichever_form_they_are_kept() {
    let clock = ManualClock::new();
    let time = clock.clone();
    // More quotas than a table knows, so that the last keys are kept whole.
    let users = Keyed::new(move |key: &u64| {
        TokenBucket::with_clock(Quota::per_minute(100 + key), time.clone())
    });
    for key in 0..200 {
        users.try_acquire(&key, 100 + key).expect("valid");
        if key % 2 == 1 {
            users.at(&key).debit(7);
        }
    }
    for key in 0..200 {
        users
            .at(&key)
            .set_quota(Quota::per_minute(500))
            .expect("valid");
        assert_eq!(users.available(&key), 0, "{key}");
        assert_eq!(users.at(&key).debt(), 7 * (key % 2), "{key}");
    }
    clock.advance(Duration::from_secs(6));
    for key in 0..200 {
        assert_eq!(users.available(&key), 50 - 7 * (key % 2), "{key}");
    }

    // A bucket that begins with less than all is kept whole as well.
    let time = clock.clone();
    let users = Keyed::new(move |_: &u64| {
        TokenBucket::with_clock(Quota::per_minute(10), time.clone()).with_initial(3)
    });
    users.try_acquire(&1, 1).expect("valid");
    users
        .at(&1)
        .set_quota(Quota::per_minute(60))
        .expect("valid");
    assert_eq!(users.available(&1), 2);
}

#[test]
fn set_quota_stays_in_whichever_form_it_is_kept() {
    // Too fast for a word that lasts for a century.
    const FAST: Quota = Quota::per_second(5_000_000_000).burst(8);
    let clock = ManualClock::new();
    let make = |clock: &ManualClock| {
        let clock = clock.clone();
        move |_: &u64| TokenBucket::with_clock(Quota::per_minute(60), clock.clone())
    };
    let users = Keyed::builder(make(&clock)).max_keys(2).build();
    users.at(&1).set_quota(FAST).expect("valid");
    users.at(&2).set_quota(Quota::per_hour(3)).expect("valid");
    clock.advance(Duration::from_secs(7_200));
    assert_eq!(users.evict_unused(), 0);
    users.try_acquire(&3, 1).expect("shared");
    assert_eq!((users.len(), users.stats().overflowed), (2, 1));
    users.set_factory(make(&clock));
    assert_eq!(users.at(&1).capacity(), 8);
    assert_eq!(users.at(&2).capacity(), 3);

    let half = users.at(&1).set_quota(Quota::per_hour(4));
    half.expect("valid");
    assert_eq!(users.available(&1), 4);
    assert!(users.remove(&1));
    assert_eq!(users.at(&1).capacity(), 60);
}

#[test]
fn quotas_that_no_key_has_any_more_are_forgotten() {
    let clock = ManualClock::new();
    let make = |more: u64| {
        let clock = clock.clone();
        let quota = Quota::per_second(1).burst(10 + more);
        move |_: &u64| TokenBucket::with_clock(quota, clock.clone())
    };
    let users = Keyed::new(make(0));
    users.try_acquire(&1, 10).expect("valid");
    clock.advance(Duration::from_millis(500));
    for more in 1..200 {
        users.set_factory(make(more));
    }
    // A bucket that is kept whole would have lost the half.
    clock.advance(Duration::from_millis(500));
    assert_eq!(users.available(&1), 1);
}

#[test]
fn panicking_factory_loses_no_key() {
    const KEYS: u64 = 100;
    let clock = ManualClock::new();
    let make = |limit: u64, bad: Option<u64>| {
        let clock = clock.clone();
        move |key: &u64| {
            assert_ne!(Some(*key), bad, "a bad key");
            TokenBucket::with_clock(Quota::per_minute(limit), clock.clone())
        }
    };
    let keys = Keyed::builder(make(10, None)).max_keys(100).build();
    for key in 0..KEYS {
        keys.try_acquire(&key, 4).expect("valid");
    }
    for bad in 0..KEYS {
        let limit = 20 + bad % 2;
        let change = || keys.set_factory(make(limit, Some(bad)));
        let outcome = std::panic::catch_unwind(core::panic::AssertUnwindSafe(change));
        outcome.expect_err("the factory has panicked");
        assert_eq!(keys.len(), 100);
    }
    keys.set_factory(make(30, None));
    for key in 0..KEYS {
        assert_eq!((keys.available(&key), keys.at(&key).capacity()), (6, 30));
    }
    for key in 0..KEYS {
        assert!(keys.remove(&key));
        keys.try_acquire(&(1_000 + key), 1).expect("there is room");
    }
}

#[test]
fn limits_that_keys_share_are_exchanged_and_not_changed() {
    let clock = ManualClock::new();
    let bucket = |limit| shared_bucket(limit, &clock);
    let (old, new) = (bucket(10), bucket(60));
    let (first, second) = (old.clone(), new.clone());
    let users = Keyed::new(move |_: &u64| first.clone());
    users.try_acquire(&1, 4).expect("valid");
    users.try_acquire(&2, 4).expect("valid");
    users.set_factory(move |_| second.clone());
    assert_eq!((old.capacity(), old.available()), (10, 2), "not changed");
    users.try_acquire(&1, 20).expect("valid");
    assert_eq!((users.available(&2), new.available()), (40, 40), "shared");

    // The same pointers stay.
    let (second, third) = (new.clone(), new.clone());
    users.set_factory(move |_| second.clone());
    users.try_acquire(&1, 20).expect("valid");
    assert_eq!(third.available(), 20);

    // Pointers that no other key has are changed like what they point to.
    let made = |limit: u64| {
        let clock = clock.clone();
        move |_: &u64| {
            Arc::new(TokenBucket::with_clock(
                Quota::per_minute(limit),
                clock.clone(),
            ))
        }
    };
    let users = Keyed::new(made(10));
    users.try_acquire(&1, 4).expect("valid");
    users.set_factory(made(60));
    assert_eq!((users.available(&1), users.at(&1).capacity()), (6, 60));
}

#[test]
fn limits_that_combinations_share_are_exchanged_and_not_changed() {
    let clock = ManualClock::new();
    let bucket = |limit| shared_bucket(limit, &clock);
    let calls = |org: &Arc<TokenBucket<ManualClock>>, limit: u64| {
        let (org, clock) = (org.clone(), clock.clone());
        move |_: &u64| {
            let user = TokenBucket::with_clock(Quota::per_minute(limit), clock.clone());
            let builder = Combined::builder().limit("user", user);
            builder.limit("org", org.clone()).build()
        }
    };
    let (old, new) = (bucket(100), bucket(500));
    let users = Keyed::new(calls(&old, 10));
    users.try_acquire(&1, 4).expect("valid");
    users.try_acquire(&2, 4).expect("valid");

    // The same organisation: the limits of the users change.
    users.set_factory(calls(&old, 30));
    assert_eq!((users.available(&1), old.available()), (6, 92));
    // Another one, with which everything is new.
    users.set_factory(calls(&new, 30));
    users.try_acquire(&1, 30).expect("valid");
    users.try_acquire(&2, 30).expect("valid");
    assert_eq!((old.capacity(), old.available()), (100, 92), "not changed");
    assert_eq!(new.available(), 440, "one limit for both");

    let config = RateLimitConfig::DEFAULT;
    let api = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    let other = RateLimitConfig {
        burst_size: 5,
        ..config
    };
    let (first, second) = (
        api.clone(),
        ApiRateLimiter::with_clock(other, clock.clone()).expect("valid"),
    );
    let models = Keyed::new(move |_: &u64| first.clone());
    models.try_acquire(&1, 1).expect("valid");
    models.set_factory(move |_| second.clone());
    assert_eq!(api.config().burst_size, config.burst_size);
    assert_eq!(models.at(&1).capacity(), 5);
}

#[test]
fn changes_in_the_past_count_from_the_change_before() {
    let clock = ManualClock::new();
    let time = clock.clone();
    let fast = Quota::per_second(10).burst(100);
    let make = |quota, clock: &ManualClock| {
        let clock = clock.clone();
        move |_: &u64| TokenBucket::with_clock(quota, clock.clone())
    };
    let users = Keyed::new(make(fast, &time));
    clock.advance(Duration::from_secs(100));
    let late = clock.now();
    let early = Timestamp::from_nanos(90_000_000_000);
    users.try_acquire(&1, 100).expect("valid");
    let view = users.at(&1);
    view.set_quota_at(Quota::per_hour(1).burst(100), late)
        .expect("valid");
    view.set_quota_at(fast, early).expect("valid");
    assert_eq!(view.available(), 0);

    users.try_acquire(&2, 100).expect("valid");
    users.set_factory_at(make(Quota::per_hour(1).burst(100), &clock), late);
    users.set_factory_at(make(fast, &clock), early);
    assert_eq!(users.available(&2), 0);
    users
        .at(&2)
        .set_quota_at(Quota::per_second(20).burst(100), early)
        .expect("valid");
    assert_eq!(users.available(&2), 0);
}

#[test]
fn first_key_beside_a_change_has_the_new_limit() {
    for _ in 0..1_000 {
        let clock = ManualClock::new();
        let make = |limit: u64| {
            let clock = clock.clone();
            move |_: &u64| TokenBucket::with_clock(Quota::per_minute(limit), clock.clone())
        };
        let users = Keyed::new(make(10));
        thread::scope(|scope| {
            scope.spawn(|| users.try_acquire(&1, 1));
            users.set_factory(make(20));
        });
        assert_eq!(users.at(&1).capacity(), 20);
    }
}

#[test]
fn key_keeps_its_level_when_the_new_limiter_begins_with_less() {
    let clock = ManualClock::new();
    let make = |initial: u64| {
        let clock = clock.clone();
        move |_: &u64| {
            let quota = Quota::per_minute(10);
            TokenBucket::with_clock(quota, clock.clone()).with_initial(initial)
        }
    };
    let users = Keyed::new(make(10));
    users.try_acquire(&1, 4).expect("valid");
    users.set_factory(make(7));
    assert_eq!(users.available(&1), 6);
    users.try_acquire(&2, 1).expect("valid");
    users.set_factory(make(3));
    assert_eq!((users.available(&1), users.available(&2)), (6, 6));
}

#[test]
fn undo_of_the_first_charge_leaves_a_set_quota() {
    let clock = ManualClock::new();
    let fast = Quota::per_second(5_000_000_000).burst(8); // kept whole
    let time = clock.clone();
    let users = Keyed::new(move |_: &u64| TokenBucket::with_clock(fast, time.clone()));
    let view = users.at(&1);
    let charge = view.charge_at(3, view.now()).expect("valid");
    view.set_quota(fast).expect("valid");
    assert_eq!(view.undo(charge), 3);
    assert_eq!(users.len(), 1);
    clock.advance(Duration::from_secs(1));
    users.set_factory(move |_| TokenBucket::with_clock(Quota::per_second(1), clock.clone()));
    assert_eq!(users.at(&1).capacity(), 8, "still set");
}

#[test]
fn shared_limits_of_api_limiters_are_exchanged() {
    let clock = ManualClock::new();
    let bucket = |limit| shared_bucket(limit, &clock);
    let make = |org: &Arc<TokenBucket<ManualClock>>, limit: u64| {
        let (org, clock) = (org.clone(), clock.clone());
        move |_: &u64| {
            let config = RateLimitConfig {
                requests_per_minute: limit,
                ..RateLimitConfig::UNLIMITED
            };
            ApiRateLimiter::builder_with_clock(config, clock.clone())
                .shared("org", org.clone())
                .build()
                .expect("valid")
        }
    };
    let (old, new) = (bucket(100), bucket(50));
    let models = Keyed::new(make(&old, 20));
    models.try_acquire(&1, 5).expect("valid");
    models.set_factory(make(&old, 30));
    assert_eq!((models.available(&1), old.available()), (25, 95));
    models.set_factory(make(&new, 30));
    models.try_acquire(&1, 10).expect("valid");
    assert_eq!((old.available(), new.available()), (95, 40));
}
