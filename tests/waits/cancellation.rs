//! Waiters that are dropped in every state, and waiters that are forgotten.

use alloc::sync::Arc;
use core::time::Duration;

use tidegate::{Clock, Denied, Limiter, ManualClock};

use crate::waiters::{WaitFor, Waiters};
use crate::{MILLISECOND, SECOND, bucket, on_each_limiter, window};

/// When a waiter is dropped.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// All wait, and none was woken.
    AllAsleep,
    /// The head was woken, and was not polled.
    HeadIsDue,
    /// The head was admitted, and the next waiter was not polled.
    TurnIsHandedOver,
    /// The second waiter is the head, and sleeps.
    SecondIsHead,
}

const MOMENTS: [Moment; 4] = [
    Moment::AllAsleep,
    Moment::HeadIsDue,
    Moment::TurnIsHandedOver,
    Moment::SecondIsHead,
];

/// Of four waiters one is dropped. The others are served in order.
fn drop_one<L: WaitFor + Limiter>(
    limiter: &L,
    clock: &ManualClock,
    moment: Moment,
    dropped: usize,
) {
    limiter.try_acquire_at(1, limiter.now()).expect("new");
    let mut waiters = Waiters::at(limiter, clock);
    waiters.join_all(4);
    // The waiters of a bucket have reserved, so the hint is longer than the head's wait.
    let hint = limiter.wait_time_at(1, limiter.now()).expect("not never");
    let due = hint.min(SECOND + SECOND / 64);
    match moment {
        Moment::AllAsleep => {}
        Moment::HeadIsDue => waiters.timer.advance(due),
        Moment::TurnIsHandedOver => {
            waiters.timer.advance(due);
            waiters.poll_one_woken();
        }
        Moment::SecondIsHead => waiters.advance(due),
    }
    if !waiters.waiting().contains(&dropped) {
        return;
    }
    waiters.drop_waiter(dropped);
    waiters.finish();
    let others: Vec<_> = (0..4).filter(|&number| number != dropped).collect();
    assert_eq!(waiters.admitted(), others, "{moment:?}, {dropped}");
    // Nothing is left in the queue.
    clock.advance(10 * SECOND);
    let next = waiters.join(1);
    assert_eq!(waiters.admitted(), [next], "{moment:?}, {dropped}");
}

fn share<L>(limiter: fn(u64, &ManualClock) -> L, clock: &ManualClock) -> Arc<L> {
    Arc::new(limiter(1, clock))
}

#[test]
fn any_waiter_can_be_dropped_at_any_moment() {
    for moment in MOMENTS {
        for dropped in 0..4 {
            on_each_limiter!(
                |limiter, clock| drop_one(limiter, clock, moment, dropped),
                1
            );
            let clock = ManualClock::new();
            drop_one(&share(bucket, &clock), &clock, moment, dropped);
            let clock = ManualClock::new();
            drop_one(&share(window, &clock), &clock, moment, dropped);
            let clock = ManualClock::new();
            drop_one(&share(crate::combined, &clock), &clock, moment, dropped);
        }
    }
}

#[test]
fn dropped_window_waiters_cost_nothing() {
    let clock = ManualClock::new();
    let window = window(2, &clock);
    let mut waiters = Waiters::at(&window, &clock);
    window.try_acquire(2).unwrap();
    for round in 0..100 {
        let number = waiters.join(1 + round % 2);
        waiters.advance(SECOND / 64);
        if waiters.waiting().contains(&number) {
            waiters.drop_waiter(number);
        }
        waiters.outcomes();
    }
    clock.advance(2 * SECOND);
    assert_eq!((window.available(), window.waiting()), (2, 0));
}

/// Case A1 of async-rate-limiter: waits that were given up delayed the next one.
#[test]
fn hundred_abandoned_waits_do_not_delay_the_next() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    bucket.try_acquire(1).unwrap();
    let mut waiters = Waiters::at(&bucket, &clock);
    for _ in 0..100 {
        waiters.join_for(1, MILLISECOND);
        let dropped = waiters.join(1);
        waiters.drop_waiter(dropped);
    }
    assert_eq!(bucket.wait_time(1), Some(SECOND));
}

