//! What cannot be in time is refused before anybody sleeps.

use alloc::sync::Arc;
use core::future::Ready;
use core::task::Poll;
use core::time::Duration;

use tidegate::{Denied, Limiter, ManualClock};

use crate::crowd::{Crowd, Waits, poll};
use crate::{SECOND, bucket, combined, window};

const NANOSECOND: Duration = Duration::from_nanos(1);

fn nobody_sleeps(wait: Duration) -> Ready<()> {
    unreachable!("a refusal is known beforehand, and not after {wait:?}");
}

fn refuses_before_sleeping<L: Waits + Limiter>(limiter: &L, clock: &ManualClock) {
    let now = limiter.now();
    limiter
        .try_acquire_at(limiter.capacity(), now)
        .expect("new");
    let wait = limiter.wait_time_at(1, now).expect("not never");
    let too_short = wait.saturating_sub(NANOSECOND);
    let mut crowd = Crowd::at(limiter, clock);
    let outcome = |n, timeout| {
        let mut future = limiter.wait(nobody_sleeps, n, timeout);
        poll(&mut future, &Arc::default())
    };
    let not_yet = Poll::Ready(Err(Denied::NotYet { retry_after: wait }));
    assert_eq!(outcome(1, too_short), not_yet);
    assert_eq!(outcome(1, Duration::ZERO), not_yet);
    let capacity = limiter.capacity();
    let never = Poll::Ready(Err(Denied::Never { capacity }));
    assert_eq!(outcome(capacity + 1, Duration::MAX), never);
    // Exactly as long is enough.
    let in_time = crowd.come_for(1, wait);
    crowd.advance(too_short);
    assert!(crowd.admitted().is_empty());
    crowd.advance(NANOSECOND);
    assert_eq!(crowd.admitted(), [in_time]);
}

#[test]
fn deadlines_are_decided_before_sleeping() {
    let clock = ManualClock::new();
    refuses_before_sleeping(&bucket(5, &clock), &clock);
    let clock = ManualClock::new();
    refuses_before_sleeping(&window(5, &clock), &clock);
    let clock = ManualClock::new();
    refuses_before_sleeping(&combined(5, &clock), &clock);
}

/// In a line nobody knows how long the others take: the deadline comes, and those behind move up.
#[test]
fn whoever_is_behind_others_gives_up_at_its_deadline() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    let mut crowd = Crowd::at(&window, &clock);
    let taken = crowd.come(1);
    let head = crowd.come(1);
    let short = crowd.come_for(1, SECOND + SECOND / 2);
    let last = crowd.come(1);
    assert_eq!(crowd.admitted(), [taken]);
    crowd.advance(SECOND + SECOND / 4);
    // The second is the first now, and knows at once that it cannot be in time.
    let outcomes = crowd.outcomes();
    assert!(matches!(outcomes[..], [(a, Ok(())), (b, Err(_))] if a == head && b == short));
    assert_eq!(crowd.waiting(), [last]);
    crowd.finish();
    assert_eq!(crowd.admitted(), [last]);
    assert_eq!(window.waiting(), 0);
}

#[test]
fn whoever_is_still_behind_at_its_deadline_leaves_the_line() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    let mut crowd = Crowd::at(&window, &clock);
    crowd.come(1);
    let head = crowd.come(1);
    let forgotten = crowd.come_for(1, 10 * SECOND);
    let behind = crowd.come_for(1, 5 * SECOND);
    crowd.admitted();
    crowd.advance(2 * SECOND);
    assert_eq!(crowd.admitted(), [head]);
    crowd.forget(forgotten);
    crowd.advance((3 * SECOND).saturating_sub(NANOSECOND));
    assert_eq!((crowd.outcomes(), window.waiting()), (vec![], 2));
    crowd.advance(NANOSECOND);
    let outcomes = crowd.outcomes();
    assert!(matches!(outcomes[..], [(number, Err(_))] if number == behind));
    assert_eq!(window.waiting(), 1);
}

#[test]
fn only_so_many_may_wait() {
    let clock = ManualClock::new();
    let window = window(1, &clock).max_waiters(3);
    let mut crowd = Crowd::at(&window, &clock);
    (0..10).for_each(|_| _ = crowd.come(1));
    assert_eq!((crowd.waiting().len(), window.waiting()), (3, 3));
    let refused = crowd
        .outcomes()
        .iter()
        .filter(|(_, outcome)| outcome.is_err())
        .count();
    assert_eq!(refused, 6);
    crowd.finish();
    assert_eq!(crowd.admitted(), [1, 2, 3]);

    let nobody = self::window(1, &clock).max_waiters(0);
    let mut crowd = Crowd::at(&nobody, &clock);
    assert_eq!((crowd.come(1), crowd.come(1)), (0, 1));
    let outcomes = crowd.outcomes();
    assert!(matches!(outcomes[..], [(0, Ok(())), (1, Err(_))]));
}

/// A line of a bucket is bounded in time: at most rate · timeout tokens are waited for.
#[test]
fn a_timeout_bounds_the_line_of_a_bucket() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    let mut crowd = Crowd::at(&bucket, &clock);
    (0..10).for_each(|_| _ = crowd.come_for(1, 3 * SECOND));
    assert_eq!((crowd.waiting().len(), bucket.debt()), (3, 3));
}
