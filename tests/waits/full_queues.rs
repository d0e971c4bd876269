//! Queues that are full: a new waiter is refused at once.

use core::time::Duration;

use tidegate::{Denied, Limiter, ManualClock};

use crate::waiters::{WaitFor, Waiters};
use crate::{SECOND, api, bucket, combined, sharded, shared, window};

/// Calls `check(&limiter, &clock)` with a limiter of each kind for one permit, whose queue has room
/// for `$most` waiters.
macro_rules! with_max_waiters {
    ($most:expr, $check:expr) => {
        with_max_waiters!($most, $check, bucket, sharded, window, combined, api)
    };
    ($most:expr, $check:expr, $($limiter:ident),*) => {$(
        let clock = ManualClock::new();
        $check(&$limiter(1, &clock).max_waiters($most), &clock);
    )*};
}

#[test]
fn max_waiters_bounds_the_queue() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let mut waiters = Waiters::at(limiter, clock);
        waiters.join_all(10);
        assert_eq!((waiters.waiting().len(), limiter.waiters()), (3, 3));
        let outcomes = waiters.outcomes();
        let refused = outcomes.iter().filter(|(_, outcome)| outcome.is_err());
        assert_eq!(refused.count(), 6);
        waiters.finish();
        assert_eq!(waiters.admitted(), [1, 2, 3]);
    }
    with_max_waiters!(3, check);
}

/// Calls that need not wait are admitted.
#[test]
fn zero_waiters_turn_waits_into_tries() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let mut waiters = Waiters::at(limiter, clock);
        waiters.join_all(2);
        let wait = limiter.wait_time_at(1, limiter.now()).expect("not never");
        let refused = Err(Denied::NotYet {
            retry_after: wait.into(),
        });
        assert_eq!(waiters.outcomes(), [(0, Ok(())), (1, refused)]);
        assert_eq!(limiter.block_for(1, Duration::MAX), refused);
        clock.advance(2 * SECOND);
        assert_eq!(limiter.block_for(1, Duration::MAX), Ok(()));
    }
    with_max_waiters!(0, check);
}

/// Cases J03 and J07 of .NET: the refusal's hint is the wait behind those in the queue, and a
/// waiter that leaves makes room. Threads are refused as futures are.
#[test]
fn full_queue_refuses_until_a_waiter_leaves() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let mut waiters = Waiters::at(limiter, clock);
        let (admitted, head, refused) = (waiters.join(1), waiters.join(1), waiters.join(1));
        let hint = limiter.wait_time_at(1, limiter.now()).expect("not never");
        let [(first, Ok(())), (last, refusal)] = waiters.outcomes()[..] else {
            panic!("the head waits, and the others are decided");
        };
        assert_eq!((first, last), (admitted, refused));
        let Err(Denied::NotYet { retry_after }) = refusal else {
            panic!("{refusal:?}");
        };
        assert_eq!(retry_after, hint + SECOND);
        assert_eq!(limiter.block_for(1, Duration::MAX), refusal);
        waiters.drop_waiter(head);
        let next = waiters.join(1);
        assert_eq!(waiters.waiting(), [next]);
        waiters.advance(2 * SECOND);
        assert_eq!(waiters.admitted(), [next]);
    }
    with_max_waiters!(1, check);
}

/// There is room for the call, but another is ahead and has not been polled.
#[test]
fn full_queue_is_busy_while_its_head_is_due() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let mut waiters = Waiters::at(limiter, clock);
        waiters.join_all(2);
        waiters.timer.advance(2 * SECOND);
        // Two permits, where one is the most at once.
        let outcome = limiter.block_for(1, Duration::MAX);
        let hint = outcome.expect_err("the queue is full").retry_after();
        assert!(hint.is_some_and(|hint| hint <= SECOND), "{outcome:?}");
        waiters.poll_woken();
        assert_eq!(waiters.admitted(), [0, 1]);
    }
    with_max_waiters!(1, check);

    let clock = ManualClock::new();
    let bucket = bucket(2, &clock).max_waiters(1);
    let mut waiters = Waiters::at(&bucket, &clock);
    bucket.try_acquire(2).unwrap();
    waiters.join(1);
    waiters.timer.advance(2 * SECOND);
    let outcome = bucket.block_for(1, Duration::MAX);
    assert!(matches!(outcome, Err(Denied::Busy { .. })), "{outcome:?}");
}

/// A share of the limiter counts in the same queue.
#[test]
fn owned_waits_count() {
    let clock = ManualClock::new();
    let shared = shared(1, &clock);
    let bounded = alloc::sync::Arc::new(bucket(1, &clock).max_waiters(2));
    for (limiter, most) in [(shared, 5), (bounded, 2)] {
        let mut waiters = Waiters::at(&limiter, &clock);
        waiters.join_all(6);
        assert_eq!(limiter.waiting(), most);
    }
}
