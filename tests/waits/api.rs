//! The limiter of an API has a line as well.

use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::task::Poll;

use tidegate::{
    ApiRateLimiter, Clock, ManualClock, RateLimitConfig, RateLimitStatus, Timestamp, rate_limited,
};

use crate::SECOND;
use crate::crowd::{Flag, ManualTimer, poll};

type Request<'a> = Pin<Box<dyn Future<Output = RateLimitStatus> + Send + 'a>>;

fn limiter(clock: &ManualClock) -> ApiRateLimiter<ManualClock> {
    let config = RateLimitConfig {
        requests_per_minute: 60,
        burst_size: 1,
        ..RateLimitConfig::DEFAULT
    };
    ApiRateLimiter::with_clock(config, clock.clone()).expect("valid")
}

/// Polls whoever was woken, in any order, and says who is through.
fn settle(waiting: &mut Vec<(usize, Request<'_>, Arc<Flag>)>) -> Vec<usize> {
    let mut through = Vec::new();
    while let Some(index) = waiting.iter().rposition(|(_, _, flag)| flag.take()) {
        let (number, future, flag) = &mut waiting[index];
        if let Poll::Ready(status) = poll(future, flag) {
            assert!(!status.is_limited);
            through.push(*number);
            drop(waiting.remove(index));
        }
    }
    through
}

fn come<'a>(
    limiter: &'a ApiRateLimiter<ManualClock>,
    timer: &ManualTimer,
    count: usize,
) -> Vec<(usize, Request<'a>, Arc<Flag>)> {
    let request = |number| -> (usize, Request<'a>, Arc<Flag>) {
        let mut future: Request<'a> = Box::pin(limiter.acquire_with(timer.clone()));
        let flag = Arc::new(Flag::default());
        assert!(poll(&mut future, &flag).is_pending(), "{number}");
        (number, future, flag)
    };
    (0..count).map(request).collect()
}

/// Each as soon as it can be: the one before takes a second.
#[test]
fn requests_are_admitted_in_order_and_without_backoff() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    let _ = limiter.try_acquire();
    let mut waiting = come(&limiter, &timer, 20);
    assert_eq!(timer.asleep(), 1);
    for seconds in 1..=20_u32 {
        assert!(timer.advance_to_next());
        assert_eq!(settle(&mut waiting), [seconds as usize - 1]);
        assert_eq!(clock.now(), Timestamp::ZERO + seconds * SECOND);
    }
    assert_eq!(limiter.stats().total_requests, 21);
}

#[test]
fn who_leaves_lets_the_others_move_up() {
    for dropped in 0..3 {
        let clock = ManualClock::new();
        let limiter = limiter(&clock);
        let timer = ManualTimer::on(&clock);
        let _ = limiter.try_acquire();
        let mut waiting = come(&limiter, &timer, 3);
        drop(waiting.remove(dropped));
        let mut through = settle(&mut waiting);
        while timer.advance_to_next() {
            through.extend(settle(&mut waiting));
        }
        let left = (0..3).filter(|&number| number != dropped);
        assert!(through.into_iter().eq(left), "{dropped}");
        assert_eq!(limiter.stats().total_requests, 3);
    }
}

/// The first is due and was not polled yet: whoever comes then is behind it.
#[test]
fn nobody_is_overtaken() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    let _ = limiter.try_acquire();
    let mut first = come(&limiter, &timer, 1);
    timer.advance(SECOND);
    assert!(!limiter.check().is_limited);
    let mut second = come(&limiter, &timer, 1);
    assert_eq!(settle(&mut second), []);
    assert_eq!(settle(&mut first), [0]);
    // Its turn has come, a second too early.
    assert_eq!(settle(&mut second), []);
    timer.advance(SECOND);
    assert_eq!(settle(&mut second), [0]);
}

#[test]
fn a_pause_that_ends_wakes_the_first_in_line() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    limiter.pause_for(60 * SECOND);
    let mut waiting = come(&limiter, &timer, 2);
    limiter.resume();
    assert_eq!(settle(&mut waiting), [0]);
    assert!(timer.advance_to_next());
    assert_eq!(settle(&mut waiting), [1]);
    assert_eq!(clock.now(), Timestamp::ZERO + SECOND);
}

#[test]
fn a_debt_that_is_forgiven_wakes_the_first_in_line() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    limiter.record_tokens(1_000_000_u64);
    let mut waiting = come(&limiter, &timer, 1);
    limiter.resume();
    assert_eq!(settle(&mut waiting), [0]);
}

/// Once for each refusal, and not for looking again.
#[test]
fn whoever_waits_says_so_once() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    let _ = limiter.try_acquire();
    let refusals = core::sync::atomic::AtomicU32::new(0);
    let call = rate_limited(&limiter, |()| core::future::ready(7)).on_limited(|status| {
        assert_eq!(status.retry_after, SECOND);
        refusals.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
    });
    let mut future: Pin<Box<dyn Future<Output = i32> + '_>> =
        Box::pin(call.call_async_with(timer.clone(), ()));
    let flag = Arc::new(Flag::default());
    assert!(poll(&mut future, &flag).is_pending());
    assert!(poll(&mut future, &flag).is_pending());
    timer.advance(SECOND);
    assert_eq!(poll(&mut future, &flag), Poll::Ready(7));
    assert_eq!(refusals.load(core::sync::atomic::Ordering::Relaxed), 1);
}
