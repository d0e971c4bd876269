//! Waits at a shadow are waits at the live limit.

use core::time::Duration;

use futures_util::FutureExt;
use tidegate::{Acquire, Clock, Denied, ManualClock, Shadow, SlidingWindow};

use crate::{bucket, counts};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn waiters_are_served_by_the_live_limit() {
    let clock = ManualClock::new();
    let limit = Shadow::beside(bucket(2, &clock), bucket(1, &clock));
    let timer = |wait: Duration| {
        clock.advance(wait);
        core::future::ready(())
    };
    for _ in 0..4 {
        let admitted = limit.acquire(1).timer(timer).now_or_never();
        assert_eq!(admitted, Some(Ok(())));
    }
    // Two at once, of which the candidate admits one, and then one each second for both.
    assert_eq!(clock.now().as_nanos(), 2_000_000_000);
    assert_eq!(counts(limit.stats()), [3, 1, 0, 0]);
}

#[test]
fn wait_that_ends_in_a_refusal_is_counted_once() {
    let clock = ManualClock::new();
    let limit = Shadow::beside(bucket(2, &clock), bucket(3, &clock));
    assert_eq!(limit.acquire(2).wait(), Ok(()));
    let refused = Acquire::new(&limit, 1).timeout(SECOND / 2).wait();
    assert_eq!(
        refused,
        Err(Denied::NotYet {
            retry_after: SECOND.into()
        })
    );
    assert_eq!(counts(limit.stats()), [1, 0, 1, 0]);
    assert_eq!(limit.candidate().available(), 1);
    assert!(limit.acquire(4).wait().is_err()); // above both capacities
    assert_eq!(counts(limit.stats()), [1, 0, 1, 1]);
    // Free calls are not counted.
    assert_eq!(limit.acquire(0).wait(), Ok(()));
    assert_eq!(limit.stats().calls(), 3);

    let limit = Shadow::instead(bucket(2, &clock), bucket(3, &clock));
    assert_eq!(limit.acquire(2).wait(), Ok(()));
    for _ in 0..2 {
        assert!(limit.acquire(1).timeout(SECOND / 2).wait().is_err());
    }
    assert_eq!(counts(limit.stats()), [1, 0, 1, 1]);
}

/// A bucket is decided as of the instant that was due, a window as of now: each as if alone.
#[test]
fn late_timer_is_no_advantage_for_the_candidate() {
    let clock = ManualClock::new();
    // 10 per second and bursts of 1, for both.
    let quota = tidegate::Quota::per_second(10).burst(1);
    let limit = || tidegate::TokenBucket::with_clock(quota, clock.clone());
    let shadow = Shadow::beside(limit(), limit());
    let late = Duration::from_millis(1);
    let timer = |wait: Duration| {
        clock.advance(wait + late);
        core::future::ready(())
    };
    for _ in 0..50 {
        assert_eq!(shadow.acquire(1).timer(timer).now_or_never(), Some(Ok(())));
    }
    // Equal limits agree, although the timer woke each waiter late.
    assert_eq!(counts(shadow.stats()), [50, 0, 0, 0]);

    let window = SlidingWindow::with_clock(5, SECOND, clock.clone()).expect("valid");
    let shadow = Shadow::beside(bucket(50, &clock), window);
    for _ in 0..10 {
        assert_eq!(shadow.acquire(1).timer(timer).now_or_never(), Some(Ok(())));
    }
    assert_eq!(counts(shadow.stats()), [5, 5, 0, 0]);
}

/// A wait that is given up was never decided.
#[test]
fn dropped_wait_is_not_counted() {
    let clock = ManualClock::new();
    let limit = Shadow::beside(bucket(1, &clock), bucket(1, &clock));
    assert_eq!(limit.acquire(1).wait(), Ok(()));
    let never = |_| core::future::pending::<()>();
    assert_eq!(limit.acquire(1).timer(never).now_or_never(), None);
    assert_eq!(limit.live().waiting(), 0);
    assert_eq!(counts(limit.stats()), [1, 0, 0, 0]);
}
