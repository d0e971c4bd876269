//! As of when waiters are decided whose timers are late.

use alloc::sync::Arc;
use core::time::Duration;

use tidegate::{Clock, Combined, Denied, Limiter, ManualClock, Quota, Timestamp, TokenBucket};

use crate::waiters::{WaitFor, Waiters};
use crate::{MILLISECOND, NANOSECOND, SECOND, api, bucket, on_each_limiter, sharded, window};

/// Wakes two waiters, each of them `late`. Returns when the limiter's next permits are due after
/// the first waiter and after the second.
fn late_by<L: WaitFor + Limiter>(
    limiter: &L,
    clock: &ManualClock,
    late: Duration,
) -> [Timestamp; 2] {
    limiter.try_acquire_at(1, clock.now()).expect("new");
    let mut waiters = Waiters::at(limiter, clock);
    waiters.join_all(2);
    [0, 1].map(|number| {
        let wait = limiter.wait_time_at(1, clock.now()).expect("not never");
        waiters.advance(wait + late);
        assert_eq!(waiters.admitted(), [number]);
        clock.now() + limiter.wait_time_at(1, clock.now()).expect("not never")
    })
}

/// Calls `check(limiter, &clock)` with a limiter of each kind that has a slack.
macro_rules! with_slack {
    ($slack:expr, $check:expr, $($limiter:ident),*) => {$(
        let clock = ManualClock::new();
        $check(&$limiter(1, &clock).wait_slack($slack), &clock);
    )*};
}

/// Timers that are late by at most the slack cost no part of the rate.
#[test]
fn buckets_decide_as_of_the_instant_that_was_due() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let expected = [2, 3].map(|seconds| Timestamp::ZERO + seconds * SECOND);
        assert_eq!(late_by(limiter, clock, 2 * MILLISECOND), expected);
    }
    on_each_limiter!(check, 1, bucket, sharded, api, shared);
    with_slack!(2 * MILLISECOND, check, bucket, sharded, api);
    with_slack!(SECOND / 2, check, bucket, sharded, api);
}

/// By what goes beyond the slack the next permit is later.
#[test]
fn lateness_beyond_the_slack_is_lost() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let expected =
            [2, 3].map(|seconds| Timestamp::ZERO + seconds * SECOND + (seconds - 1) * MILLISECOND);
        assert_eq!(late_by(limiter, clock, 3 * MILLISECOND), expected);
    }
    on_each_limiter!(check, 1, bucket, sharded, api, shared);
}

#[test]
fn without_slack_waiters_are_decided_when_they_wake_up() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let expected =
            [2, 3].map(|seconds| Timestamp::ZERO + seconds * SECOND + (seconds - 1) * MILLISECOND);
        assert_eq!(late_by(limiter, clock, MILLISECOND), expected);
    }
    with_slack!(Duration::ZERO, check, bucket, sharded, api);
}

/// A window bounds the permits of any second of real time, so an old instant would be wrong.
#[test]
fn windows_decide_as_of_now() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        let part = SECOND / 64;
        // In the middle of a part of the window, so that a millisecond matters.
        let late = part / 2;
        let [first, second] = late_by(limiter, clock, late);
        // The charge lies in the next part, and is forgotten after a whole second and a part.
        assert_eq!(first, Timestamp::ZERO + 2 * (SECOND + part));
        assert_eq!(second, Timestamp::ZERO + 3 * (SECOND + part));
    }
    on_each_limiter!(check, 1, window, combined, shared_window);
    with_slack!(SECOND, check, window);
}

/// Each member gets the instant that fits it.
#[test]
fn combinations_decide_buckets_in_the_past_and_windows_now() {
    let clock = ManualClock::new();
    let (slow, wide) = (Arc::new(bucket(1, &clock)), Arc::new(window(2, &clock)));
    let both = Combined::builder()
        .limit("bucket", Arc::clone(&slow))
        .limit("window", Arc::clone(&wide))
        .build();
    let part = SECOND / 64;
    let both = both.wait_slack(part);
    both.try_acquire(1).unwrap();
    let mut waiters = Waiters::at(&both, &clock);
    waiters.join_all(1);
    // Into the next part of the window.
    waiters.advance(SECOND + part);
    assert_eq!(waiters.admitted(), [0]);
    let due = |wait: Option<Duration>| clock.now() + wait.expect("not never") - Timestamp::ZERO;
    assert_eq!(due(slow.wait_time(1)), 2 * SECOND, "as of 1 s");
    assert_eq!(due(wide.wait_time(2)), 2 * (SECOND + part), "as of now");
}

