//! The limiter of an API has a line as well.

use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::task::Poll;
use core::time::Duration;

use tidegate::{
    ApiRateLimiter, Clock, LimitKind, ManualClock, RateLimitConfig, RateLimitStatus, Timestamp,
    rate_limited,
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

/// What cannot be in time is told at once, by the limit that refuses.
#[test]
fn a_timeout_that_is_too_short_is_told_before_sleeping() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    let flag = Arc::new(Flag::default());
    let with =
        |timeout| -> Request<'_> { Box::pin(limiter.acquire_timeout_with(timer.clone(), timeout)) };
    let is_free =
        |status: Poll<RateLimitStatus>| matches!(status, Poll::Ready(status) if !status.is_limited);
    assert!(is_free(poll(&mut with(Duration::ZERO), &flag)));
    for too_short in [
        Duration::ZERO,
        SECOND.saturating_sub(Duration::from_nanos(1)),
    ] {
        let Poll::Ready(status) = poll(&mut with(too_short), &flag) else {
            panic!("it sleeps");
        };
        assert_eq!(status.limited_by, Some(LimitKind::Burst));
        assert_eq!((status.is_limited, status.retry_after), (true, SECOND));
    }
    // Exactly as long is enough.
    let mut in_time = with(SECOND);
    assert!(poll(&mut in_time, &flag).is_pending());
    assert_eq!(timer.made(), 1);
    timer.advance(SECOND);
    assert!(is_free(poll(&mut in_time, &flag)));
    assert_eq!(limiter.stats().total_requests, 2);
}

/// In line it is told as soon as its turn comes, or when the deadline does.
#[test]
fn a_timeout_may_end_in_line() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    let _ = limiter.try_acquire();
    let mut first = come(&limiter, &timer, 1);
    let flags: [Arc<Flag>; 3] = Default::default();
    let with = |number: usize, timeout| {
        let timer = timer.clone();
        let mut future: Request<'_> = Box::pin(limiter.acquire_timeout_with(timer, timeout));
        assert!(poll(&mut future, &flags[number]).is_pending());
        future
    };
    let mut short = with(0, SECOND * 3 / 2);
    let mut long = with(1, 3 * SECOND);
    let mut last = with(2, 10 * SECOND);
    timer.advance(SECOND);
    assert_eq!(settle(&mut first), [0]);
    // Its turn has come, and half a second is not enough.
    assert!(flags[0].take());
    let status = poll(&mut short, &flags[0]).map(|status| (status.limited_by, status.retry_after));
    assert_eq!(status, Poll::Ready((Some(LimitKind::Burst), SECOND)));
    drop(short);
    // The next is first now, and polled too late: the one behind it leaves in time, and is told that only others are in the way.
    assert!(flags[1].take());
    assert!(poll(&mut long, &flags[1]).is_pending());
    timer.advance(9 * SECOND);
    assert!(flags[2].take());
    let Poll::Ready(status) = poll(&mut last, &flags[2]) else {
        panic!("its time is over");
    };
    assert_eq!(
        (status.limited_by, status.retry_after),
        (Some(LimitKind::Queue), Duration::ZERO)
    );
    assert!(status.is_limited && !status.is_permanent);
    assert_eq!(status.message, "other waiters are ahead in the queue");
    // Late, but there is room.
    assert!(matches!(poll(&mut long, &flags[1]), Poll::Ready(status) if !status.is_limited));
    assert_eq!(limiter.stats().total_requests, 3);
}

/// Behind others, who has all the time sleeps without a timer.
#[test]
fn a_timeout_without_end_is_none() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    let _ = limiter.try_acquire();
    let _first = come(&limiter, &timer, 1);
    let nobody_sleeps = |wait| -> core::future::Ready<()> { unreachable!("{wait:?}") };
    let mut behind: Request<'_> =
        Box::pin(limiter.acquire_timeout_with(nobody_sleeps, Duration::MAX));
    assert!(poll(&mut behind, &Arc::default()).is_pending());
}

/// Behind others a timer that is early is set again, and nobody sleeps longer than until the deadline.
#[test]
fn a_deadline_in_line_is_kept_by_the_clock() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let timer = ManualTimer::on(&clock);
    let _ = limiter.try_acquire();
    let first = come(&limiter, &timer, 1);
    let early = |wait: Duration| {
        clock.advance((wait / 2).max(Duration::from_millis(1)));
        core::future::ready(())
    };
    let flag = Arc::new(Flag::default());
    let mut behind: Request<'_> = Box::pin(limiter.acquire_timeout_with(early, 2 * SECOND));
    let status = poll(&mut behind, &flag).map(|status| status.limited_by);
    assert_eq!(status, Poll::Ready(Some(LimitKind::Queue)));
    let late = clock.now() - (Timestamp::ZERO + 2 * SECOND);
    assert!(late < Duration::from_millis(1) && clock.now() >= Timestamp::ZERO + 2 * SECOND);
    drop(first);
    // Nobody is in line any more.
    assert!(!limiter.try_acquire().is_limited);
    assert_eq!(limiter.stats().total_requests, 2);
}
