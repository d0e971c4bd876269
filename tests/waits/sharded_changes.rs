//! The quota of a sharded bucket changes while calls wait.

use core::time::Duration;

use tidegate::{Denied, ManualClock, Quota};

use crate::manual_timer::ManualTimer;
use crate::waiters::{WaitFor, Waiters};
use crate::{MILLISECOND, SECOND, sharded};

/// The head is woken, and all waiters are admitted at the new rate, in order.
#[test]
fn waiters_follow_the_new_rate() {
    let clock = ManualClock::new();
    let bucket = sharded(10, &clock);
    bucket.try_acquire(10).unwrap();
    let mut waiters = Waiters::at(&bucket, &clock);
    waiters.join_all(3);
    waiters.advance(SECOND / 2);
    assert_eq!(waiters.admitted(), []);

    bucket.set_quota(Quota::per_second(1_000).burst(10));
    waiters.poll_woken();
    assert_eq!(waiters.admitted(), [], "half a token is not a whole one");
    for number in 0..3 {
        waiters.advance(MILLISECOND);
        assert_eq!(waiters.admitted(), [number]);
    }
}

/// A waiter that asks for more than the new capacity is refused. The next one is then the head.
#[test]
fn smaller_capacity_refuses_a_waiter() {
    let clock = ManualClock::new();
    let bucket = sharded(10, &clock);
    bucket.try_acquire(10).unwrap();
    let timer = ManualTimer::on(&clock);
    let wait = |n| bucket.wait_for(timer.clone(), n, Duration::MAX).pending();
    let (large, mut small) = (wait(8), wait(2));

    bucket.set_quota(Quota::per_second(1).burst(4));
    assert_eq!(large.woken_output(), Err(Denied::Never { capacity: 4 }));
    assert!(small.take_wake_up(), "the next one is the head");
    assert!(small.poll().is_pending());
    timer.advance(2 * SECOND);
    assert_eq!(small.woken_output(), Ok(()));
}
