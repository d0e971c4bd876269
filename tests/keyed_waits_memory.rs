//! Memory of waits at tables of keys: it follows the waiters, and nothing is left after them.
//!
//! A program of its own, because the allocator counts for the whole program. One test, so that the
//! harness neither prints nor starts threads meanwhile.

extern crate alloc;

#[path = "waits/manual_timer.rs"]
#[expect(dead_code, reason = "other tests use all of it")]
mod manual_timer;
#[path = "keyed_waits/waiters.rs"]
#[expect(dead_code, reason = "other tests use all of it")]
mod waiters;

use alloc::sync::Arc;
use alloc::task::Wake;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::alloc::System;
use std::sync::Mutex;

use cap::Cap;
use tidegate::{FixedKeyed, KeyHasher, Keyed, ManualClock, Overflow, Quota, TokenBucket};
use waiters::{Table, Wait, Waiters};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const KEYS: u64 = 1_000_000;
/// Of so many keys, one is waited for.
const EVERY: usize = 100;
/// Waits of the test for each key, and the harness of the test: futures, wakers and sleeps.
const BYTES_PER_WAIT: usize = 1_500;
/// Empty maps, which a table keeps once a call has waited.
const EMPTY: usize = 32 * 128 + 256;

const fn quota() -> Quota {
    Quota::per_hour(1)
}

fn map(clock: &ManualClock) -> Keyed<u64, TokenBucket<ManualClock>> {
    let clock = clock.clone();
    Keyed::builder(move |_| TokenBucket::with_clock(quota(), clock.clone()))
        .overflow(Overflow::Refuse)
        .build()
}

fn fixed(clock: &ManualClock) -> FixedKeyed<ManualClock> {
    // Three times as many as there are, so that none is without room.
    let keys = usize::try_from(3 * KEYS).expect("small");
    let hasher = KeyHasher::with_seeds([1, 2, 3, 4]);
    FixedKeyed::with_clock_and_hasher(quota(), keys, clock.clone(), hasher)
        .overflow(Overflow::Refuse)
}

/// Of a million keys ten thousand wait. Half of the waiters leave, and the others are admitted.
fn check<T: Table>(table: &T, clock: &ManualClock, waiting: impl Fn() -> u64) {
    let before = ALLOCATOR.allocated();
    let mut waiters = Waiters::at(table, clock);
    let waits = KEYS / EVERY as u64;
    for key in (0..KEYS).step_by(EVERY) {
        waiters.join(key, 1);
    }
    assert_eq!((waiting(), waiters.waiting().len() as u64), (waits, waits));
    let used = ALLOCATOR.allocated() - before;
    let most = usize::try_from(waits).expect("small") * BYTES_PER_WAIT;
    assert!(used < most, "{used} bytes of {most}");

    for number in waiters.waiting() {
        if number % 2 == 0 {
            waiters.leave(number);
        }
    }
    assert_eq!(waiting(), waits / 2);
    waiters.advance(Duration::from_secs(3600));
    assert_eq!(waiters.admitted().len() as u64, waits / 2);
    assert_eq!(waiting(), 0);
    drop(waiters);
    let left = ALLOCATOR.allocated().saturating_sub(before);
    assert!(left <= EMPTY, "{left} bytes are left");
}

fn million_keys_of_a_map_of_which_ten_thousand_wait() {
    let clock = ManualClock::new();
    let table = map(&clock);
    for key in 0..KEYS {
        table.try_acquire(&key, 1).expect("room");
    }
    check(&table, &clock, || table.waiting());
}

fn million_keys_of_a_fixed_table_of_which_ten_thousand_wait() {
    let clock = ManualClock::new();
    let table = fixed(&clock);
    for key in 0..KEYS {
        table.try_acquire(&key, 1).expect("room");
    }
    check(&table, &clock, || table.waiting());
}

/// A flood of keys that wait is refused at the bound, and each refusal leaves nothing.
fn flood_of_waits_is_bounded() {
    let clock = ManualClock::new();
    let table = FixedKeyed::with_clock(quota(), 100_000, clock.clone()).max_waiters(1_000);
    for key in 0..100_000_u64 {
        let _ = table.try_acquire(&key, 1);
    }
    let before = ALLOCATOR.allocated();
    let mut waiters = Waiters::at(&table, &clock);
    for key in 0..1_000 {
        waiters.join(key, 1);
    }
    let full = ALLOCATOR.allocated();
    for key in 1_000..50_000 {
        waiters.join(key, 1);
        // A key that is waited for.
        waiters.join(key % 1_000, 1);
        assert_eq!((waiters.ended().len(), table.waiting()), (2, 1_000));
    }
    let more = ALLOCATOR.allocated().saturating_sub(full);
    assert!(more <= 4_096, "{more} bytes more");
    drop(waiters);
    let left = ALLOCATOR.allocated().saturating_sub(before);
    assert!(left <= EMPTY, "{left} bytes are left");
}

/// Drops a wait when it is woken.
struct DropWait<'a>(Mutex<Option<Wait<'a>>>);

impl Wake for DropWait<'static> {
    fn wake(self: Arc<Self>) {
        let wait = self.0.lock().expect("no panic").take();
        drop(wait);
    }
}

/// A removal wakes the head, and the head leaves at once.
fn waits_that_end_when_they_are_woken() {
    let clock = ManualClock::new();
    let table: &'static _ = Box::leak(Box::new(map(&clock)));
    for key in 0..1_000 {
        table.try_acquire(&key, 1).expect("new");
    }
    let before = ALLOCATOR.allocated();
    for key in 0..1_000 {
        let wait = table.wait_for(key, 1, Duration::MAX, |_| core::future::pending());
        let task = Arc::new(DropWait(Mutex::new(Some(wait))));
        let waker = Waker::from(Arc::clone(&task));
        let mut wait = task.0.lock().expect("no panic");
        let poll = wait
            .as_mut()
            .map(|wait| wait.as_mut().poll(&mut Context::from_waker(&waker)));
        assert_eq!(poll, Some(Poll::Pending));
        drop((wait, waker));
        assert_eq!(table.waiting(), 1);
        assert!(table.remove(&key));
        assert_eq!(table.waiting(), 0);
    }
    let left = ALLOCATOR.allocated().saturating_sub(before);
    assert!(left <= EMPTY, "{left} bytes are left");
}

/// Calls that need not wait allocate nothing, and a table at which none waited keeps a pointer.
fn no_wait_allocates_nothing() {
    let clock = ManualClock::new();
    let table = map(&clock);
    table.acquire(&1, 1).wait().expect("new");
    let silent = |_| {
        let before = ALLOCATOR.total_allocated();
        for _ in 0..100 {
            assert!(table.acquire(&1, 1).timeout(Duration::ZERO).wait().is_err());
            assert!(table.acquire(&1, 2).wait().is_err());
            assert!(table.acquire(&1, 0).wait().is_ok());
        }
        ALLOCATOR.total_allocated() == before
    };
    // Not the first time, when the thread makes its waker.
    assert!((0..10).any(silent));
    assert_eq!(table.waiting(), 0);
}

#[test]
fn memory_of_waits() {
    no_wait_allocates_nothing();
    waits_that_end_when_they_are_woken();
    flood_of_waits_is_bounded();
    million_keys_of_a_map_of_which_ten_thousand_wait();
    million_keys_of_a_fixed_table_of_which_ten_thousand_wait();
}
