//! Four threads under load while another one changes the limits: on the OS clock, never more than
//! the stated bound, and every token of a quota without refill exactly once.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::time::Duration;
use std::thread;

use tidegate::{Clock, DefaultClock, Limiter, ManualClock, Quota, TokenBucket};

/// Runs four threads that count what `call` admits, beside one that calls `change` with 0, 1, 2, …,
/// for at least `changes` changes and until the four have ended.
fn under_load(call: impl Fn() -> u64 + Sync, change: impl Fn(u64) + Sync) -> u64 {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let callers = [(); 4].map(|()| scope.spawn(&call));
        let changer = scope.spawn(|| {
            let mut changes = 0;
            while !done.load(Relaxed) || changes < 100 {
                change(changes);
                changes += 1;
            }
        });
        let admitted = callers.map(|caller| caller.join().expect("valid"));
        done.store(true, Relaxed);
        changer.join().expect("valid");
        admitted.iter().sum()
    })
}

#[test]
fn tokens_are_admitted_once() {
    const TOKENS: u64 = 200_000;
    let quota = |change: u64| Quota::per_hour(1 + change % 5).burst(TOKENS + change % 3);
    let bucket = TokenBucket::with_clock(quota(0), ManualClock::new());
    let drain = || {
        let mut admitted = 0;
        while bucket.try_acquire(1).is_ok() {
            admitted += 1;
        }
        admitted
    };
    let admitted = under_load(drain, |change| bucket.set_quota(quota(change)));
    assert_eq!(admitted, TOKENS);
}

#[test]
fn undone_charges_are_returned_or_used() {
    const TOKENS: u64 = 20_000;
    let quota = |change: u64| Quota::per_hour(1 + change % 5).burst(TOKENS);
    let bucket = TokenBucket::with_clock(quota(0), ManualClock::new());
    let use_or_undo = || {
        let mut used = 0;
        let mut calls = 0_u64;
        while let Ok(charge) = bucket.charge_at(1, bucket.now()) {
            calls += 1;
            used += if calls.is_multiple_of(2) {
                1
            } else {
                1 - bucket.undo(charge)
            };
        }
        used
    };
    let used = under_load(use_or_undo, |change| bucket.set_quota(quota(change)));
    assert_eq!(used, TOKENS);
}

#[test]
fn rate_on_the_clock_of_the_system_keeps_the_bound() {
    const SLOW: Quota = Quota::per_second(1_000).burst(50);
    const FAST: Quota = Quota::per_second(5_000).burst(80);
    let bucket = TokenBucket::new(SLOW);
    let start = DefaultClock.now();
    let acquire = || {
        let mut admitted = 0;
        while DefaultClock.now() - start < Duration::from_millis(100) {
            admitted += u64::from(bucket.try_acquire(1).is_ok());
            thread::yield_now();
        }
        admitted
    };
    let change = |change: u64| {
        bucket.set_quota(if change.is_multiple_of(2) { FAST } else { SLOW });
        thread::yield_now();
    };
    let admitted = under_load(acquire, change);
    // As if the faster quota had held all the time, with the capacity of the first.
    let micros = u64::try_from((DefaultClock.now() - start).as_micros()).expect("seconds");
    let bound = 50 + micros.div_ceil(200);
    assert!(admitted <= bound, "{admitted} of {bound}");
    assert!(admitted >= 50, "{admitted} of at least the capacity");
}
