//! Who is served when. The J cases are those of .NET's limiters, whose refill comes in ticks of a second.

use core::time::Duration;

use tidegate::{Clock, Denied, Limiter, ManualClock, Timestamp};

use crate::crowd::{Crowd, Waits};
use crate::{SECOND, bucket, combined, window};

const ALL: usize = 1_000;

#[test]
fn j01_oldest_first() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    let mut crowd = Crowd::at(&bucket, &clock);
    bucket.try_acquire(1).unwrap();
    let (first, second) = (crowd.come(1), crowd.come(1));
    assert_eq!(crowd.waiting(), [first, second]);
    crowd.advance(SECOND);
    assert_eq!((crowd.admitted(), bucket.available()), (vec![first], 0));
    crowd.advance(SECOND);
    assert_eq!(crowd.admitted(), [second]);
}

/// A line of a second has room for one.
#[test]
fn j03_a_full_queue_refuses_at_once_and_says_when() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    let mut crowd = Crowd::at(&bucket, &clock);
    bucket.try_acquire(1).unwrap();
    let first = crowd.come_for(1, SECOND);
    let second = crowd.come_for(1, SECOND);
    let retry_after = 2 * SECOND;
    let refused = (second, Err(Denied::NotYet { retry_after }));
    assert_eq!(crowd.outcomes(), [refused]);
    crowd.advance(SECOND);
    assert_eq!(crowd.admitted(), [first]);
}

#[test]
fn j03_on_windows_and_combinations() {
    let clock = ManualClock::new();
    full_queue(&window(1, &clock).max_waiters(1), &clock);
    let clock = ManualClock::new();
    full_queue(&combined(1, &clock).max_waiters(1), &clock);
}

fn full_queue<L: Waits + Limiter>(limiter: &L, clock: &ManualClock) {
    let mut crowd = Crowd::at(limiter, clock);
    let taken = crowd.come(1);
    let first = crowd.come(1);
    let second = crowd.come(1);
    let refused = (second, limiter.peek_at(1, clock.now()));
    assert!(refused.1.is_err());
    assert_eq!(crowd.outcomes(), [(taken, Ok(())), refused]);
    // J07: when the first leaves there is room again, and nothing is lost.
    crowd.drop(first);
    let third = crowd.come(1);
    assert_eq!(crowd.waiting(), [third]);
    crowd.advance(2 * SECOND);
    assert_eq!(crowd.admitted(), [third]);
}

#[test]
fn j07_cancelled_while_queued() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    let mut crowd = Crowd::at(&bucket, &clock);
    bucket.try_acquire(1).unwrap();
    let first = crowd.come_for(1, SECOND);
    crowd.drop(first);
    let second = crowd.come_for(1, SECOND);
    assert_eq!(crowd.waiting(), [second]);
    crowd.drop(second);
    crowd.advance(SECOND);
    assert_eq!(bucket.available(), 1);
}

#[test]
fn j08_cancelled_before_queuing() {
    let clock = ManualClock::new();
    let (bucket, window) = (bucket(1, &clock), window(1, &clock));
    bucket.try_acquire(1).unwrap();
    window.try_acquire(1).unwrap();
    let timer = |_| core::future::pending();
    drop(bucket.acquire_with(timer, 1));
    drop(window.acquire_with(timer, 1));
    assert_eq!((bucket.debt(), window.waiting()), (0, 0));
    clock.advance(2 * SECOND);
    assert_eq!((bucket.available(), window.available()), (1, 1));
}

/// The column "exact", with tokens that flow: 1 or 2 in 20 s, 100 not, as it fills the bucket in the middle of a period.
#[test]
fn j13_the_hint_counts_who_is_before() {
    let cases = [
        (2, 2, 0, 2, 1, 40),
        (2, 2, 1, 2, 1, 60),
        (2, 2, 1, 2, 2, 30),
        (3, 2, 0, 3, 1, 40),
    ];
    for (capacity, taken, queued, wanted, per_period, seconds) in cases {
        let clock = ManualClock::new();
        let quota = tidegate::Quota::new(per_period, Duration::from_secs(20)).unwrap();
        let quota = quota.burst(capacity);
        let bucket = tidegate::TokenBucket::with_clock(quota, clock.clone());
        bucket.try_acquire(taken).unwrap();
        let mut crowd = Crowd::at(&bucket, &clock);
        if queued > 0 {
            crowd.come(queued);
        }
        crowd.come_for(wanted, Duration::ZERO);
        let retry_after = Duration::from_secs(seconds);
        let outcome = crowd.outcomes().pop().unwrap().1;
        assert_eq!(outcome, Err(Denied::NotYet { retry_after }), "{quota}");
    }
}

#[test]
fn windows_and_combinations_serve_in_order_whatever_the_sizes() {
    let clock = ManualClock::new();
    in_order(&window(5, &clock), &clock);
    let clock = ManualClock::new();
    in_order(&combined(5, &clock), &clock);
    let clock = ManualClock::new();
    in_order(&bucket(5, &clock), &clock);
}

fn in_order<L: Waits + Limiter>(limiter: &L, clock: &ManualClock) {
    let mut crowd = Crowd::at(limiter, clock);
    let mut random = 1_u64;
    for _ in 0..ALL {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        crowd.come(1 + (random >> 33) % 5);
        if random >> 60 == 0 {
            crowd.timer.advance_to_next();
            crowd.settle();
        }
    }
    assert!(crowd.waiting().len() > ALL / 2);
    crowd.finish();
    assert!(crowd.admitted().into_iter().eq(0..ALL));
}

/// Small ones who come later do not overtake, though there would be room.
#[test]
fn the_large_are_not_starved() {
    let clock = ManualClock::new();
    not_starved(&window(5, &clock), &clock);
    let clock = ManualClock::new();
    not_starved(&combined(5, &clock), &clock);
    let clock = ManualClock::new();
    not_starved(&bucket(5, &clock), &clock);
}

fn not_starved<L: Waits + Limiter>(limiter: &L, clock: &ManualClock) {
    let mut crowd = Crowd::at(limiter, clock);
    assert_eq!(crowd.come(1), 0);
    let large = crowd.come(5);
    for _ in 0..20 {
        let small = crowd.come(1);
        assert!(crowd.waiting().contains(&small));
        crowd.advance(SECOND / 100);
    }
    crowd.finish();
    assert_eq!(crowd.admitted()[..3], [0, large, large + 1]);
}

/// The first sleeps until its instant, the others without a timer, and each is polled when its turn has come.
#[test]
fn only_the_first_in_line_sleeps_on_a_timer() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    let mut crowd = Crowd::at(&window, &clock);
    (0..100).for_each(|_| _ = crowd.come(1));
    assert_eq!((crowd.timer.asleep(), window.waiting()), (1, 99));
    crowd.finish();
    // One sleep for each, as nobody comes in between.
    assert_eq!((crowd.timer.made(), window.waiting()), (99, 0));
}

#[test]
fn waiters_on_a_bucket_sleep_once_and_wake_up_at_their_instant() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    let mut crowd = Crowd::at(&bucket, &clock);
    (0..100).for_each(|_| _ = crowd.come(1));
    assert_eq!(crowd.timer.made(), 99);
    for number in 1..100_u32 {
        crowd.timer.advance_to_next();
        assert_eq!(clock.now(), Timestamp::ZERO + SECOND * number);
        crowd.settle();
    }
    assert!(crowd.admitted().into_iter().eq(0..100));
    assert_eq!(crowd.timer.made(), 99);
}
