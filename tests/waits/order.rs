//! The order of service. The J cases come from .NET's limiters, which refill once per second.

use core::time::Duration;

use tidegate::{Clock, Denied, Limiter, ManualClock, Quota, Timestamp, TokenBucket};

use crate::random::Random;
use crate::waiters::{WaitFor, Waiters};
use crate::{SECOND, bucket, on_each_limiter};

#[test]
fn j01_oldest_first() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    let mut waiters = Waiters::at(&bucket, &clock);
    bucket.try_acquire(1).unwrap();
    let (first, second) = (waiters.join(1), waiters.join(1));
    assert_eq!(waiters.waiting(), [first, second]);
    waiters.advance(SECOND);
    assert_eq!((waiters.admitted(), bucket.available()), (vec![first], 0));
    waiters.advance(SECOND);
    assert_eq!(waiters.admitted(), [second]);
}

/// .NET's expectations in its mode "exact", with 1 or 2 tokens per 20 s. The case with 100 tokens
/// is left out, because it refills the bucket within a period.
#[test]
fn j13_hint_counts_the_waiters_ahead() {
    let cases = [
        (2, 2, 0, 2, 1, 40),
        (2, 2, 1, 2, 1, 60),
        (2, 2, 1, 2, 2, 30),
        (3, 2, 0, 3, 1, 40),
    ];
    for (capacity, taken, queued, wanted, per_period, seconds) in cases {
        let clock = ManualClock::new();
        let quota = Quota::new(per_period, 20 * SECOND).unwrap().burst(capacity);
        let bucket = TokenBucket::with_clock(quota, clock.clone());
        bucket.try_acquire(taken).unwrap();
        let mut waiters = Waiters::at(&bucket, &clock);
        if queued > 0 {
            waiters.join(queued);
        }
        waiters.join_for(wanted, Duration::ZERO);
        let retry_after = Duration::from_secs(seconds).into();
        let outcome = waiters.outcomes().pop().unwrap().1;
        assert_eq!(outcome, Err(Denied::NotYet { retry_after }), "{quota}");
    }
}

#[test]
fn waiters_are_served_in_order_whatever_their_sizes() {
    const COUNT: usize = 1_000;
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let mut waiters = Waiters::at(limiter, clock);
        let mut random = Random(1);
        for _ in 0..COUNT {
            waiters.join(1 + random.below(5));
            if random.below(16) == 0 {
                waiters.timer.advance_to_next();
                waiters.poll_woken();
            }
        }
        assert!(waiters.waiting().len() > COUNT / 2);
        waiters.finish();
        assert!(waiters.admitted().into_iter().eq(0..COUNT));
    }
    on_each_limiter!(check, 5);
}

/// Later and smaller waiters do not overtake, although their permits are available.
#[test]
fn large_waiters_are_not_starved() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let mut waiters = Waiters::at(limiter, clock);
        assert_eq!(waiters.join(1), 0);
        let large = waiters.join(5);
        for _ in 0..20 {
            let small = waiters.join(1);
            assert!(waiters.waiting().contains(&small));
            waiters.advance(SECOND / 100);
        }
        waiters.finish();
        assert_eq!(waiters.admitted()[..3], [0, large, large + 1]);
    }
    on_each_limiter!(check, 5);
}

/// The other waiters of a queue have no timer, and no sleep is cut short.
#[test]
fn only_the_head_sleeps_on_a_timer() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let mut waiters = Waiters::at(limiter, clock);
        waiters.join_all(50);
        assert_eq!((waiters.timer.pending(), limiter.waiters()), (1, 49));
        waiters.finish();
        assert_eq!((waiters.timer.started(), limiter.waiters()), (49, 0));
    }
    on_each_limiter!(check, 1);
}

#[test]
fn bucket_waiters_are_admitted_at_their_instants() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let mut waiters = Waiters::at(limiter, clock);
        waiters.join_all(50);
        for number in 1..50_u32 {
            waiters.timer.advance_to_next();
            assert_eq!(clock.now(), Timestamp::ZERO + SECOND * number);
            waiters.poll_woken();
        }
        assert!(waiters.admitted().into_iter().eq(0..50));
    }
    on_each_limiter!(check, 1, bucket, sharded, api, shared);
}

/// Callers that do not wait are not in the queue, and may overtake it.
#[test]
fn tries_may_overtake() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        limiter.try_acquire_at(1, clock.now()).expect("new");
        let due = limiter.wait_time_at(1, clock.now()).expect("not never");
        let mut waiters = Waiters::at(limiter, clock);
        waiters.join(1);
        waiters.timer.advance(due);
        assert_eq!(limiter.try_acquire_at(1, clock.now()), Ok(()));
        waiters.poll_woken();
        assert_eq!((waiters.admitted(), limiter.waiters()), (vec![], 1));
        waiters.finish();
        assert_eq!(waiters.admitted(), [0]);
    }
    on_each_limiter!(check, 1);
}
