//! Waits that block a thread, on a manual clock.

use core::time::Duration;
use std::thread;

use tidegate::{Clock, Denied, ManualClock, Quota, Timestamp, TokenBucket};

const NANO: Duration = Duration::from_nanos(1);
const TICK: Duration = Duration::from_millis(100);

fn ten(burst: u64) -> (TokenBucket<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    (
        TokenBucket::with_clock(Quota::per_second(10).burst(burst), clock.clone()),
        clock,
    )
}

/// Lets a thread wait for `n` permits, and asserts that it returns after `delay`, not before.
fn waits_for(bucket: &TokenBucket<ManualClock>, n: u64, delay: Duration) {
    let clock = bucket.clock();
    let end = clock.now() + delay;
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            bucket.acquire(n).wait().expect("a wait without a limit");
            clock.now()
        });
        while bucket.waiting() == 0 && !waiter.is_finished() {
            thread::yield_now();
        }
        clock.advance(delay.saturating_sub(NANO));
        for _ in 0..100 {
            thread::yield_now();
            assert!(!waiter.is_finished(), "it returned early");
        }
        clock.advance(NANO);
        assert_eq!(waiter.join().expect("the waiter panicked"), end);
    });
}

#[test]
fn wait_after_a_canceled_reservation() {
    let (bucket, clock) = ten(3);
    drop(bucket.reserve(3, Duration::MAX).unwrap());
    assert_eq!(bucket.available(), 3, "after a canceled wait");
    assert_eq!(bucket.acquire(4).wait(), Err(Denied::Never { capacity: 3 }));
    assert_eq!(bucket.acquire(2).wait(), Ok(()));
    assert_eq!(clock.now(), Timestamp::ZERO, "no delay so far");
    waits_for(&bucket, 3, 2 * TICK);
}

#[test]
fn canceled_wait_returns_its_tokens() {
    let (bucket, clock) = ten(3);
    bucket.acquire(2).wait().unwrap();
    let wait = bucket.reserve(3, Duration::MAX).unwrap();
    assert_eq!(wait.delay(), 2 * TICK);
    clock.advance(TICK);
    drop(wait);
    assert_eq!(bucket.acquire(2).timeout(Duration::ZERO).wait(), Ok(()),);
}

#[test]
fn wait_beyond_its_timeout_is_refused_at_once() {
    let (bucket, clock) = ten(3);
    bucket.acquire(2).timeout(TICK).wait().unwrap();
    let retry_after = 2 * TICK;
    let just_too_short = retry_after.saturating_sub(NANO);
    for timeout in [Duration::ZERO, TICK, just_too_short] {
        let refusal = bucket.acquire(3).timeout(timeout).wait();
        assert_eq!(
            refusal,
            Err(Denied::NotYet {
                retry_after: retry_after.into()
            }),
            "{timeout:?}"
        );
    }
    assert_eq!(clock.now(), Timestamp::ZERO, "refused at once");
    assert_eq!(bucket.available(), 1, "nothing taken");
    waits_for(&bucket, 3, retry_after);
}
