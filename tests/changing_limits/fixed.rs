//! The quota of a `FixedKeyed` changes: what keys keep, and how much they admit.

#![expect(
    clippy::cast_possible_wrap,
    clippy::needless_for_each,
    reason = "numbers of a test, which are small; one line for each step"
)]

use core::cell::Cell;
use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::task::{Context, Waker};
use core::time::Duration;
use std::thread;

use proptest::prelude::*;
use tidegate::{Denied, FixedKeyed, Limiter, ManualClock, Overflow, Quota};

fn users(quota: Quota, keys: usize) -> (FixedKeyed<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    (FixedKeyed::with_clock(quota, keys, clock.clone()), clock)
}

#[test]
fn keys_keep_their_tokens() {
    let (users, clock) = users(Quota::per_minute(60), 100);
    users.try_acquire("alice", 50).expect("valid");
    users.at("bob").debit(100);
    users.set_quota(Quota::per_minute(600));

    assert_eq!(users.quota(), Quota::per_minute(600));
    assert_eq!(
        (users.available("alice"), users.available("new")),
        (10, 600)
    );
    assert_eq!(users.at("bob").debt(), 40);
    assert_eq!(users.stats().active, 2);
    assert_eq!(users.wait_time("alice", 20), Some(Duration::from_secs(1)));
    let snapshot = users.snapshot_at("alice", users.now());
    assert_eq!((snapshot.capacity, snapshot.available), (600, 10));
    clock.advance(Duration::from_secs(1));
    assert_eq!((users.available("alice"), users.at("bob").debt()), (20, 30));

    users.set_quota(Quota::per_minute(30));
    assert_eq!((users.available("alice"), users.available("new")), (20, 30));
    assert_eq!(
        users.try_acquire("alice", 31),
        Err(Denied::Never { capacity: 30 })
    );
    assert_eq!(users.peek("alice", 31), Err(Denied::Never { capacity: 30 }));
    assert_eq!(users.at("alice").capacity(), 30);
    assert!(users.try_acquire("alice", 20).is_ok());
    assert!(users.try_acquire("alice", 1).is_err());
    users.at("alice").reset();
    assert_eq!(users.available("alice"), 30);
    users.at("bob").credit(31);
    assert_eq!((users.at("bob").debt(), users.available("bob")), (0, 1));
}

#[test]
fn new_keys_have_the_new_burst_at_once() {
    let (users, _) = users(Quota::per_hour(3), 100);
    users.set_quota(Quota::per_hour(7));
    assert!(users.try_acquire("alice", 7).is_ok());
    assert!(users.try_acquire("alice", 1).is_err());
    users.set_quota(Quota::per_hour(5));
    users.set_quota(Quota::per_hour(7));
    assert_eq!((users.available("alice"), users.available("bob")), (0, 7));
}

#[test]
fn charges_from_before_are_not_undone() {
    let (users, _) = users(Quota::per_hour(10), 100);
    let alice = users.at("alice");
    let before = alice.charge_at(4, users.now()).expect("valid");
    users.set_quota(Quota::per_hour(9));
    let between = alice.charge_at(1, users.now()).expect("valid");
    assert_eq!(alice.undo(before), 0);
    assert_eq!((alice.undo(between), alice.available()), (1, 6));
    let between = alice.charge_at(2, users.now()).expect("valid");
    // The same quota as at the first charge, and equal words.
    users.set_quota(Quota::per_hour(10));
    assert_eq!((alice.undo(between), alice.available()), (0, 4));
}

#[test]
fn shared_bucket_changes_and_full_table_stays_full() {
    let (users, _) = users(Quota::per_hour(2), 1);
    let keys: Vec<u64> = (0..1_000).collect();
    for key in &keys {
        let _ = users.try_acquire(key, 1);
    }
    let known = users.stats().active;
    let overflowed = users.stats().overflowed;
    users.set_quota(Quota::per_hour(5));
    assert_eq!(users.stats().active, known);
    let with_entry = |key: &&u64| users.available(*key) == 1;
    assert_eq!(keys.iter().filter(with_entry).count() as u64, known);
    // The shared bucket was used up before.
    assert!(keys.iter().all(|key| users.available(key) <= 1));
    for key in &keys {
        let _ = users.try_acquire(key, 1);
    }
    assert_eq!(users.stats().overflowed, overflowed + 1_000 - known);
}

#[test]
fn waiters_are_woken_and_decided_anew() {
    let (users, clock) = users(Quota::per_hour(5), 100);
    for user in ["alice", "bob"] {
        users.try_acquire(user, 5).expect("valid");
    }
    let never = |_| core::future::pending::<()>();
    let mut context = Context::from_waker(Waker::noop());
    let mut alice = pin!(users.acquire("alice", 4).timer(never));
    let mut bob = pin!(users.acquire("bob", 1).timer(never));
    assert!(alice.as_mut().poll(&mut context).is_pending());
    assert!(bob.as_mut().poll(&mut context).is_pending());
    users.set_quota(Quota::per_second(3));
    clock.advance(Duration::from_secs(1));
    let never = Err(Denied::Never { capacity: 3 });
    assert!(
        matches!(alice.as_mut().poll(&mut context), core::task::Poll::Ready(result) if result == never)
    );
    assert!(bob.as_mut().poll(&mut context).is_ready());
    assert_eq!(users.waiting(), 0);
}

