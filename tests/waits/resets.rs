//! A reset wakes everybody, who take new places within their old deadlines.

use tidegate::{Denied, ManualClock};

use crate::crowd::Crowd;
use crate::{SECOND, bucket};

#[test]
fn a_reset_wakes_all() {
    let clock = ManualClock::new();
    let bucket = bucket(3, &clock);
    bucket.debit(1_003);
    let mut crowd = Crowd::at(&bucket, &clock);
    (0..5).for_each(|_| _ = crowd.come(1));
    assert_eq!(bucket.debt(), 1_005);
    bucket.reset();
    crowd.settle();
    assert_eq!(crowd.admitted(), [0, 1, 2]);
    assert_eq!(bucket.debt(), 2);
    // And again.
    bucket.reset();
    crowd.settle();
    assert_eq!((crowd.admitted(), bucket.available()), (vec![3, 4], 1));
}

/// Whoever slept for the old place sleeps for the new one, which may be earlier.
#[test]
fn new_places_have_their_own_sleeps() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    bucket.debit(1_000);
    let mut crowd = Crowd::at(&bucket, &clock);
    let waiting = crowd.come(1);
    bucket.reset();
    bucket.try_acquire(1).unwrap();
    crowd.settle();
    assert_eq!((crowd.waiting(), crowd.timer.asleep()), (vec![waiting], 1));
    crowd.advance(SECOND);
    assert_eq!(crowd.admitted(), [waiting]);
}

/// The others are behind the new line's first, and the deadline is that of the first poll.
#[test]
fn new_places_keep_the_deadline() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    bucket.debit(4);
    let mut crowd = Crowd::at(&bucket, &clock);
    let first = crowd.come_for(1, 4 * SECOND);
    let second = crowd.come_for(1, 5 * SECOND);
    crowd.advance(3 * SECOND);
    bucket.reset();
    bucket.debit(3);
    crowd.settle();
    let retry_after = 3 * SECOND;
    let late = |number| (number, Err(Denied::NotYet { retry_after }));
    assert_eq!(crowd.outcomes(), [late(first), late(second)]);

    bucket.reset();
    bucket.debit(4);
    let third = crowd.come_for(1, 4 * SECOND);
    crowd.advance(SECOND);
    bucket.reset();
    bucket.debit(3);
    crowd.settle();
    crowd.advance(3 * SECOND);
    assert_eq!(crowd.admitted(), [third]);
    assert_eq!(bucket.debt(), 0);
}

/// Whose instant has come before it was polled is admitted, whatever a reset says then.
#[test]
fn a_reset_takes_nothing_from_who_is_due() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    bucket.debit(1);
    let mut crowd = Crowd::at(&bucket, &clock);
    let due = crowd.come_for(1, SECOND);
    crowd.timer.advance(SECOND);
    bucket.reset();
    bucket.try_acquire(1).unwrap();
    crowd.settle();
    assert_eq!((crowd.admitted(), bucket.debt()), (vec![due], 0));
}

/// The places that a reset dissolves are not cancelled on top of it, whatever the bucket's time is by then.
#[test]
fn a_dissolved_place_gives_nothing_back() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    bucket.debit(4);
    let mut crowd = Crowd::at(&bucket, &clock);
    let waiting = crowd.come_for(1, 4 * SECOND);
    clock.advance(3 * SECOND);
    bucket.reset();
    // The same time as when it had taken its place.
    bucket.debit(2);
    crowd.settle();
    assert!(matches!(crowd.outcomes()[..], [(number, Err(_))] if number == waiting));
    assert_eq!(bucket.debt(), 1);
}

/// Nor when it is dropped before it has heard of the reset: what came back with that would come back twice, and two would be
/// promised the same instant.
#[test]
fn a_dissolved_place_that_is_dropped_gives_nothing_back() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    bucket.try_acquire(1).unwrap();
    let mut crowd = Crowd::at(&bucket, &clock);
    let dissolved = crowd.come(1);
    bucket.reset();
    // The same time as when it had taken its place.
    bucket.try_acquire(1).unwrap();
    let promised = crowd.come(1);
    crowd.drop(dissolved);
    let later = crowd.come(1);
    assert_eq!(bucket.debt(), 2);
    crowd.advance(SECOND);
    crowd.settle();
    assert_eq!(crowd.admitted(), [promised]);
    crowd.advance(SECOND);
    crowd.settle();
    assert_eq!(crowd.admitted(), [later]);
}
