//! Requests without tokens.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;
use core::task::Poll;
use core::time::Duration;

use tidegate::{Clock, LimitKind, ManualClock, RateLimitConfig, Timestamp, rate_limited};

use super::{ApiLimiter, QUEUE, RequestWaiter, limiter, request, request_for};
use crate::manual_timer::ManualTimer;
use crate::waiters::Waiter;
use crate::{MILLISECOND, NANOSECOND, SECOND, early_timer, no_sleep};

/// One request per second, and one at once.
const ONE_PER_SECOND: RateLimitConfig = RateLimitConfig {
    requests_per_minute: 60,
    burst_size: 1,
    ..RateLimitConfig::DEFAULT
};

/// Returns a limiter whose only request was used.
fn full_limiter() -> (ApiLimiter, ManualClock, ManualTimer) {
    let new = limiter(ONE_PER_SECOND);
    assert!(!new.0.try_acquire().is_limited);
    new
}

/// Returns this many requests, numbered and in the queue.
fn join(limiter: &ApiLimiter, timer: &ManualTimer, count: usize) -> Vec<(usize, RequestWaiter)> {
    let request = |number| (number, request(limiter, timer).pending());
    (0..count).map(request).collect()
}

/// Polls woken requests, the last one first, and removes those that were admitted. Returns their
/// numbers.
fn admit_woken(waiting: &mut Vec<(usize, RequestWaiter)>) -> Vec<usize> {
    let mut admitted = Vec::new();
    while let Some(index) = waiting.iter().rposition(|(_, it)| it.take_wake_up()) {
        if let Poll::Ready(status) = waiting[index].1.poll() {
            assert!(!status.is_limited);
            admitted.push(waiting.remove(index).0);
        }
    }
    admitted
}

/// Each is admitted as soon as the limit allows: one per second.
#[test]
fn requests_are_admitted_in_order_and_without_backoff() {
    let (limiter, clock, timer) = full_limiter();
    let mut waiting = join(&limiter, &timer, 20);
    assert_eq!(timer.pending(), 1);
    for seconds in 1..=20_u32 {
        assert!(timer.advance_to_next());
        assert_eq!(admit_woken(&mut waiting), [seconds as usize - 1]);
        assert_eq!(clock.now(), Timestamp::ZERO + seconds * SECOND);
    }
    assert_eq!(limiter.stats().total_requests, 21);
}

#[test]
fn requests_behind_a_dropped_one_move_up() {
    for dropped in 0..3 {
        let (limiter, _, timer) = full_limiter();
        let mut waiting = join(&limiter, &timer, 3);
        drop(waiting.remove(dropped));
        let mut admitted = admit_woken(&mut waiting);
        while timer.advance_to_next() {
            admitted.extend(admit_woken(&mut waiting));
        }
        let others = (0..3).filter(|&number| number != dropped);
        assert!(admitted.into_iter().eq(others), "{dropped}");
        assert_eq!(limiter.stats().total_requests, 3);
    }
}

/// A request that comes when the head is due, but was not polled, joins behind it.
#[test]
fn new_requests_do_not_overtake_a_due_head() {
    let (limiter, _, timer) = full_limiter();
    let mut first = join(&limiter, &timer, 1);
    timer.advance(SECOND);
    assert!(!limiter.check().is_limited);
    let mut second = join(&limiter, &timer, 1);
    assert_eq!(admit_woken(&mut second), []);
    assert_eq!(admit_woken(&mut first), [0]);
    // The second is the head now, a second too early.
    assert_eq!(admit_woken(&mut second), []);
    timer.advance(SECOND);
    assert_eq!(admit_woken(&mut second), [0]);
}

#[test]
fn resume_wakes_the_head_during_a_pause() {
    let (limiter, clock, timer) = limiter(ONE_PER_SECOND);
    limiter.pause_for(60 * SECOND);
    let mut waiting = join(&limiter, &timer, 2);
    limiter.resume();
    assert_eq!(admit_woken(&mut waiting), [0]);
    assert!(timer.advance_to_next());
    assert_eq!(admit_woken(&mut waiting), [1]);
    assert_eq!(clock.now(), Timestamp::ZERO + SECOND);
}

#[test]
fn resume_wakes_the_head_during_a_token_debt() {
    let (limiter, _, timer) = limiter(ONE_PER_SECOND);
    limiter.record_tokens(1_000_000_u64);
    let mut waiting = join(&limiter, &timer, 1);
    limiter.resume();
    assert_eq!(admit_woken(&mut waiting), [0]);
}

/// Polls without a wake-up do not call it again.
#[test]
fn on_limited_is_called_once_per_refusal() {
    let (limiter, _, timer) = full_limiter();
    let refusals = AtomicU32::new(0);
    let refusals_now = || refusals.load(Relaxed);
    let call = rate_limited(&limiter, |()| core::future::ready(7)).on_limited(|status| {
        assert_eq!(status.retry_after(), SECOND);
        refusals.fetch_add(1, Relaxed);
    });
    let waiter = Waiter::new(1, call.call_async_with(timer.clone(), ()));
    let mut waiter = waiter.pending().pending();
    timer.advance(SECOND);
    assert_eq!((waiter.ready(), refusals_now()), (7, 1));
}