/// Case A2 of async-rate-limiter: dropped waits created tokens.
#[test]
fn dropped_waits_create_no_tokens() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    bucket.try_acquire(1).unwrap();
    let mut waiters = Waiters::at(&bucket, &clock);
    for round in 0..5 {
        let waiter = waiters.join(1);
        waiters.drop_waiter(waiter);
        assert!(bucket.try_acquire(1).is_err(), "round {round}");
    }
    // Dropped after its instant, without having been polled again.
    let late = waiters.join(1);
    waiters.timer.advance(SECOND + SECOND / 2);
    waiters.drop_waiter(late);
    assert!(bucket.try_acquire(1).is_err());
}

/// Three waiters, of which any subset is dropped. The tokens behind the last remaining reservation
/// come back. Those before it are forfeited, and the remaining waiters keep their instants.
#[test]
fn bucket_forfeits_only_canceled_reservations() {
    for subset in 0..8_u32 {
        let clock = ManualClock::new();
        let bucket = bucket(1, &clock);
        bucket.try_acquire(1).unwrap();
        let mut waiters = Waiters::at(&bucket, &clock);
        waiters.join_all(3);
        let (dropped, kept): (Vec<_>, Vec<_>) =
            (0..3).partition(|number| subset >> number & 1 == 1);
        for &number in dropped.iter().rev() {
            waiters.drop_waiter(number);
        }
        let reserved = kept.last().map_or(0, |&last| last as u64 + 1);
        assert_eq!(bucket.debt(), reserved, "{dropped:?}");
        waiters.finish();
        assert_eq!(waiters.admitted(), kept);
    }
}

/// In leaky-bucket a forgotten future blocked the limiter for good.
#[test]
fn forgotten_future_costs_a_bucket_only_its_tokens() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    bucket.try_acquire(1).unwrap();
    let mut waiters = Waiters::at(&bucket, &clock);
    let (first, forgotten, last) = (waiters.join(1), waiters.join(1), waiters.join(1));
    waiters.forget(forgotten);
    for expected in [&[first][..], &[], &[last]] {
        waiters.advance(SECOND);
        assert_eq!(waiters.admitted(), expected);
    }
    clock.advance(SECOND);
    assert_eq!(bucket.try_acquire(1), Ok(()));
    bucket.reset();
    assert_eq!(bucket.available(), 1);
}

/// As documented. Callers that do not wait are not blocked, and timeouts free the waiters behind.
#[test]
fn forgotten_head_blocks_the_queue_until_timeouts() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    window.try_acquire(1).unwrap();
    let mut waiters = Waiters::at(&window, &clock);
    let forgotten = waiters.join(1);
    let behind = waiters.join_for(1, 10 * SECOND);
    waiters.forget(forgotten);
    waiters.advance(5 * SECOND);
    assert_eq!(waiters.waiting(), [behind]);
    assert_eq!(window.try_acquire(1), Ok(()));
    waiters.advance(5 * SECOND);
    let outcomes = waiters.outcomes();
    assert!(
        matches!(outcomes[..], [(number, Err(Denied::Busy { .. }))] if number == behind),
        "{outcomes:?}"
    );
    assert_eq!(window.waiting(), 1);
}

/// A waiter that is dropped with the turn passes it on, to the third if the second goes as well.
#[test]
fn dropped_heads_pass_the_turn_on() {
    let clock = ManualClock::new();
    let window = window(1, &clock);
    window.try_acquire(1).unwrap();
    let mut waiters = Waiters::at(&window, &clock);
    let (first, second, third) = (waiters.join(1), waiters.join(1), waiters.join(1));
    waiters.drop_waiter(first);
    waiters.drop_waiter(second);
    waiters.finish();
    assert_eq!(waiters.admitted(), [third]);
}

/// A future that is dropped before its first poll was never in the queue.
#[test]
fn unpolled_futures_change_nothing() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        limiter.try_acquire_at(1, clock.now()).expect("new");
        let hint = limiter.wait_time_at(1, clock.now());
        drop(limiter.wait_for(crate::no_sleep, 1, Duration::MAX));
        assert_eq!(limiter.wait_time_at(1, clock.now()), hint);
        clock.advance(2 * SECOND);
        assert_eq!(limiter.available_at(clock.now()), 1);
        let mut waiters = Waiters::at(limiter, clock);
        assert_eq!((waiters.join(1), waiters.admitted()), (0, vec![0]));
    }
    on_each_limiter!(check, 1);
}