#[test]
fn change_wakes_the_threads_of_all_keys() {
    let users = FixedKeyed::new(Quota::per_hour(1).burst(1), 100);
    for key in 0..4 {
        users.try_acquire(&key, 1).expect("valid");
    }
    thread::scope(|scope| {
        let users = &users;
        let waiters = [0, 1, 2, 3].map(|key| scope.spawn(move || users.acquire(&key, 1).wait()));
        while users.waiting() < 4 {
            thread::yield_now();
        }
        users.set_quota(Quota::per_second(1_000));
        for waiter in waiters {
            assert_eq!(waiter.join().expect("valid"), Ok(()));
        }
    });
}

#[test]
fn save_after_a_change_holds_the_new_levels() {
    let clock = ManualClock::new();
    let table = |quota| {
        let hasher = tidegate::KeyHasher::with_seeds([1, 2, 3, 4]);
        FixedKeyed::with_clock_and_hasher(quota, 100, clock.clone(), hasher)
    };
    let users = table(Quota::per_hour(10));
    users.try_acquire("alice", 7).expect("valid");
    users.set_quota(Quota::per_hour(20));
    users.try_acquire("bob", 15).expect("valid");
    let mut records = Vec::new();
    let saved = users.save(|record| {
        records.push(record);
        Ok::<_, core::convert::Infallible>(())
    });
    assert_eq!(saved, Ok(2));
    let records = || {
        records
            .iter()
            .cloned()
            .map(Ok::<_, core::convert::Infallible>)
    };
    let fresh = table(Quota::per_hour(1));
    fresh.set_quota(Quota::per_hour(30));
    let after = FixedKeyed::restore(records(), fresh).expect("valid");
    assert_eq!((after.available("alice"), after.available("bob")), (3, 5));
}

/// Runs four threads that count what `call` admits, beside one that changes the quota.
fn under_load(call: impl Fn() -> u64 + Sync, change: impl Fn(u64) + Sync) -> u64 {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let callers = [(); 4].map(|()| scope.spawn(&call));
        let changer = scope.spawn(|| {
            for number in (0..).take_while(|number| *number < 50 || !done.load(Relaxed)) {
                change(number);
            }
        });
        let admitted = callers.map(|caller| caller.join().expect("valid"));
        done.store(true, Relaxed);
        changer.join().expect("valid");
        admitted.iter().sum()
    })
}

#[test]
fn tokens_of_each_key_are_admitted_once() {
    const KEYS: u64 = 64;
    const TOKENS: u64 = 1_000;
    let quota = |change: u64| Quota::per_hour(1 + change % 5).burst(TOKENS + change % 3);
    let (users, _) = users(quota(0), 1_000);
    let keys = || 0..KEYS;
    for key in keys() {
        users.try_acquire(&key, 1).expect("valid");
    }
    let drain = || {
        let mut admitted = 0;
        loop {
            let round: u64 = keys()
                .map(|key| u64::from(users.try_acquire(&key, 1).is_ok()))
                .sum();
            if round == 0 {
                return admitted;
            }
            admitted += round;
        }
    };
    let admitted = under_load(drain, |change| users.set_quota(quota(change)));
    assert_eq!(admitted, KEYS * (TOKENS - 1));
    assert!(keys().all(|key| users.available(&key) == 0));
}

#[test]
fn new_keys_get_one_burst_beside_changes() {
    const KEYS: u64 = 5_000;
    const EACH: u64 = 3;
    const CALLS: usize = 3;
    let quota = |change: u64| Quota::per_hour(1 + change % 3).burst(EACH);
    let (users, _) = users(quota(0), 20_000);
    let users = users.overflow(Overflow::Refuse);
    let insert = || {
        (0..KEYS)
            .flat_map(|key| [key; CALLS])
            .map(|key| u64::from(users.try_acquire(&key, 1).is_ok()))
            .sum()
    };
    let admitted = under_load(insert, |change| users.set_quota(quota(change)));
    assert_eq!(users.stats().overflowed, 0);
    assert_eq!(admitted, KEYS * EACH);
}

#[test]
fn charges_are_returned_or_used_beside_changes() {
    const TOKENS: u64 = 20_000;
    let quota = |change: u64| Quota::per_hour(1 + change % 5).burst(TOKENS);
    let (users, _) = users(quota(0), 8);
    let use_or_undo = || {
        let one = users.at(&1);
        let (used, calls) = (Cell::new(0), Cell::new(0_u64));
        while let Ok(charge) = one.charge_at(1, users.now()) {
            calls.set(calls.get() + 1);
            let returned = if calls.get().is_multiple_of(2) {
                drop(charge);
                0
            } else {
                one.undo(charge)
            };
            used.set(used.get() + 1 - returned);
        }
        used.get()
    };
    let used = under_load(use_or_undo, |change| users.set_quota(quota(change)));
    assert_eq!(used, TOKENS);
}