/// The status names the limit that refuses.
#[test]
fn too_short_timeouts_are_refused_before_sleeping() {
    let (limiter, _, timer) = limiter(ONE_PER_SECOND);
    let status = request_for(&limiter, &timer, Duration::ZERO).ready();
    assert!(!status.is_limited);
    for too_short in [Duration::ZERO, SECOND.saturating_sub(NANOSECOND)] {
        let status = request_for(&limiter, &timer, too_short).ready();
        assert_eq!(status.limited_by, Some(LimitKind::Burst));
        assert_eq!((status.is_limited, status.retry_after()), (true, SECOND));
    }
    // A timeout of exactly the wait is enough.
    let mut in_time = request_for(&limiter, &timer, SECOND).pending();
    assert_eq!(timer.started(), 1);
    timer.advance(SECOND);
    assert!(!in_time.ready().is_limited);
    assert_eq!(limiter.stats().total_requests, 2);
}

#[test]
fn timeouts_end_waits_in_the_queue() {
    let (limiter, _, timer) = full_limiter();
    let first = request(&limiter, &timer).pending();
    let in_queue = |timeout| request_for(&limiter, &timer, timeout);
    // With the first ahead it would take two seconds.
    let status = in_queue(SECOND * 3 / 2).ready();
    assert_eq!(status.limited_by, Some(LimitKind::Burst));
    assert_eq!(status.retry_after(), 2 * SECOND);
    let short = in_queue(SECOND * 5 / 2).pending();
    let long = in_queue(4 * SECOND).pending();
    let last = in_queue(10 * SECOND).pending();
    timer.advance(SECOND);
    assert!(!first.woken_output().is_limited);
    // Another call takes the next token, so that the new head has not enough time left.
    let short = short.woken_in_vain();
    timer.advance(SECOND);
    assert!(!limiter.try_acquire().is_limited);
    let status = short.woken_output();
    assert_eq!(status.limited_by, Some(LimitKind::Burst));
    assert_eq!(status.retry_after(), SECOND);
    // The next head is not polled in time. The waiter behind it leaves after its deadline, when
    // only the head is in its way.
    let mut long = long.woken_in_vain();
    timer.advance(8 * SECOND + 2 * MILLISECOND);
    let status = last.woken_output();
    assert!(status.is_limited && !status.is_permanent);
    assert_eq!(status.limited_by, Some(LimitKind::Burst));
    // The head is late, and the limit allows it.
    assert!(!long.ready().is_limited);
    assert_eq!(limiter.stats().total_requests, 4);
}

/// There is room for both, but the head has not been polled.
#[test]
fn refusal_behind_an_unpolled_head_names_the_queue() {
    let (limiter, _, timer) = limiter(RateLimitConfig {
        burst_size: 2,
        ..ONE_PER_SECOND
    });
    let _ = (limiter.try_acquire(), limiter.try_acquire());
    let mut first = request(&limiter, &timer).pending();
    let last = request_for(&limiter, &timer, 10 * SECOND).pending();
    timer.advance(10 * SECOND + 2 * MILLISECOND);
    let status = last.woken_output();
    assert!(status.is_limited && !status.is_permanent);
    assert_eq!(status.limited_by, Some(QUEUE));
    assert_eq!(status.retry_after(), Duration::ZERO);
    assert_eq!(status.message(), "other waiters are ahead in the queue");
    assert!(!first.ready().is_limited);
}

#[test]
fn endless_timeouts_need_no_timer_behind_the_head() {
    let (limiter, _, timer) = full_limiter();
    let _head = request(&limiter, &timer).pending();
    let behind = limiter.acquire().timeout(Duration::MAX).timer(no_sleep);
    drop(Waiter::new(1, behind).pending());
}

/// A waiter behind the head sets an early timer again, and never sleeps much beyond its deadline.
#[test]
fn deadlines_in_the_queue_follow_the_clock() {
    let (limiter, clock, timer) = full_limiter();
    let head = request(&limiter, &timer).pending();
    let behind = limiter.acquire().timeout(2 * SECOND);
    let behind = behind.timer(early_timer(&clock));
    let status = Waiter::new(1, behind).ready();
    assert_eq!(status.limited_by, Some(LimitKind::Burst));
    let latest = Timestamp::ZERO + 2 * SECOND + 2 * MILLISECOND;
    assert!(clock.now() >= latest && clock.now() - latest < MILLISECOND);
    drop(head);
    // The queue is empty.
    assert!(!limiter.try_acquire().is_limited);
    assert_eq!(limiter.stats().total_requests, 2);
}

/// As documented for most futures.
#[test]
#[should_panic = "a wait was polled after it was ready"]
fn requests_panic_when_polled_after_they_were_ready() {
    let (limiter, _, timer) = limiter(ONE_PER_SECOND);
    let mut waiter = request(&limiter, &timer);
    assert!(!waiter.ready().is_limited);
    let _ = waiter.poll();
}
