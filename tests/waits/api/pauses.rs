//! Waits through a pause (case W6). The random gaps between those who waited are between 0 and the
//! interval of the requests per minute.

use core::time::Duration;
use std::sync::Mutex;
use std::thread;

use tidegate::{ApiRateLimiter, Clock, LimitKind, RateLimitConfig, Timestamp};

use super::{ApiLimiter, RequestWaiter, limiter, request, request_for, tokens};
use crate::manual_timer::ManualTimer;
use crate::stepped::SteppedClock;
use crate::waiters::Waiter;
use crate::{MILLISECOND, NANOSECOND, SECOND};

/// One request per 100 ms in the long run, and a burst for all waiters of a test.
const TEN_PER_SECOND: RateLimitConfig = RateLimitConfig {
    requests_per_minute: 600,
    requests_per_hour: 36_000,
    burst_size: 30,
    ..RateLimitConfig::DEFAULT
};

const LONGEST_GAP: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_secs(600);
const WAITERS: usize = 30;

fn join(limiter: &ApiLimiter, timer: &ManualTimer) -> Vec<RequestWaiter> {
    let request = |number| {
        let mut request = request(limiter, timer);
        request.n = number as u64;
        request.pending()
    };
    (0..WAITERS).map(request).collect()
}

/// Advances from one deadline to the next. Returns the instants of the admissions, which are in
/// order of arrival.
fn serve(waiting: &mut Vec<RequestWaiter>, timer: &ManualTimer) -> Vec<Timestamp> {
    let (mut numbers, mut instants) = (Vec::new(), Vec::new());
    while !waiting.is_empty() {
        match Waiter::poll_woken(waiting) {
            Some(core::task::Poll::Ready((waiter, status))) => {
                assert!(!status.is_limited);
                numbers.push(waiter.n);
                instants.push(timer.now());
            }
            Some(core::task::Poll::Pending) => {}
            None => assert!(timer.advance_to_next(), "{} wait forever", waiting.len()),
        }
    }
    assert!(numbers.is_sorted(), "{numbers:?}");
    instants
}

/// Never before the end of the pause, one after the other, and not all at the same instant.
fn assert_spread(instants: &[Timestamp]) {
    assert_eq!(instants.len(), WAITERS);
    assert!(instants.is_sorted());
    let mut before = Timestamp::ZERO + PAUSE;
    let mut distinct = 0;
    for &instant in instants {
        assert!(instant >= before, "{instant:?} is before {before:?}");
        assert!(
            instant - before <= LONGEST_GAP,
            "{instant:?} after {before:?}"
        );
        distinct += u32::from(instant > before);
        before = instant;
    }
    // 30 gaps of up to 10^8 ns. Two of length zero are less likely than 10^-13.
    assert!(distinct >= 29, "{instants:?}");
}

#[test]
fn futures_that_waited_out_a_pause_are_spread() {
    let (limiter, _, timer) = limiter(TEN_PER_SECOND);
    limiter.pause_for(PAUSE);
    let mut waiting = join(&limiter, &timer);
    timer.advance(PAUSE.saturating_sub(NANOSECOND));
    assert!(waiting.iter().all(|waiter| !waiter.take_wake_up()));
    assert_spread(&serve(&mut waiting, &timer));
}

#[test]
fn threads_that_waited_out_a_pause_are_spread() {
    let clock = SteppedClock::default();
    let limiter = ApiRateLimiter::with_clock(TEN_PER_SECOND, clock.clone()).expect("valid");
    limiter.pause_for(PAUSE);
    let instants = Mutex::new(Vec::new());
    clock.run(WAITERS, |_| {
        assert!(!limiter.acquire().wait().is_limited);
        instants.lock().expect("no panic").push(clock.now());
    });
    let mut instants = instants.into_inner().expect("no panic");
    instants.sort();
    assert_spread(&instants);
}

