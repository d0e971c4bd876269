//! Pauses of an API limiter that are ended early, or never end by themselves.

use core::task::Poll;
use core::time::Duration;

use tidegate::{Acquire, ApiRateLimiter, Clock, ManualClock, RateLimitConfig, Timestamp};

use crate::{SECOND, never, poll};

const DAY: Duration = Duration::from_secs(86_400);

fn limiter(clock: &ManualClock) -> ApiRateLimiter<ManualClock> {
    ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, clock.clone()).expect("valid")
}

/// A waiter that saw a pause of a day must not delay those of a short pause that comes later.
#[test]
fn a_pause_that_was_ended_leaves_no_trace_in_the_next() {
    let clock = ManualClock::new();
    let api = limiter(&clock);
    api.pause_for(DAY);
    let mut first = api.acquire().timer(never);
    assert!(poll(&mut first).is_pending());
    api.resume();
    assert!(poll(&mut first).is_ready());

    api.pause_for(SECOND);
    let mut second = api.acquire().timer(never);
    assert!(poll(&mut second).is_pending());
    // The end of the pause, and the longest random delay.
    let interval =
        Duration::from_secs(60) / u32::try_from(api.config().requests_per_minute).unwrap();
    clock.advance(SECOND + interval);
    let Poll::Ready(status) = poll(&mut second) else {
        panic!("held back {:?} after the pause", clock.now());
    };
    assert!(!status.is_limited);
}

/// An operator stops all calls, and later resumes them.
#[test]
fn a_wait_without_a_timeout_outlasts_a_pause_without_end() {
    for end in [Timestamp::MAX, Timestamp::from_nanos(u64::MAX - 1)] {
        let clock = ManualClock::new();
        let api = limiter(&clock);
        api.pause_until(end);
        let mut request = api.acquire().timer(never);
        let mut tokens = api.acquire_tokens(1).timer(never);
        assert!(poll(&mut request).is_pending());
        assert!(poll(&mut tokens).is_pending());
        clock.advance(DAY);
        assert!(poll(&mut request).is_pending());
        assert_eq!(api.waiting(), 2);

        api.resume();
        assert!(matches!(poll(&mut request), Poll::Ready(status) if !status.is_limited));
        assert!(matches!(poll(&mut tokens), Poll::Ready(Ok(_))));
    }
}

/// The same for what waits at the limiter as at any other.
#[test]
fn a_plain_wait_outlasts_a_pause_without_end() {
    let clock = ManualClock::new();
    let api = limiter(&clock);
    api.pause_for(Duration::MAX);
    let mut wait = Acquire::new(&api, 1).timer(never);
    assert!(poll(&mut wait).is_pending());
    clock.advance(DAY);
    assert!(poll(&mut wait).is_pending());
    api.resume();
    assert_eq!(poll(&mut wait), Poll::Ready(Ok(())));
}

#[cfg(feature = "futures")]
#[test]
fn a_stream_goes_on_after_a_pause_without_end() {
    let clock = ManualClock::new();
    let api = limiter(&clock);
    api.pause_for(Duration::MAX);
    let items = futures_util::stream::iter([1, 2]);
    let mut paced = tidegate::PacedStream::new(items, &api).timer(never);
    let mut next = futures_util::StreamExt::next(&mut paced);
    assert!(poll(&mut next).is_pending());
    api.resume();
    assert_eq!(poll(&mut next), Poll::Ready(Some(1)));
}
