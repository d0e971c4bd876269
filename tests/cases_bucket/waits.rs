//! Waits that block a thread. Time is a manual clock, so that nobody sleeps for real.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use std::sync::Barrier;
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

/// Blocks a thread in `acquire_blocking(n)`, and checks that it comes back after `delay` and not before.
fn waits_for(bucket: &TokenBucket<ManualClock>, n: u64, delay: Duration) {
    let clock = bucket.clock();
    let debt = bucket.debt();
    let end = clock.now() + delay;
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            bucket.acquire_blocking(n).expect("it may wait for ever");
            clock.now()
        });
        while bucket.debt() == debt && !waiter.is_finished() {
            thread::yield_now();
        }
        clock.advance(delay.saturating_sub(NANO));
        for _ in 0..100 {
            thread::yield_now();
            assert!(!waiter.is_finished(), "it came back early");
        }
        clock.advance(NANO);
        assert_eq!(waiter.join().expect("the waiter panicked"), end);
    });
}

#[test]
fn a05_of_fifteen_at_once_five_pass() {
    let bucket = TokenBucket::with_clock(Quota::per_second(1).burst(5), ManualClock::new());
    let start = Barrier::new(15);
    let granted = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..15 {
            scope.spawn(|| {
                start.wait();
                granted.fetch_add(u32::from(bucket.try_acquire(1).is_ok()), Relaxed);
            });
        }
    });
    assert_eq!(granted.into_inner(), 5, "A05");
}

#[test]
fn a26_wait() {
    let (bucket, clock) = ten(3);
    drop(bucket.reserve(3, Duration::MAX).unwrap());
    assert_eq!(
        bucket.available(),
        3,
        "A26: a wait that was given up at once"
    );
    assert_eq!(
        bucket.acquire_blocking(4),
        Err(Denied::Never { capacity: 3 }),
        "A26"
    );
    assert_eq!(bucket.acquire_blocking(2), Ok(()), "A26");
    assert_eq!(clock.now(), Timestamp::ZERO, "A26: no delay so far");
    waits_for(&bucket, 3, 2 * TICK);
}

#[test]
fn a27_a_cancelled_wait_gives_its_tokens_back() {
    let (bucket, clock) = ten(3);
    bucket.acquire_blocking(2).unwrap();
    let wait = bucket.reserve(3, Duration::MAX).unwrap();
    assert_eq!(wait.delay(), 2 * TICK);
    clock.advance(TICK);
    drop(wait);
    assert_eq!(
        bucket.acquire_blocking_timeout(2, Duration::ZERO),
        Ok(()),
        "A27"
    );
}

#[test]
fn a28_a_wait_beyond_its_deadline_is_refused_beforehand() {
    let (bucket, clock) = ten(3);
    bucket.acquire_blocking_timeout(2, TICK).unwrap();
    let retry_after = 2 * TICK;
    let just_too_short = retry_after.saturating_sub(NANO);
    for timeout in [Duration::ZERO, TICK, just_too_short] {
        let refusal = bucket.acquire_blocking_timeout(3, timeout);
        assert_eq!(
            refusal,
            Err(Denied::NotYet { retry_after }),
            "A28: {timeout:?}"
        );
    }
    assert_eq!(clock.now(), Timestamp::ZERO, "A28: at once");
    assert_eq!(bucket.available(), 1, "A28: nothing taken");
    waits_for(&bucket, 3, retry_after);
}

#[test]
fn j08_nothing_is_left_of_a_wait_that_was_cancelled_before_it_began() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(1), clock.clone());
    bucket.acquire_blocking(1).unwrap();
    drop(bucket.reserve(1, Duration::MAX).unwrap());
    assert_eq!(bucket.debt(), 0, "J08");
    clock.advance(Duration::from_secs(1));
    assert_eq!(bucket.available(), 1, "J08");
}
