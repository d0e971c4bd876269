//! Keys that are removed, evicted and made again while calls wait for them.

use core::time::Duration;

use tidegate::{Clock, Denied, Keyed, ManualClock, Overflow, SlidingWindow, Timestamp};

use crate::waiters::Waiters;
use crate::{MILLISECOND, SECOND, bucket, keyed, per_second, words};

/// A removal forgives what the key has spent, so it wakes the head.
#[test]
fn removal_wakes_the_head() {
    let clock = ManualClock::new();
    let table = words(3, &clock);
    table.try_acquire(&1, 3).unwrap();
    table.try_acquire(&2, 3).unwrap();
    let mut waiters = Waiters::at(&table, &clock);
    for key in [1, 1, 2, 1, 1] {
        waiters.join(key, 1);
    }
    assert!(table.remove(&1));
    waiters.poll_woken();
    assert_eq!(waiters.admitted(), [0, 1, 3]);
    assert_eq!((table.at(&1).waiting(), table.at(&2).waiting()), (1, 1));
    assert_eq!(table.available(&1), 0);
    waiters.finish();
    assert_eq!(clock.now(), Timestamp::ZERO + SECOND);
    // The queues of the removal are gone as well.
    assert_eq!(table.waiting(), 0);
    table.remove(&1);
    assert!(!table.remove(&1));
}

/// Those ahead count at the limiter that the key would get.
#[test]
fn hint_after_a_removal() {
    let clock = ManualClock::new();
    let table = words(3, &clock);
    table.try_acquire(&1, 3).unwrap();
    let mut waiters = Waiters::at(&table, &clock);
    for _ in 0..3 {
        waiters.join(1, 1);
    }
    assert!(table.remove(&1));
    waiters.join_for(1, 1, Duration::ZERO);
    let retry_after = SECOND.into();
    assert_eq!(waiters.outcome(), Err(Denied::NotYet { retry_after }));
    waiters.poll_woken();
    assert_eq!(waiters.admitted(), [0, 1, 2]);
}

/// A window that is made again is decided at the present, as any window.
#[test]
fn window_that_is_made_again() {
    let clock = ManualClock::new();
    let window = |_, clock: &ManualClock| {
        SlidingWindow::with_clock(1, SECOND, clock.clone()).expect("valid")
    };
    let table = keyed(&clock, window);
    table.try_acquire(&1, 1).unwrap();
    let mut waiters = Waiters::at(&table, &clock);
    waiters.join(1, 1);
    waiters.join(1, 1);
    // Evicted right before a slot of 1/64 s begins, and made again in it.
    waiters.timer.advance(1_999 * MILLISECOND);
    assert_eq!(table.evict_unused(), 1);
    waiters.timer.advance(MILLISECOND);
    let now = clock.now();
    let alone = window(1, &clock);
    alone.try_acquire(1).unwrap();
    let wait = alone.wait_time(1).unwrap();
    waiters.finish();
    let at: Vec<Timestamp> = waiters.ended().iter().map(|ended| ended.at).collect();
    assert_eq!(at, [now, now + wait]);
}

/// The bucket of the head is full before its late timer wakes it, and the key is evicted meanwhile.
#[test]
fn evicted_key_is_made_again() {
    let clock = ManualClock::new();
    let table = words(2, &clock);
    table.try_acquire(&1, 2).unwrap();
    let mut waiters = Waiters::at(&table, &clock);
    for _ in 0..3 {
        waiters.join(1, 1);
    }
    waiters.timer.advance(10 * SECOND);
    assert_eq!(table.evict_unused(), 1);
    assert_eq!(table.len(), 0);
    waiters.poll_woken();
    // Two from the new bucket, and nothing of the time before.
    assert_eq!(waiters.admitted(), [0, 1]);
    assert_eq!((table.len(), table.available(&1)), (1, 0));
    waiters.advance(SECOND);
    assert_eq!(waiters.admitted(), [2]);
}

/// Another call makes an evicted key again, as of now, before the waiter asks as of when it was
/// due. No permit is granted twice.
#[test]
fn key_that_another_call_made_again() {
    let clock = ManualClock::new();
    let table = words(2, &clock);
    table.try_acquire(&1, 1).unwrap();
    let mut waiters = Waiters::at(&table, &clock);
    let waiter = waiters.join(1, 2);
    waiters.timer.advance(SECOND + MILLISECOND);
    assert_eq!(table.evict_unused(), 1);
    table.try_acquire(&1, 2).unwrap();
    waiters.poll_woken();
    assert_eq!(waiters.waiting(), [waiter]);
    waiters.advance(1_999 * MILLISECOND);
    assert_eq!(waiters.admitted(), []);
    waiters.advance(MILLISECOND);
    assert_eq!(waiters.admitted(), [waiter]);
}

/// Evictions beside waits: other keys come and become unused while some keys wait. What each key
/// gets is what it would get alone.
#[test]
fn evictions_do_not_disturb_waits() {
    const WAITED_FOR: u64 = 20;
    let clock = ManualClock::new();
    let time = clock.clone();
    let table: Keyed<u64, _> = Keyed::builder(move |_| bucket(per_second(1), &time))
        .max_keys(200)
        .overflow(Overflow::Refuse)
        .build();
    let mut waiters = Waiters::at(&table, &clock);
    for key in 0..WAITED_FOR {
        for _ in 0..=key {
            waiters.join(key, 1);
        }
    }
    for other in 0..3_000 {
        let _ = table.try_acquire(&(1_000 + other), 1);
        waiters.advance(10 * MILLISECOND);
    }
    assert!(table.stats().evicted > 1_000, "{:?}", table.stats());
    let ended = waiters.ended();
    assert_eq!(ended.len() as u64, WAITED_FOR * (WAITED_FOR + 1) / 2);
    for key in 0..WAITED_FOR {
        let of_key = ended.iter().filter(|ended| ended.key == key);
        for (seconds, ended) in (0..).zip(of_key) {
            assert_eq!(ended.outcome, Ok(()));
            assert_eq!(ended.at, Timestamp::ZERO + Duration::from_secs(seconds));
        }
    }
    assert_eq!(table.waiting(), 0);
}