/// Threads, futures and calls with tokens go one after the other in order of arrival.
#[test]
fn threads_and_futures_are_spread_in_one_order() {
    let (limiter, clock, timer) = limiter(TEN_PER_SECOND);
    limiter.pause_for(PAUSE);
    let ended = Mutex::new(Vec::new());
    let end = |number: u64| ended.lock().expect("no panic").push((number, clock.now()));
    let count = || ended.lock().expect("no panic").len();
    thread::scope(|scope| {
        let first = request(&limiter, &timer).pending();
        scope.spawn(|| {
            assert!(!limiter.acquire().wait().is_limited);
            end(1);
        });
        while limiter.waiting() < 2 {
            thread::yield_now();
        }
        let third = tokens(&limiter, &timer, 10).pending();
        while !first.take_wake_up() {
            timer.advance(MILLISECOND);
            // The head sleeps until its own instant, and not only to the end of the pause.
            assert!(count() == 0);
            if clock.now() > Timestamp::ZERO + PAUSE + LONGEST_GAP {
                break;
            }
        }
        let mut first = first;
        while first.poll().is_pending() {
            timer.advance(MILLISECOND);
        }
        end(0);
        while count() < 2 {
            timer.advance(MILLISECOND);
            thread::yield_now();
        }
        let mut third = third;
        while third.poll().is_pending() {
            timer.advance(MILLISECOND);
        }
        end(2);
    });
    let ended = ended.into_inner().expect("no panic");
    assert!(ended.iter().map(|(number, _)| *number).eq(0..3));
    assert!(
        ended
            .iter()
            .all(|(_, instant)| *instant >= Timestamp::ZERO + PAUSE)
    );
}

/// A call that comes after the pause is delayed only by those ahead of it.
#[test]
fn calls_after_a_pause_are_not_delayed() {
    let (limiter, clock, timer) = limiter(TEN_PER_SECOND);
    limiter.pause_for(PAUSE);
    let waiting = request(&limiter, &timer).pending();
    clock.advance(PAUSE);
    assert!(!limiter.try_acquire().is_limited);
    let mut behind = request(&limiter, &timer).pending();
    drop(waiting);
    assert!(behind.take_wake_up());
    assert!(!behind.ready().is_limited);
    assert!(!request(&limiter, &timer).ready().is_limited);
    assert_eq!(clock.now(), Timestamp::ZERO + PAUSE);
}

/// Those who waited are not delayed by the pause any more.
#[test]
fn resume_wakes_at_once() {
    let (limiter, clock, timer) = limiter(TEN_PER_SECOND);
    limiter.pause_for(PAUSE);
    let waiting = join(&limiter, &timer);
    clock.advance(SECOND);
    limiter.resume();
    for waiter in waiting {
        assert!(!waiter.woken_output().is_limited);
    }
    assert_eq!(clock.now(), Timestamp::ZERO + SECOND);
}

/// A thread that sleeps through the pause is woken.
#[test]
fn resume_wakes_threads() {
    let (limiter, clock, _) = limiter(TEN_PER_SECOND);
    limiter.pause_for(PAUSE);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| limiter.acquire().wait());
        while limiter.waiting() == 0 {
            thread::yield_now();
        }
        limiter.resume();
        assert!(!waiting.join().expect("no panic").is_limited);
    });
    assert_eq!(clock.now(), Timestamp::ZERO);
}

/// A pause that begins while others wait holds them back, and a longer one replaces it.
#[test]
fn pauses_reach_waiters_that_sleep() {
    let (limiter, clock, timer) = limiter(TEN_PER_SECOND);
    for _ in 0..30 {
        assert!(!limiter.try_acquire().is_limited);
    }
    let mut waiting = join(&limiter, &timer);
    limiter.pause_for(SECOND);
    timer.advance(SECOND / 2);
    assert!(Waiter::poll_woken(&mut waiting).is_some_and(|polled| polled.is_pending()));
    limiter.pause_for(PAUSE.saturating_sub(SECOND / 2));
    assert_spread(&serve(&mut waiting, &timer));
    assert!(clock.now() >= Timestamp::ZERO + PAUSE);
}

/// The pause is known before sleeping.
#[test]
fn timeouts_that_end_in_a_pause_are_refused_at_once() {
    let (limiter, _, timer) = limiter(TEN_PER_SECOND);
    limiter.pause_for(PAUSE);
    let status = request_for(&limiter, &timer, PAUSE.saturating_sub(NANOSECOND)).ready();
    assert_eq!(status.limited_by, Some(LimitKind::Pause));
    assert_eq!(status.retry_after(), PAUSE);
    assert_eq!((timer.started(), limiter.waiting()), (0, 0));
}
