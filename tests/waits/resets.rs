//! Changes in favor of waiters wake the head: resets, credits, charges that are undone. Those
//! behind it keep their places and deadlines.

use alloc::sync::Arc;

use tidegate::{Combined, Denied, Limiter, ManualClock, TokenBucket};

use crate::waiters::{WaitFor, Waiters};
use crate::{MILLISECOND, SECOND, bucket, on_each_limiter, window};

/// Returns a bucket for one token, this many tokens in debt.
fn in_debt(debt: u64, clock: &ManualClock) -> TokenBucket<ManualClock> {
    let bucket = bucket(1, clock);
    bucket.debit(1 + debt);
    assert_eq!(bucket.debt(), debt);
    bucket
}

/// Each one that is admitted wakes the next, until the tokens are gone.
#[test]
fn reset_serves_waiters_in_order() {
    let clock = ManualClock::new();
    let bucket = bucket(3, &clock);
    bucket.debit(1_003);
    let mut waiters = Waiters::at(&bucket, &clock);
    waiters.join_all(5);
    assert_eq!(bucket.debt(), 1_000, "waiters are not charged");
    bucket.reset();
    waiters.poll_woken();
    assert_eq!(waiters.admitted(), [0, 1, 2]);
    assert_eq!((bucket.debt(), bucket.available()), (0, 0));
    bucket.reset();
    waiters.poll_woken();
    assert_eq!(waiters.admitted(), [3, 4]);
    assert_eq!(bucket.available(), 1);
}

/// The head has its place before the reset and after it.
#[test]
fn reset_loses_no_place() {
    let clock = ManualClock::new();
    let bucket = in_debt(999, &clock);
    let mut waiters = Waiters::at(&bucket, &clock);
    waiters.join_all(3);
    bucket.reset();
    bucket.try_acquire(1).unwrap();
    // Joins when the head was woken, and was not polled.
    waiters.join(1);
    for number in 0..4 {
        waiters.advance(SECOND);
        assert_eq!(waiters.admitted(), [number]);
    }
}

/// The old sleep was longer, and is canceled.
#[test]
fn woken_head_sleeps_anew() {
    let clock = ManualClock::new();
    let bucket = in_debt(999, &clock);
    let mut waiters = Waiters::at(&bucket, &clock);
    let waiting = waiters.join(1);
    bucket.reset();
    bucket.try_acquire(1).unwrap();
    waiters.poll_woken();
    let sleeping = (waiters.waiting(), waiters.timer.pending());
    assert_eq!(sleeping, (vec![waiting], 1));
    waiters.advance(SECOND);
    assert_eq!(waiters.admitted(), [waiting]);
}