/// A window that holds a call back is asked as of now, and the bucket as of the instant that the
/// window named.
#[test]
fn combinations_wait_for_the_latest_limit() {
    let clock = ManualClock::new();
    let (slow, narrow) = (Arc::new(bucket(1, &clock)), Arc::new(window(1, &clock)));
    let both = Combined::builder()
        .limit("bucket", Arc::clone(&slow))
        .limit("window", Arc::clone(&narrow))
        .build();
    both.try_acquire(1).unwrap();
    let mut waiters = Waiters::at(&both, &clock);
    waiters.join_all(1);
    let due = SECOND + SECOND / 64;
    waiters.advance(due.saturating_sub(NANOSECOND));
    assert_eq!(waiters.admitted(), []);
    waiters.advance(NANOSECOND + MILLISECOND);
    assert_eq!(waiters.admitted(), [0]);
    assert_eq!(slow.wait_time(1), Some(SECOND.saturating_sub(MILLISECOND)));
}

/// One tick of a timer serves all that were due in it, in order.
#[test]
fn one_tick_serves_all_that_are_due() {
    fn check<L: WaitFor + Limiter>(limiter: &L, clock: &ManualClock) {
        limiter.try_acquire_at(1, clock.now()).expect("new");
        let mut waiters = Waiters::at(limiter, clock);
        waiters.join_all(10);
        waiters.advance(4 * SECOND);
        assert_eq!(waiters.admitted(), [0, 1, 2, 3]);
        assert_eq!(limiter.wait_time_at(1, clock.now()), Some(SECOND));
    }
    with_slack!(3 * SECOND, check, bucket, sharded, api);
}

/// A waiter is never decided before it came, whatever the slack.
#[test]
fn waiters_are_not_decided_before_their_arrival() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock).wait_slack(100 * SECOND);
    bucket.try_acquire(1).unwrap();
    clock.advance(10 * SECOND);
    let mut waiters = Waiters::at(&bucket, &clock);
    waiters.join_all(3);
    assert_eq!(waiters.admitted(), [0], "the burst is full, and no more");
    waiters.advance(50 * SECOND);
    assert_eq!(waiters.admitted(), [1, 2]);
    // The last was decided as of two seconds after it came.
    assert_eq!(bucket.available(), 1);
}

/// Each may wait exactly until its permit comes. All timers fire late, and the tasks are polled in
/// any order.
#[test]
fn deadlines_at_the_due_instant_are_met_in_any_order_of_polls() {
    const ORDERS: [[usize; 3]; 6] = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in ORDERS {
        let clock = ManualClock::new();
        let quota = Quota::per_second(1_000).burst(1);
        let bucket = TokenBucket::with_clock(quota, clock.clone());
        bucket.try_acquire(1).unwrap();
        let timer = crate::manual_timer::ManualTimer::on(&clock);
        let join = |number: u32| {
            let timeout = (number + 1) * MILLISECOND;
            bucket.wait_for(timer.clone(), 1, timeout).pending()
        };
        let mut waiters = [0, 1, 2].map(join);
        timer.advance(3 * MILLISECOND);
        let mut outcomes = [None; 3];
        for number in order.into_iter().chain([0, 1, 2]) {
            if let core::task::Poll::Ready(outcome) = waiters[number].poll() {
                outcomes[number] = Some(outcome);
            }
        }
        assert_eq!(outcomes, [Some(Ok(())); 3], "{order:?}");
        assert_eq!(bucket.wait_time(1), Some(MILLISECOND));
    }
}

/// A deadline passes that the permit would have missed by a nanosecond.
#[test]
fn deadlines_before_the_due_instant_are_refused_at_once() {
    let clock = ManualClock::new();
    let bucket = bucket(1, &clock);
    let mut waiters = Waiters::at(&bucket, &clock);
    waiters.join_all(2);
    let late = waiters.join_for(1, (2 * SECOND).saturating_sub(NANOSECOND));
    let retry_after = 2 * SECOND;
    let expected = [
        (0, Ok(())),
        (
            late,
            Err(Denied::NotYet {
                retry_after: retry_after.into(),
            }),
        ),
    ];
    assert_eq!(waiters.outcomes(), expected);
}
