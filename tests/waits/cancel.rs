//! Dropping waiters: everywhere, in every state.

use alloc::sync::Arc;
use core::time::Duration;

use tidegate::{Clock, Limiter, ManualClock};

use crate::crowd::{Crowd, Waits};
use crate::{SECOND, bucket, combined, window};

/// How far things are when somebody is dropped.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// All wait, nobody was woken.
    Asleep,
    /// The first is due, and was not polled.
    FirstIsDue,
    /// The first is through, and the next was not polled yet.
    TurnIsHandedOver,
    /// The second is at the head, and sleeps.
    SecondSleeps,
}

const POINTS: [Point; 4] = [
    Point::Asleep,
    Point::FirstIsDue,
    Point::TurnIsHandedOver,
    Point::SecondSleeps,
];

/// Four waiters, each of whom is dropped at each point: all others are served, in order.
fn each_waiter_at_each_point<L: Waits + Limiter>(limiter: &dyn Fn(&ManualClock) -> L) {
    for point in POINTS {
        for dropped in 0..4 {
            let clock = ManualClock::new();
            let limiter = limiter(&clock);
            limiter.try_acquire_at(1, clock.now()).expect("new");
            let mut crowd = Crowd::at(&limiter, &clock);
            (0..4).for_each(|_| _ = crowd.come(1));
            let due = limiter_due(&limiter);
            match point {
                Point::Asleep => {}
                Point::FirstIsDue => crowd.timer.advance(due),
                Point::TurnIsHandedOver => {
                    crowd.timer.advance(due);
                    // One only.
                    crowd.settle_one();
                }
                Point::SecondSleeps => crowd.advance(due),
            }
            if !crowd.waiting().contains(&dropped) {
                continue;
            }
            crowd.drop(dropped);
            crowd.finish();
            let left = (0..4).filter(|&number| number != dropped);
            assert!(
                crowd.admitted().into_iter().eq(left),
                "{point:?}, {dropped}"
            );
            // And whoever comes then waits for nobody.
            clock.advance(10 * SECOND);
            let next = crowd.come(1);
            assert_eq!(crowd.admitted(), [next], "{point:?}, {dropped}");
        }
    }
}

/// When the first of the waiters is due.
fn limiter_due<L: Limiter>(limiter: &L) -> Duration {
    // A bucket's waiters have taken what comes first, so it is the second, the third...
    let wait = limiter.wait_time_at(1, limiter.now());
    wait.expect("not never").min(SECOND + SECOND / 64)
}

#[test]
fn each_waiter_is_dropped_at_each_point() {
    each_waiter_at_each_point(&|clock| bucket(1, clock));
    each_waiter_at_each_point(&|clock| window(1, clock));
    each_waiter_at_each_point(&|clock| combined(1, clock));
    each_waiter_at_each_point(&|clock| Arc::new(bucket(1, clock)));
    each_waiter_at_each_point(&|clock| Arc::new(window(1, clock)));
    each_waiter_at_each_point(&|clock| Arc::new(combined(1, clock)));
}

/// A line loses nothing, whoever leaves.
#[test]
fn who_leaves_a_line_costs_nothing() {
    let clock = ManualClock::new();
    let window = window(2, &clock);
    let mut crowd = Crowd::at(&window, &clock);
    window.try_acquire(2).unwrap();
    for round in 0..100 {
        let number = crowd.come(1 + round % 2);
        crowd.advance(SECOND / 64);
        if crowd.waiting().contains(&number) {
            crowd.drop(number);
        }
        crowd.outcomes();
    }
    clock.advance(2 * SECOND);
    assert_eq!((window.available(), window.waiting()), (2, 0));
}

/// async-rate-limiter A1: a hundred waits that were given up, and the next is due as if they had never been.
#[test]
fn a_hundred_timeouts_leave_no_trace() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    bucket.try_acquire(1).unwrap();
    let mut crowd = Crowd::at(&bucket, &clock);
    for _ in 0..100 {
        crowd.come_for(1, Duration::from_millis(1));
        let patient = crowd.come(1);
        crowd.drop(patient);
    }
    assert_eq!(bucket.wait_time(1), Some(SECOND));
}

/// async-rate-limiter A2: dropped waits made tokens.
#[test]
fn dropped_waits_make_no_tokens() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    bucket.try_acquire(1).unwrap();
    let mut crowd = Crowd::at(&bucket, &clock);
    for round in 0..5 {
        let waiter = crowd.come(1);
        crowd.drop(waiter);
        assert!(bucket.try_acquire(1).is_err(), "round {round}");
    }
    // Nor once its instant has come, polled or not.
    let late = crowd.come(1);
    crowd.timer.advance(SECOND + SECOND / 2);
    crowd.drop(late);
    assert!(bucket.try_acquire(1).is_err());
}

/// In the middle of a bucket's line a place is forfeited, and no more than that: those behind keep their instants.
#[test]
fn a_bucket_forfeits_at_most_the_cancelled_places() {
    for dropped in 0..8_u32 {
        let clock = ManualClock::new();
        let bucket = bucket(1, &clock);
        bucket.try_acquire(1).unwrap();
        let mut crowd = Crowd::at(&bucket, &clock);
        (0..3).for_each(|_| _ = crowd.come(1));
        let gone: Vec<usize> = (0..3).filter(|number| dropped >> number & 1 == 1).collect();
        gone.iter().rev().for_each(|&number| crowd.drop(number));
        // Those at the end come back.
        let kept = (0..3).rfind(|number| !gone.contains(number));
        let places = kept.map_or(0, |last| last as u64 + 1);
        assert_eq!(bucket.debt(), places, "{gone:?}");
        crowd.finish();
        assert!(
            crowd
                .admitted()
                .into_iter()
                .eq((0..3).filter(|number| !gone.contains(number)))
        );
    }
}

/// leaky-bucket: a forgotten future blocked the limiter for good. Here a bucket's costs its own tokens.
#[test]
fn a_forgotten_future_costs_its_own_tokens() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    bucket.try_acquire(1).unwrap();
    let mut crowd = Crowd::at(&bucket, &clock);
    let (first, forgotten, last) = (crowd.come(1), crowd.come(1), crowd.come(1));
    crowd.forget(forgotten);
    crowd.advance(SECOND);
    assert_eq!(crowd.admitted(), [first]);
    crowd.advance(SECOND);
    assert_eq!(crowd.admitted(), []);
    crowd.advance(SECOND);
    assert_eq!(crowd.admitted(), [last]);
    clock.advance(SECOND);
    assert_eq!(bucket.try_acquire(1), Ok(()));
    bucket.reset();
    assert_eq!(bucket.available(), 1);
}

/// A line has an order, so a forgotten one holds up those behind it, as documented: but not those who do not wait, and timeouts end
/// it.
#[test]
fn a_forgotten_future_holds_up_those_behind_it_until_their_timeouts() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    window.try_acquire(1).unwrap();
    let mut crowd = Crowd::at(&window, &clock);
    let forgotten = crowd.come(1);
    let behind = crowd.come_for(1, 10 * SECOND);
    crowd.forget(forgotten);
    crowd.advance(5 * SECOND);
    assert_eq!(crowd.waiting(), [behind]);
    assert_eq!(window.try_acquire(1), Ok(()));
    crowd.advance(5 * SECOND);
    assert!(matches!(crowd.outcomes()[..], [(number, Err(_))] if number == behind));
    assert_eq!(window.waiting(), 1);
}