/// The timeout starts at the first poll, and not at the reset.
#[test]
fn woken_head_keeps_its_deadline() {
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
    let late = |number| {
        (
            number,
            Err(Denied::NotYet {
                retry_after: retry_after.into(),
            }),
        )
    };
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

/// Nothing was charged for a waiter. So after a reset it neither owes nor returns anything, whether
/// it is admitted, refused or dropped.
#[test]
fn waiters_return_nothing_after_a_reset() {
    for is_dropped in [true, false] {
        let clock = ManualClock::new();
        let bucket = in_debt(3, &clock);
        let mut waiters = Waiters::at(&bucket, &clock);
        let waiting = waiters.join_for(1, 4 * SECOND);
        clock.advance(3 * SECOND);
        bucket.reset();
        bucket.debit(2);
        if is_dropped {
            waiters.drop_waiter(waiting);
        } else {
            waiters.poll_woken();
            let outcomes = waiters.outcomes();
            assert!(matches!(outcomes[..], [(number, Err(_))] if number == waiting));
        }
        assert_eq!(bucket.debt(), 1);
        bucket.reset();
        assert_eq!(bucket.available(), 1);
    }
}

/// A waiter that is due, and was not polled, has no token yet. A reset gives one, and a call that
/// does not wait may take it.
#[test]
fn due_head_is_not_charged_before_it_is_polled() {
    let clock = ManualClock::new();
    let bucket = in_debt(0, &clock);
    let mut waiters = Waiters::at(&bucket, &clock);
    let due = waiters.join_for(1, SECOND);
    waiters.timer.advance(SECOND);
    assert_eq!(bucket.available(), 1);
    bucket.reset();
    assert_eq!(bucket.available(), 1);
    waiters.poll_woken();
    assert_eq!((waiters.admitted(), bucket.debt()), (vec![due], 0));
}

#[test]
fn credits_wake_the_head() {
    let clock = ManualClock::new();
    let bucket = bucket(5, &clock);
    bucket.debit(6);
    let mut waiters = Waiters::at(&bucket, &clock);
    let (first, second) = (waiters.join(2), waiters.join(1));
    // Not enough: it sleeps for the rest.
    bucket.credit(1);
    waiters.poll_woken();
    assert_eq!(waiters.admitted(), []);
    bucket.credit(2);
    waiters.poll_woken();
    assert_eq!(waiters.admitted(), [first]);
    waiters.advance(SECOND);
    assert_eq!(waiters.admitted(), [second]);
}

#[test]
fn canceled_reservations_wake_the_head() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    bucket.try_acquire(1).unwrap();
    let reserved = bucket.reserve(1, 10 * SECOND).expect("in time");
    let mut waiters = Waiters::at(&bucket, &clock);
    let waiting = waiters.join(1);
    waiters.advance(SECOND / 2);
    assert_eq!(reserved.cancel(), 1);
    waiters.poll_woken();
    assert_eq!(waiters.waiting(), [waiting]);
    waiters.advance(SECOND / 2);
    assert_eq!(waiters.admitted(), [waiting], "a second earlier");
}

#[test]
fn undone_charges_wake_the_head() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let charge = limiter.charge_at(1, limiter.now()).expect("new");
        let mut waiters = Waiters::at(limiter, clock);
        let (first, second) = (waiters.join(1), waiters.join(1));
        assert_eq!(limiter.undo(charge), 1);
        waiters.poll_woken();
        assert_eq!(waiters.admitted(), [first]);
        assert_eq!(waiters.waiting(), [second]);
    }
    // The charges of a sharded bucket cannot be undone.
    on_each_limiter!(
        check,
        1,
        bucket,
        window,
        combined,
        api,
        shared,
        shared_window
    );
}

/// Limits that combinations share wake the heads of their own queue and of each combination.
#[test]
fn changes_of_a_shared_limit_wake_all_queues() {
    let clock = ManualClock::new();
    let shared = Arc::new(bucket(2, &clock));
    let combined = || {
        Combined::builder()
            .limit("shared", Arc::clone(&shared))
            .limit("window", window(5, &clock))
            .build()
    };
    let (first, second) = (combined(), combined());
    shared.debit(1_002);
    let mut own = Waiters::at(&shared, &clock);
    let (mut of_first, mut of_second) = (Waiters::at(&first, &clock), Waiters::at(&second, &clock));
    for waiters in [&mut of_first, &mut of_second] {
        waiters.join_all(1);
    }
    own.join_all(1);
    shared.reset();
    // Two tokens for three heads. The third asked, and sleeps again.
    assert!(of_first.poll_one_woken() && of_second.poll_one_woken() && own.poll_one_woken());
    assert_eq!(
        (of_first.admitted(), of_second.admitted()),
        (vec![0], vec![0])
    );
    assert_eq!(own.waiting(), [0]);
    shared.credit(1);
    own.poll_woken();
    assert_eq!(own.admitted(), [0]);
    // A combination that is dropped is not woken any more.
    drop((of_first, of_second));
    drop(first);
    shared.debit(1_000);
    let mut of_second = Waiters::at(&second, &clock);
    of_second.join_all(1);
    shared.reset();
    of_second.advance(MILLISECOND);
    assert_eq!(of_second.admitted(), [0]);
}