/// Nanoseconds per token. Each divides `PARTS`.
const INTERVALS: [u64; 4] = [500, 1_000, 2_000, 4_000];
/// Parts of a token that the oracle counts.
const PARTS: i64 = 4_000;
const KEYS: usize = 6;

fn quota(interval: u64, burst: u64) -> Quota {
    Quota::new(1, Duration::from_nanos(interval))
        .and_then(|quota| quota.try_burst(burst))
        .expect("valid")
}

#[derive(Clone, Debug)]
enum Step {
    Advance(u64),
    Acquire(usize, u64),
    Debit(usize, u64),
    Credit(usize, u64),
    Reset(usize),
    Change(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..20_000_u64).prop_map(Step::Advance),
        8 => (0..KEYS, 1..8_u64).prop_map(|(key, n)| Step::Acquire(key, n)),
        1 => (0..KEYS, 0..30_u64).prop_map(|(key, n)| Step::Debit(key, n)),
        1 => (0..KEYS, 0..10_u64).prop_map(|(key, n)| Step::Credit(key, n)),
        1 => (0..KEYS).prop_map(Step::Reset),
        3 => (0..INTERVALS.len(), 1..12_u64)
            .prop_map(|(interval, burst)| Step::Change(interval, burst)),
    ]
}

/// What a key has at least and at most, in parts of a token. A change drops part of a grain, of
/// half a nanosecond.
#[derive(Clone, Copy, Debug)]
struct Exact {
    least: i64,
    most: i64,
}

impl Exact {
    const fn full(burst: u64) -> Self {
        let full = burst as i64 * PARTS;
        Self {
            least: full,
            most: full,
        }
    }

    fn add(&mut self, parts: i64, burst: u64) {
        let full = burst as i64 * PARTS;
        self.least = (self.least + parts).min(full);
        self.most = (self.most + parts).min(full);
    }

    fn change(&mut self, old_burst: u64, interval: u64, burst: u64) {
        let old_full = old_burst as i64 * PARTS;
        let full = burst as i64 * PARTS;
        let grain = PARTS / interval as i64;
        // A full bucket is a new key.
        if self.least < old_full {
            self.least = full.min(self.least - grain);
        } else {
            self.least = full;
        }
        self.most = if self.most < old_full {
            full.min(self.most)
        } else {
            full
        };
    }
}

proptest! {
    #[test]
    fn levels_of_keys_are_kept(steps in proptest::collection::vec(step(), 1..80)) {
        let clock = ManualClock::new();
        let users = FixedKeyed::with_clock(quota(1_000, 5), 100, clock.clone());
        let (mut interval, mut burst) = (1_000, 5_u64);
        let mut keys = [Exact::full(burst); KEYS];
        for step in steps {
            match step {
                Step::Advance(nanos) => {
                    clock.advance(Duration::from_nanos(nanos));
                    let parts = nanos as i64 * (PARTS / interval as i64);
                    keys.iter_mut().for_each(|key| key.add(parts, burst));
                }
                Step::Acquire(key, n) => {
                    let needed = n as i64 * PARTS;
                    let exact = &mut keys[key];
                    if users.try_acquire(&key, n).is_ok() {
                        prop_assert!(needed <= exact.most, "{n} of {exact:?}");
                        exact.least = exact.least.max(needed);
                        exact.add(-needed, burst);
                    } else {
                        prop_assert!(needed > exact.least, "refused {n} of {exact:?}");
                        exact.most = exact.most.min(needed - 1);
                    }
                }
                Step::Debit(key, n) => {
                    users.at(&key).debit(n);
                    keys[key].add(-(n as i64 * PARTS), burst);
                }
                Step::Credit(key, n) => {
                    users.at(&key).credit(n);
                    keys[key].add(n as i64 * PARTS, burst);
                }
                Step::Reset(key) => {
                    users.at(&key).reset();
                    keys[key] = Exact::full(burst);
                }
                Step::Change(next, capacity) => {
                    users.set_quota(quota(INTERVALS[next], capacity));
                    if (INTERVALS[next], capacity) != (interval, burst) {
                        for key in &mut keys {
                            key.change(burst, INTERVALS[next], capacity);
                        }
                    }
                    (interval, burst) = (INTERVALS[next], capacity);
                }
            }
            for (key, exact) in keys.iter().enumerate() {
                let available = users.available(&key) as i64 * PARTS;
                prop_assert!(available <= exact.most.max(0), "{key}: {exact:?}");
                prop_assert!(available > exact.least - PARTS, "{key}: {exact:?}");
                let debt = users.at(&key).debt() as i64 * PARTS;
                prop_assert!(debt >= -exact.most, "{key}: {exact:?}");
                prop_assert!(debt < PARTS + (-exact.least).max(0), "{key}: {exact:?}");
            }
        }
    }
}
