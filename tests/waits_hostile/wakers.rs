//! Wakers that are woken in vain, or that panic.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::pin;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::task::{Context, Waker};
use std::panic::catch_unwind;

use tidegate::{Combined, FixedKeyed, ManualClock, Quota, TokenBucket};

use crate::never;

#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Its first charge is undone at each attempt. It must not wake itself by that.
#[test]
fn a_limiter_twice_in_a_combination_does_not_keep_a_waiter_awake() {
    let clock = ManualClock::new();
    let bucket = Arc::new(TokenBucket::with_clock(
        Quota::per_second(1).burst(2),
        clock,
    ));
    bucket.try_acquire(1).expect("full");
    let twice = Combined::builder()
        .limit("one", Arc::clone(&bucket))
        .limit("two", Arc::clone(&bucket))
        .build();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut context = Context::from_waker(&waker);
    let mut wait = pin!(twice.acquire(1).timer(never));
    for _ in 0..3 {
        assert!(wait.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(count.0.load(Relaxed), 0);
}

struct Panics;

impl Wake for Panics {
    #[expect(clippy::panic, reason = "what is tested")]
    fn wake(self: Arc<Self>) {
        panic!("a waker of the test");
    }
}

/// The place of a waiter that leaves is given back, whatever the next waiter's waker does.
#[test]
fn a_waker_that_panics_leaves_no_place_behind() {
    let table = FixedKeyed::with_clock(Quota::per_second(1), 8, ManualClock::new());
    table.try_acquire("key", 1).expect("full");
    let mut context = Context::from_waker(Waker::noop());
    let mut first = Box::pin(table.acquire("key", 1).timer(never));
    assert!(first.as_mut().poll(&mut context).is_pending());
    let panics = Waker::from(Arc::new(Panics));
    let mut second = Box::pin(table.acquire("key", 1).timer(never));
    let polled = second.as_mut().poll(&mut Context::from_waker(&panics));
    assert!(polled.is_pending());
    assert_eq!(table.waiting(), 2);
    catch_unwind(AssertUnwindSafe(|| drop(first))).expect_err("the waker panics");
    assert_eq!(table.waiting(), 1);
    drop(second);
    assert_eq!(table.waiting(), 0);
}
