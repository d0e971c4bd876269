//! Timeouts, and bounds of the queue. Waits that cannot end in time are refused before sleeping.

use core::time::Duration;

use tidegate::{Denied, Limiter, ManualClock};

use crate::waiters::{WaitFor, Waiters};
use crate::{NANOSECOND, SECOND, bucket, no_sleep, on_each_limiter, window};

#[test]
fn hopeless_waits_are_refused_before_sleeping() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let now = limiter.now();
        let capacity = limiter.capacity();
        limiter.try_acquire_at(capacity, now).expect("new");
        let wait = limiter.wait_time_at(1, now).expect("not never");
        let too_short = wait.saturating_sub(NANOSECOND);
        let outcome = |n, timeout| limiter.wait_for(no_sleep, n, timeout).ready();
        let not_yet = Err(Denied::NotYet { retry_after: wait });
        assert_eq!(outcome(1, too_short), not_yet);
        assert_eq!(outcome(1, Duration::ZERO), not_yet);
        let never = Err(Denied::Never { capacity });
        assert_eq!(outcome(capacity + 1, Duration::MAX), never);
        // A timeout of exactly the wait is enough.
        let mut waiters = Waiters::at(limiter, clock);
        let in_time = waiters.join_for(1, wait);
        waiters.advance(too_short);
        assert_eq!(waiters.admitted(), []);
        waiters.advance(NANOSECOND);
        assert_eq!(waiters.admitted(), [in_time]);
    }
    on_each_limiter!(check, 5);
}

/// How long the waiters ahead take is unknown. A waiter learns when it becomes the head that its
/// permit cannot come in time, and leaves at once.
#[test]
fn new_head_that_is_too_late_leaves_at_once() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    let mut waiters = Waiters::at(&window, &clock);
    let admitted = waiters.join(1);
    let head = waiters.join(1);
    let short = waiters.join_for(1, SECOND + SECOND / 2);
    let last = waiters.join(1);
    assert_eq!(waiters.admitted(), [admitted]);
    waiters.advance(SECOND + SECOND / 4);
    let outcomes = waiters.outcomes();
    assert_eq!(outcomes[0], (head, Ok(())));
    assert!(matches!(outcomes[1..], [(number, Err(Denied::NotYet { .. }))] if number == short));
    assert_eq!(waiters.waiting(), [last]);
    waiters.finish();
    assert_eq!(waiters.admitted(), [last]);
    assert_eq!(window.waiting(), 0);
}

#[test]
fn waiter_behind_others_leaves_at_its_deadline() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    let mut waiters = Waiters::at(&window, &clock);
    waiters.join(1);
    let head = waiters.join(1);
    let forgotten = waiters.join_for(1, 10 * SECOND);
    let behind = waiters.join_for(1, 5 * SECOND);
    waiters.admitted();
    waiters.advance(2 * SECOND);
    assert_eq!(waiters.admitted(), [head]);
    waiters.forget(forgotten);
    waiters.advance((3 * SECOND).saturating_sub(NANOSECOND));
    assert_eq!((waiters.outcomes(), window.waiting()), (vec![], 2));
    waiters.advance(NANOSECOND);
    let outcomes = waiters.outcomes();
    assert!(matches!(outcomes[..], [(number, Err(Denied::Busy { .. }))] if number == behind));
    assert_eq!(window.waiting(), 1);
}

#[test]
fn max_waiters_bounds_the_queue() {
    let clock = ManualClock::new();
    let three = window(1, &clock).max_waiters(3);
    let mut waiters = Waiters::at(&three, &clock);
    waiters.join_all(10);
    assert_eq!((waiters.waiting().len(), three.waiting()), (3, 3));
    let outcomes = waiters.outcomes();
    let refused = outcomes.iter().filter(|(_, outcome)| outcome.is_err());
    assert_eq!(refused.count(), 6);
    waiters.finish();
    assert_eq!(waiters.admitted(), [1, 2, 3]);

    let none = window(1, &clock).max_waiters(0);
    let mut waiters = Waiters::at(&none, &clock);
    waiters.join_all(2);
    let outcomes = waiters.outcomes();
    assert!(matches!(outcomes[..], [(0, Ok(())), (1, Err(_))]));
}

/// Cases J03 and J07 of .NET: a full queue refuses at once with the limiter's hint, and a waiter
/// that leaves makes room.
#[test]
fn full_queue_refuses_until_a_waiter_leaves() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let mut waiters = Waiters::at(limiter, clock);
        let (admitted, head, refused) = (waiters.join(1), waiters.join(1), waiters.join(1));
        let refusal = limiter.peek_at(1, limiter.now());
        assert!(refusal.is_err());
        let expected = [(admitted, Ok(())), (refused, refusal)];
        assert_eq!(waiters.outcomes(), expected);
        waiters.drop_waiter(head);
        let next = waiters.join(1);
        assert_eq!(waiters.waiting(), [next]);
        waiters.advance(2 * SECOND);
        assert_eq!(waiters.admitted(), [next]);
    }
    let clock = ManualClock::new();
    check(&window(1, &clock).max_waiters(1), &clock);
    let clock = ManualClock::new();
    check(&crate::combined(1, &clock).max_waiters(1), &clock);
    let clock = ManualClock::new();
    check(&crate::sharded(1, &clock).max_waiters(1), &clock);
}

/// Case J03 on a bucket, whose queue is bounded in time: at most rate · timeout tokens are waited
/// for. Further callers are refused at once, with the whole wait as the hint.
#[test]
fn timeout_bounds_the_reservations_of_a_bucket() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    let mut waiters = Waiters::at(&bucket, &clock);
    (0..10).for_each(|_| _ = waiters.join_for(1, 3 * SECOND));
    assert_eq!((waiters.waiting(), bucket.debt()), (vec![1, 2, 3], 3));
    let retry_after = 4 * SECOND;
    let refused = (4..10).map(|number| (number, Err(Denied::NotYet { retry_after })));
    let expected: Vec<_> = core::iter::once((0, Ok(()))).chain(refused).collect();
    assert_eq!(waiters.outcomes(), expected);
    waiters.advance(SECOND);
    assert_eq!(waiters.admitted(), [1]);
}

/// Case J07 on a bucket.
#[test]
fn dropped_reservation_makes_room_for_another() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    let mut waiters = Waiters::at(&bucket, &clock);
    bucket.try_acquire(1).unwrap();
    let first = waiters.join_for(1, SECOND);
    waiters.drop_waiter(first);
    let second = waiters.join_for(1, SECOND);
    assert_eq!(waiters.waiting(), [second]);
    waiters.drop_waiter(second);
    waiters.advance(SECOND);
    assert_eq!(bucket.available(), 1);
}
