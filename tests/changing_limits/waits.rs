//! Waiters are woken by a change, keep their places, and see the new limits.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use tidegate::{Combined, Denied, Keyed, ManualClock, Quota, SlidingWindow, TokenBucket};

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn never(_: Duration) -> core::future::Pending<()> {
    core::future::pending()
}

#[test]
fn faster_quota_serves_waiters_in_order() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_hour(1).burst(1), clock.clone());
    bucket.try_acquire(1).expect("valid");
    let mut first = pin!(bucket.acquire(1).timer(never));
    let mut second = pin!(bucket.acquire(1).timer(never));
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());

    bucket.set_quota(Quota::per_second(1_000).burst(1));
    clock.advance(Duration::from_millis(1));
    assert!(poll(second.as_mut()).is_pending(), "the first is before it");
    assert_eq!(poll(first.as_mut()), Poll::Ready(Ok(())));
    clock.advance(Duration::from_millis(1));
    assert_eq!(poll(second.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn waiter_for_more_than_the_new_capacity_is_refused() {
    let bucket = TokenBucket::with_clock(Quota::per_hour(5), ManualClock::new());
    bucket.try_acquire(5).expect("valid");
    let mut waiter = pin!(bucket.acquire(4).timer(never));
    assert!(poll(waiter.as_mut()).is_pending());
    bucket.set_quota(Quota::per_hour(3));
    assert_eq!(
        poll(waiter.as_mut()),
        Poll::Ready(Err(Denied::Never { capacity: 3 }))
    );
    assert_eq!(bucket.waiting(), 0);
}

#[test]
fn change_wakes_a_thread() {
    let bucket = TokenBucket::new(Quota::per_hour(1).burst(1));
    bucket.try_acquire(1).expect("valid");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| bucket.acquire(1).wait());
        while bucket.waiting() == 0 {
            std::thread::yield_now();
        }
        bucket.set_quota(Quota::per_second(1_000));
        assert_eq!(waiter.join().expect("valid"), Ok(()));
    });
}

#[test]
fn waiters_of_windows_and_combinations_see_the_new_limit() {
    let clock = ManualClock::new();
    let hour = Duration::from_secs(3_600);
    let window = SlidingWindow::with_clock(1, hour, clock.clone()).expect("valid");
    let calls = Combined::builder().limit("hour", window).build();
    calls.try_acquire(1).expect("valid");
    let mut waiter = pin!(calls.acquire(1).timer(never));
    assert!(poll(waiter.as_mut()).is_pending());
    calls.set_limit("hour", 2, hour).expect("valid");
    assert_eq!(poll(waiter.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn waiters_for_a_key_see_its_new_quota() {
    let clock = ManualClock::new();
    let time = clock.clone();
    let make = move |_: &u64| TokenBucket::with_clock(Quota::per_hour(1).burst(1), time.clone());
    let users = Keyed::new(make);
    for key in [1, 2] {
        users.try_acquire(&key, 1).expect("valid");
    }
    let mut one = pin!(users.acquire(&1, 1).timer(never));
    let mut two = pin!(users.acquire(&2, 1).timer(never));
    assert!(poll(one.as_mut()).is_pending() && poll(two.as_mut()).is_pending());

    users
        .at(&1)
        .set_quota(Quota::per_second(10).burst(1))
        .expect("valid");
    clock.advance(Duration::from_millis(100));
    assert_eq!(poll(one.as_mut()), Poll::Ready(Ok(())));
    assert!(poll(two.as_mut()).is_pending());

    let time = clock.clone();
    users
        .set_factory(move |_| TokenBucket::with_clock(Quota::per_second(5).burst(1), time.clone()));
    clock.advance(Duration::from_millis(200));
    assert_eq!(poll(two.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn waiter_for_a_key_that_the_table_does_not_hold_is_woken() {
    #[derive(Default)]
    struct Wakes(AtomicUsize);
    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    let clock = ManualClock::new();
    let make = |initial| {
        let clock = clock.clone();
        let quota = Quota::per_hour(1);
        move |_: &u64| TokenBucket::with_clock(quota, clock.clone()).with_initial(initial)
    };
    let users = Keyed::new(make(0));
    let count = Arc::new(Wakes::default());
    let waker = Waker::from(count.clone());
    let mut context = Context::from_waker(&waker);
    let mut waiter = pin!(users.acquire(&1, 1).timer(never));
    assert!(waiter.as_mut().poll(&mut context).is_pending());
    assert!(users.is_empty());
    users.set_factory(make(1));
    assert_eq!(count.0.load(Relaxed), 1);
    assert_eq!(waiter.as_mut().poll(&mut context), Poll::Ready(Ok(())));
}
