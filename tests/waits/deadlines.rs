//! Timeouts. Waits that cannot end in time are refused before sleeping.

use core::time::Duration;

use tidegate::{Clock, Denied, Limiter, ManualClock};

use crate::random::Random;
use crate::waiters::{WaitFor, Waiters};
use crate::{MILLISECOND, NANOSECOND, SECOND, bucket, no_sleep, on_each_limiter, window};

#[test]
fn hopeless_waits_are_refused_before_sleeping() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let now = limiter.now();
        let capacity = limiter.capacity();
        limiter.try_acquire_at(capacity, now).expect("new");
        let wait = limiter.wait_time_at(1, now).expect("not never");
        let too_short = wait.saturating_sub(NANOSECOND);
        let outcome = |n, timeout| limiter.wait_for(no_sleep, n, timeout).ready();
        let not_yet = Err(Denied::NotYet {
            retry_after: wait.into(),
        });
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

/// A sum of permits ahead, and how long a wait behind them takes.
#[test]
fn waits_behind_others_are_refused_with_the_whole_wait() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        limiter.try_acquire_at(5, clock.now()).expect("new");
        let mut waiters = Waiters::at(limiter, clock);
        for n in [2, 5, 1] {
            waiters.join(n);
        }
        clock.advance(SECOND / 2);
        // 8 permits are ahead, and half a second has passed.
        for n in 1..=5_u32 {
            let wait = (15 + 2 * n) * SECOND / 2;
            let refused = waiters.join_for(n.into(), wait.saturating_sub(NANOSECOND));
            let not_yet = Err(Denied::NotYet {
                retry_after: wait.into(),
            });
            assert_eq!(waiters.outcomes(), [(refused, not_yet)]);
            let in_time = waiters.join_for(n.into(), wait);
            assert!(waiters.waiting().contains(&in_time));
            waiters.drop_waiter(in_time);
        }
        let last = waiters.join_for(1, 17 * SECOND / 2);
        assert_eq!(
            waiters.timer.pending(),
            1 + 1,
            "the head, and the last one's deadline"
        );
        for (number, half_seconds) in [3, 10, 2].into_iter().enumerate() {
            waiters.advance(half_seconds * SECOND / 2);
            assert_eq!(waiters.admitted(), [number]);
        }
        waiters.advance(SECOND.saturating_sub(NANOSECOND));
        assert_eq!(waiters.waiting(), [last]);
        waiters.advance(NANOSECOND);
        assert_eq!(waiters.admitted(), [last]);
    }
    on_each_limiter!(check, 5, bucket, sharded, api, shared);
}

/// The hint of a window is the least that any order of admissions allows. So no waiter is refused
/// that could be admitted in time.
#[test]
fn windows_refuse_no_wait_that_ends_in_time() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let mut random = Random(3);
        let mut bounds = Vec::new();
        let mut waiters = Waiters::at(limiter, clock);
        for _ in 0..60 {
            let n = 1 + random.below(4);
            let refused = waiters.join_for(n, Duration::ZERO);
            let outcomes = waiters.outcomes();
            match outcomes[outcomes.len() - 1] {
                (number, Err(Denied::NotYet { retry_after })) if number == refused => {
                    bounds.push((waiters.join(n), clock.now() + retry_after));
                }
                (_, outcome) => assert_eq!(outcome, Ok(())),
            }
            clock.advance(Duration::from_micros(random.below(100_000)));
        }
        assert!(bounds.len() > 40);
        for (number, earliest) in bounds {
            while waiters.waiting().contains(&number) {
                assert!(waiters.timer.advance_to_next());
                waiters.poll_woken();
            }
            assert!(clock.now() >= earliest, "{number}");
        }
    }
    on_each_limiter!(check, 4, window, combined, shared_window);
}

/// A window tells only the least that the waiters ahead take. A waiter learns when it becomes the
/// head that its permit cannot come in time, and leaves at once.
#[test]
fn new_head_that_is_too_late_leaves_at_once() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    let mut waiters = Waiters::at(&window, &clock);
    let admitted = waiters.join(1);
    let head = waiters.join(1);
    // The least is two windows. With the parts of a window that is more by 1/32 s.
    let short = waiters.join_for(1, 2 * SECOND + SECOND / 64);
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
    // As late as a head with the same deadline could be admitted: two milliseconds.
    waiters.advance((3 * SECOND + 2 * MILLISECOND).saturating_sub(NANOSECOND));
    assert_eq!((waiters.outcomes(), window.waiting()), (vec![], 2));
    waiters.advance(NANOSECOND);
    // The one ahead would take the only permit, and the next comes a second later.
    let retry_after = SECOND;
    assert_eq!(
        waiters.outcomes(),
        [(
            behind,
            Err(Denied::NotYet {
                retry_after: retry_after.into()
            })
        )]
    );
    assert_eq!(window.waiting(), 1);
}

/// There is room for both, but the head has not been polled.
#[test]
fn deadlines_behind_an_unpolled_head_are_refused_as_busy() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        limiter.try_acquire_at(2, clock.now()).expect("new");
        let mut waiters = Waiters::at(limiter, clock);
        let forgotten = waiters.join(1);
        let behind = waiters.join_for(1, 5 * SECOND);
        waiters.forget(forgotten);
        waiters.advance(5 * SECOND + 2 * MILLISECOND);
        let outcomes = waiters.outcomes();
        assert!(
            matches!(outcomes[..], [(number, Err(Denied::Busy { .. }))] if number == behind),
            "{outcomes:?}"
        );
    }
    on_each_limiter!(check, 2);
}

/// Case J03 of .NET: a timeout bounds the queue to what flows in within it. Further callers are
/// refused at once, with the whole wait as the hint.
#[test]
fn timeout_bounds_the_queue_of_a_bucket() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    let mut waiters = Waiters::at(&bucket, &clock);
    (0..10).for_each(|_| _ = waiters.join_for(1, 3 * SECOND));
    assert_eq!((waiters.waiting(), bucket.waiting()), (vec![1, 2, 3], 3));
    assert_eq!(bucket.debt(), 0, "waiters are not charged");
    let retry_after = 4 * SECOND;
    let refused = (4..10).map(|number| {
        (
            number,
            Err(Denied::NotYet {
                retry_after: retry_after.into(),
            }),
        )
    });
    let expected: Vec<_> = core::iter::once((0, Ok(()))).chain(refused).collect();
    assert_eq!(waiters.outcomes(), expected);
    waiters.advance(SECOND);
    assert_eq!(waiters.admitted(), [1]);
}

/// Case J07 on a bucket.
#[test]
fn dropped_waiter_makes_room_for_another() {
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

/// The end of the clock's time never comes.
#[test]
fn endless_waits_are_refused() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    bucket.debit(u64::MAX);
    let waited = bucket.wait_time(1).expect("not never");
    let outcome = bucket.wait_for(no_sleep, 1, SECOND).ready();
    assert_eq!(
        outcome,
        Err(Denied::NotYet {
            retry_after: waited.into()
        })
    );
}
