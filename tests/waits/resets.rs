//! A reset wakes all waiters of a bucket. They reserve again within their old deadlines.

use tidegate::{Denied, ManualClock, TokenBucket};

use crate::waiters::Waiters;
use crate::{SECOND, bucket};

/// Returns a bucket for one token, this many tokens in debt.
fn in_debt(debt: u64, clock: &ManualClock) -> TokenBucket<ManualClock> {
    let bucket = bucket(1, clock);
    bucket.debit(1 + debt);
    assert_eq!(bucket.debt(), debt);
    bucket
}

#[test]
fn reset_wakes_all_waiters() {
    let clock = ManualClock::new();
    let bucket = bucket(3, &clock);
    bucket.debit(1_003);
    let mut waiters = Waiters::at(&bucket, &clock);
    waiters.join_all(5);
    assert_eq!(bucket.debt(), 1_005);
    bucket.reset();
    waiters.poll_woken();
    assert_eq!(waiters.admitted(), [0, 1, 2]);
    assert_eq!(bucket.debt(), 2);
    bucket.reset();
    waiters.poll_woken();
    assert_eq!(waiters.admitted(), [3, 4]);
    assert_eq!(bucket.available(), 1);
}

/// The old sleep was longer, and is canceled.
#[test]
fn new_reservation_has_its_own_sleep() {
    let clock = ManualClock::new();
    let bucket = in_debt(999, &clock);
    let mut waiters = Waiters::at(&bucket, &clock);
    let waiting = waiters.join(1);
    bucket.reset();
    bucket.try_acquire(1).unwrap();
    waiters.poll_woken();
    assert_eq!(
        (waiters.waiting(), waiters.timer.pending()),
        (vec![waiting], 1)
    );
    waiters.advance(SECOND);
    assert_eq!(waiters.admitted(), [waiting]);
}

/// The timeout starts at the first poll, and not at the new reservation.
#[test]
fn new_reservation_keeps_the_deadline() {
    let clock = ManualClock::new();
    let bucket = in_debt(3, &clock);
    let mut waiters = Waiters::at(&bucket, &clock);
    let first = waiters.join_for(1, 4 * SECOND);
    let second = waiters.join_for(1, 5 * SECOND);
    waiters.advance(3 * SECOND);
    bucket.reset();
    bucket.debit(3);
    waiters.poll_woken();
    let retry_after = 3 * SECOND;
    let late = |number| (number, Err(Denied::NotYet { retry_after }));
    assert_eq!(waiters.outcomes(), [late(first), late(second)]);

    // A second later there is just enough time.
    bucket.reset();
    bucket.debit(4);
    let third = waiters.join_for(1, 4 * SECOND);
    waiters.advance(SECOND);
    bucket.reset();
    bucket.debit(3);
    waiters.poll_woken();
    waiters.advance(3 * SECOND);
    assert_eq!(waiters.admitted(), [third]);
    assert_eq!(bucket.debt(), 0);
}

/// A waiter whose instant came before the reset is admitted, polled or not.
#[test]
fn reset_takes_nothing_from_a_due_waiter() {
    let clock = ManualClock::new();
    let bucket = in_debt(0, &clock);
    let mut waiters = Waiters::at(&bucket, &clock);
    let due = waiters.join_for(1, SECOND);
    waiters.timer.advance(SECOND);
    bucket.reset();
    bucket.try_acquire(1).unwrap();
    waiters.poll_woken();
    assert_eq!((waiters.admitted(), bucket.debt()), (vec![due], 0));
}

/// The reset has returned the tokens. The bucket's TAT comes to the value that the reservation
/// left, so a second return would succeed.
#[test]
fn refused_waiter_returns_nothing_after_a_reset() {
    let clock = ManualClock::new();
    let bucket = in_debt(3, &clock);
    let mut waiters = Waiters::at(&bucket, &clock);
    let waiting = waiters.join_for(1, 4 * SECOND);
    clock.advance(3 * SECOND);
    bucket.reset();
    bucket.debit(2);
    waiters.poll_woken();
    let outcomes = waiters.outcomes();
    assert!(matches!(outcomes[..], [(number, Err(_))] if number == waiting));
    assert_eq!(bucket.debt(), 1);
}

/// Otherwise two waiters would be promised the same instant. The TAT comes to the same value as in
/// the test above.
#[test]
fn dropped_waiter_returns_nothing_after_a_reset() {
    let clock = ManualClock::new();
    let bucket = in_debt(0, &clock);
    let mut waiters = Waiters::at(&bucket, &clock);
    let dropped = waiters.join(1);
    bucket.reset();
    bucket.try_acquire(1).unwrap();
    let promised = waiters.join(1);
    waiters.drop_waiter(dropped);
    let later = waiters.join(1);
    assert_eq!(bucket.debt(), 2);
    for expected in [promised, later] {
        waiters.advance(SECOND);
        assert_eq!(waiters.admitted(), [expected]);
    }
}
