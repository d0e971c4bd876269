//! A key of the map as a limiter.

use alloc::sync::Arc;

use tidegate::{Acquire, DashKeyed, Denied, KeyView, Limiter, ManualClock, SlidingWindow};

use crate::{SECOND, Sessions, bucket, limits, session};

const UNKNOWN: Denied = Denied::Never { capacity: 0 };

#[test]
fn views_do_what_limiters_do() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let limits = limits(&sessions, &clock);
    sessions.insert("alice".into(), session(3, &clock));
    let alice = limits.at("alice");
    let now = alice.now();
    assert_eq!((alice.capacity(), alice.available()), (3, 3));
    assert_eq!(Limiter::refill_time(&alice), 3 * SECOND);
    assert!(alice.is_unused_at(now));
    let charge = alice.charge_at(2, now).unwrap();
    assert_eq!((alice.available(), alice.is_unused_at(now)), (1, false));
    let retry_after = SECOND.into();
    let denied = Denied::NotYet { retry_after };
    assert_eq!(alice.charge_at(2, now).unwrap_err(), denied);
    assert_eq!(alice.peek(2), Err(denied));
    assert_eq!(alice.wait_time(2), Some(SECOND));
    assert_eq!(alice.snapshot().available, 1);
    assert_eq!(alice.undo(charge), 2);
    assert_eq!(alice.available(), 3);
    let nothing = alice.charge_at(0, now).unwrap();
    assert_eq!(alice.undo(nothing), 0);
    assert_eq!(Acquire::new(alice, 3).wait(), Ok(()));
    assert_eq!(limits.available("alice"), 0);
}

#[test]
fn views_of_buckets_change_levels() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let known = limits(&sessions, &clock);
    let limits = limits(&sessions, &clock).or_insert_with(|_: &String| session(3, &clock));
    let alice = limits.at("alice");
    // Nothing to forgive, and no key to add.
    alice.credit(1);
    alice.reset();
    alice.debit(0);
    assert_eq!((alice.debt(), sessions.len()), (0, 0));
    alice.debit(5);
    assert_eq!((alice.available(), alice.debt(), sessions.len()), (0, 2, 1));
    alice.credit(4);
    assert_eq!((alice.available(), alice.debt()), (2, 0));
    alice.reset();
    assert_eq!(alice.available(), 3);
    // A debit adds nothing where keys stay unknown.
    known.at("bob").debit(1);
    assert_eq!((known.at("bob").debt(), sessions.len()), (0, 1));
}

#[test]
fn views_of_unknown_keys() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let limits = limits(&sessions, &clock);
    let eve = limits.at("eve");
    let now = eve.now();
    assert_eq!((eve.capacity(), eve.available()), (0, 0));
    assert_eq!(Limiter::refill_time(&eve), core::time::Duration::ZERO);
    assert!(eve.is_unused_at(now));
    assert_eq!(eve.peek(1), Err(UNKNOWN));
    assert_eq!(eve.charge_at(1, now).unwrap_err(), UNKNOWN);
    assert_eq!(eve.wait_time(1), None);
    let nothing = eve.charge_at(0, now).unwrap();
    assert_eq!(eve.undo(nothing), 0);
    assert!(sessions.is_empty());
}

/// The charge that adds a key can be undone, too.
#[test]
fn charge_that_adds_a_key() {
    let (clock, sessions) = (ManualClock::new(), Sessions::new());
    let limits = limits(&sessions, &clock).or_insert_with(|_: &String| session(3, &clock));
    let alice = limits.at("alice");
    let now = alice.now();
    assert_eq!(
        alice.charge_at(4, now).unwrap_err(),
        Denied::Never { capacity: 3 }
    );
    assert!(sessions.is_empty());
    let charge = alice.charge_at(3, now).unwrap();
    assert_eq!((alice.available(), sessions.len()), (0, 1));
    assert_eq!(alice.undo(charge), 3);
    assert_eq!((alice.available(), sessions.len()), (3, 1));
    assert_eq!(limits.evict_unused(|_, _| true), 1);
}

/// A charge on a limiter that is gone gives nothing to the one that came after it, not even if both
/// were charged the same at the same instant: buckets, whose words are equal then, and windows.
#[test]
fn undo_after_the_key_was_made_again() {
    fn check<L: Limiter<Clock = ManualClock>>(clock: &ManualClock, make: impl Fn() -> L) {
        let map = dashmap::DashMap::new();
        let limits = DashKeyed::with_clock(&map, |value: &(L, u8)| &value.0, clock.clone())
            .or_insert_with(|_: &u64| (make(), 0));
        let key = limits.at(&7);
        let now = key.now();
        let charge = key.charge_at(2, now).unwrap();
        assert!(limits.remove(&7).is_some());
        assert_eq!(key.try_acquire(2), Ok(()));
        assert_eq!(key.undo(charge), 0);
        assert_eq!(key.available(), 1);

        // Evicted, in all at once and in slices.
        for is_slice in [false, true] {
            let charge = key.charge_at(1, key.now()).unwrap();
            clock.advance(10 * SECOND);
            let evicted = if is_slice {
                limits.evict_some(1, |_, _| true)
            } else {
                limits.evict_unused(|_, _| true)
            };
            assert_eq!(evicted, 1);
            assert_eq!(key.try_acquire(2), Ok(()));
            assert_eq!(key.undo(charge), 0);
            assert_eq!(key.available(), 1);
        }

        // Nor if it is not there.
        let charge = key.charge_at(1, key.now()).unwrap();
        limits.remove(&7);
        assert_eq!(key.undo(charge), 0);
        assert!(map.is_empty());
    }
    let clock = ManualClock::new();
    check(&clock, || bucket(3, &clock));
    check(&clock, || Arc::new(bucket(3, &clock)));
    check(&clock, || {
        SlidingWindow::with_clock(3, SECOND, clock.clone()).expect("valid")
    });
}

/// Undo, credit and reset wake the first call that waits for the key.
#[test]
fn what_comes_back_wakes_the_head() {
    use crate::waiters::Waiters;
    let (clock, map) = (ManualClock::new(), dashmap::DashMap::new());
    let limits = DashKeyed::with_clock(&map, |bucket| bucket, clock.clone())
        .or_insert_with(|_: &u64| bucket(4, &clock));
    let key = limits.at(&1);
    let charge = key.charge_at(4, key.now()).unwrap();
    let mut waiters = Waiters::at(&limits, &clock);
    for _ in 0..6 {
        waiters.join(1, 2);
    }
    assert_eq!(key.undo(charge), 4);
    waiters.poll_woken();
    assert_eq!(waiters.admitted(), [0, 1]);
    key.credit(2);
    waiters.poll_woken();
    assert_eq!(waiters.admitted(), [2]);
    key.reset();
    waiters.poll_woken();
    assert_eq!(waiters.admitted(), [3, 4]);
    waiters.finish();
    assert_eq!(waiters.admitted(), [5]);
}

/// A view that owns its key and a share of the table, for code that is generic over limiters.
#[test]
fn owned_views() {
    fn spend<L: Limiter>(limiter: &L) -> Result<(), Denied> {
        limiter.try_acquire_at(limiter.capacity(), limiter.now())
    }
    let (clock, sessions) = (ManualClock::new(), Arc::new(Sessions::new()));
    sessions.insert("alice".into(), session(3, &clock));
    let limits = Arc::new(DashKeyed::with_clock(sessions, crate::limiter, clock));
    let alice = KeyView::owned(limits.clone(), String::from("alice"));
    assert_eq!(spend(&alice), Ok(()));
    assert_eq!(limits.available("alice"), 0);
}
