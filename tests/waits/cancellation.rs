//! Waiters that are dropped in every state, and waiters that are forgotten.

use core::time::Duration;

use tidegate::{Clock, Denied, Limiter, ManualClock, Quota, TokenBucket};

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
    let due = limiter.wait_time_at(1, limiter.now()).expect("not never");
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
    assert_eq!(limiter.waiters(), 0, "{moment:?}, {dropped}");
}

#[test]
fn any_waiter_can_be_dropped_at_any_moment() {
    for moment in MOMENTS {
        for dropped in 0..4 {
            on_each_limiter!(
                |limiter, clock| drop_one(limiter, clock, moment, dropped),
                1
            );
        }
    }
}

/// Waiters with and without timeouts come and go. The limiter fills up as if none had come.
#[test]
fn dropped_waiters_cost_nothing() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let mut waiters = Waiters::at(limiter, clock);
        limiter.try_acquire_at(4, clock.now()).expect("new");
        let mut refilled = 0;
        for round in 0..100 {
            let n = refilled + 1 + round % 3;
            let number = waiters.join_for(n.min(4), 10 * SECOND);
            let behind = waiters.join(1);
            waiters.drop_waiter(number);
            waiters.timer.advance(SECOND / 64);
            waiters.drop_waiter(behind);
            refilled = limiter.available_at(clock.now());
            assert!(refilled <= 1, "{round}: {refilled}");
        }
        assert_eq!((refilled, waiters.outcomes().len()), (1, 0));
        clock.advance(4 * SECOND);
        assert_eq!(
            (limiter.available_at(clock.now()), limiter.waiters()),
            (4, 0)
        );
    }
    on_each_limiter!(check, 4, bucket, sharded, api, shared);
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
    assert_eq!(bucket.try_acquire(1), Ok(()), "the one that flowed in");
    assert!(bucket.try_acquire(1).is_err());
}

/// Case W3: a waiter that leaves when it is due leaves the token.
#[test]
fn due_waiter_that_leaves_costs_nothing() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        limiter.try_acquire_at(1, clock.now()).expect("new");
        let due = limiter.wait_time_at(1, clock.now()).expect("not never");
        let mut waiters = Waiters::at(limiter, clock);
        let leaver = waiters.join(1);
        waiters.timer.advance(due);
        waiters.drop_waiter(leaver);
        assert_eq!(limiter.available_at(clock.now()), 1);
    }
    on_each_limiter!(check, 1);
}

/// Drops every subset of three waiters in turn. The others move up.
#[test]
fn bucket_charges_only_waiters_that_stay() {
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
        assert_eq!((bucket.debt(), bucket.waiting()), (0, kept.len() as u64));
        for &number in &kept {
            waiters.advance(SECOND);
            assert_eq!(waiters.admitted(), [number], "{dropped:?}");
        }
        clock.advance(SECOND);
        assert_eq!(bucket.available(), 1);
    }
}

/// Case W1 in simulated time: 20 callers per second at 10 per second, each with a second of
/// patience. A full bucket and every token that flows in are used.
#[test]
fn leavers_leave_the_whole_rate_to_others() {
    const SECONDS: u32 = 20;
    let clock = ManualClock::new();
    let quota = Quota::per_second(10).burst(1);
    let bucket = TokenBucket::with_clock(quota, clock.clone());
    let mut waiters = Waiters::at(&bucket, &clock);
    let mut served = 0;
    for call in 0..SECONDS * 20 {
        let has_given_up = |waiter: &usize| waiter + 20 <= call as usize;
        for leaver in waiters.waiting().into_iter().filter(has_given_up) {
            waiters.drop_waiter(leaver);
        }
        waiters.poll_woken();
        waiters.join(1);
        waiters.advance(SECOND / 20);
        served += waiters.admitted().len();
    }
    assert_eq!(served, 1 + 10 * SECONDS as usize);
}

/// Case W2 in simulated time: a `select!` in a loop drops the wait at each message, and waits anew.
#[test]
fn waits_that_are_begun_anew_use_the_whole_rate() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let mut waiters = Waiters::at(limiter, clock);
        let mut served = 0;
        for _ in 0..30 * 64 {
            let number = waiters.join(1);
            waiters.advance(SECOND / 64);
            match waiters.admitted()[..] {
                [] => waiters.drop_waiter(number),
                _ => served += 1,
            }
        }
        assert_eq!(served, 31, "30 s, and one at once");
    }
    on_each_limiter!(check, 1, bucket, sharded, shared);
}

/// A forgotten future holds no tokens. It blocks the queue as its head, and no other callers.
#[test]
fn forgotten_future_holds_no_tokens() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        limiter.try_acquire_at(1, clock.now()).expect("new");
        let mut waiters = Waiters::at(limiter, clock);
        let (first, forgotten) = (waiters.join(1), waiters.join(1));
        let last = waiters.join(1);
        waiters.forget(forgotten);
        waiters.advance(2 * SECOND);
        assert_eq!(waiters.admitted(), [first]);
        waiters.advance(10 * SECOND);
        assert_eq!(waiters.waiting(), [last]);
        assert_eq!(limiter.try_acquire_at(1, clock.now()), Ok(()));
        assert_eq!(limiter.waiters(), 2);
    }
    on_each_limiter!(check, 1);
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
    // It leaves as late as a head with the same deadline could be admitted.
    waiters.advance(5 * SECOND + 2 * MILLISECOND);
    // The one ahead would take the only permit, and the next comes a second later.
    let retry_after = SECOND.into();
    assert_eq!(
        waiters.outcomes(),
        [(behind, Err(Denied::NotYet { retry_after }))]
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
