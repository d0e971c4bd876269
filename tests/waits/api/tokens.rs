//! Requests that wait together with their tokens.

use core::time::Duration;

use tidegate::{
    Clock, LimitKind, Limiter, ManualClock, RateLimitConfig, RateLimitStatus, Timestamp,
    TokenEstimate, TokenPermit,
};

use super::{QUEUE, TOKENS, limiter, request, settle_all, tokens, tokens_for};
use crate::waiters::Waiter;
use crate::{MILLISECOND, SECOND};

/// Each call is admitted at the instant at which the tokens of all calls up to it have come.
#[test]
fn calls_are_served_in_order_whatever_their_sizes() {
    let (limiter, _, timer) = limiter(TOKENS);
    limiter.record_tokens(1_000);
    let sizes = [900, 1, 500, 2, 1_000, 3, 4];
    let mut waiting: Vec<_> = sizes
        .map(|estimate| tokens(&limiter, &timer, estimate).pending())
        .into();
    assert_eq!(timer.pending(), 1, "only the head sleeps");
    let mut sum = 0;
    let expected = sizes.map(|estimate| {
        sum += estimate;
        (estimate, Timestamp::ZERO + Duration::from_millis(sum))
    });
    assert_eq!(settle_all(&mut waiting, &timer), expected);
    assert_eq!(timer.started(), 7, "no call sleeps twice");
    assert_eq!(limiter.stats().total_tokens_used, 1_000 + sum);
}

#[test]
fn requests_without_tokens_share_the_queue() {
    let (limiter, _, timer) = limiter(TOKENS);
    limiter.record_tokens(1_000);
    let large = tokens(&limiter, &timer, 800).pending();
    let plain = request(&limiter, &timer).pending();
    let last = tokens(&limiter, &timer, 100).pending();
    timer.advance(799 * MILLISECOND);
    assert!(!plain.take_wake_up(), "it overtook the head");
    timer.advance(MILLISECOND);
    large.woken_permit().settle(800);
    let plain = plain.woken_in_vain();
    timer.advance(MILLISECOND);
    assert!(!plain.woken_output().is_limited);
    let last = last.woken_in_vain();
    timer.advance(99 * MILLISECOND);
    last.woken_permit().settle(100);
}

/// Small calls come all the time, and each would find enough tokens.
#[test]
fn large_calls_are_not_starved() {
    let (limiter, _, timer) = limiter(TOKENS);
    limiter.record_tokens(1_000);
    let large = tokens(&limiter, &timer, 1_000).pending();
    let mut small = Vec::new();
    for _ in 0..1_000 {
        timer.advance(MILLISECOND);
        small.push(tokens(&limiter, &timer, 1).pending());
    }
    assert_eq!(large.woken_permit().admitted_at(), Timestamp::ZERO + SECOND);
    assert_eq!(settle_all(&mut small, &timer).len(), 1_000);
}

/// Behind other calls as well.
#[test]
fn impossible_estimates_are_refused_at_once() {
    let (limiter, _, timer) = limiter(TOKENS);
    let assert_permanent = |status: RateLimitStatus| {
        assert!(status.is_permanent && status.is_limited);
        assert_eq!(status.limited_by, Some(LimitKind::Tokens));
    };
    assert_permanent(tokens(&limiter, &timer, 1_001).refusal());
    limiter.record_tokens(1_000);
    assert_permanent(tokens(&limiter, &timer, 1_001).refusal());
    let _first = tokens(&limiter, &timer, 1).pending();
    assert_permanent(tokens(&limiter, &timer, 1_001).refusal());
    assert_permanent(tokens_for(&limiter, &timer, 1_001, SECOND).refusal());
    assert_eq!(timer.started(), 1);
    // A guess is lowered to what is possible, and waits.
    let guess = TokenEstimate::guess(1_001);
    let guess = limiter.acquire_tokens(guess).timer(timer.clone());
    drop(Waiter::new(1_000, guess).pending());
}

#[test]
fn too_short_timeouts_are_refused_at_once() {
    let (limiter, _, timer) = limiter(TOKENS);
    let at_once = tokens_for(&limiter, &timer, 1_000, Duration::ZERO).ready();
    at_once.expect("all tokens are available").settle(1_000);
    for timeout in [Duration::ZERO, 499 * MILLISECOND] {
        let status = tokens_for(&limiter, &timer, 500, timeout).refusal();
        assert_eq!(status.limited_by, Some(LimitKind::Tokens));
        assert_eq!(status.retry_after(), 500 * MILLISECOND);
        assert_eq!(timer.started(), 0);
    }
    let in_time = tokens_for(&limiter, &timer, 500, 500 * MILLISECOND).pending();
    // Behind the head as well, with the whole wait.
    let status = tokens_for(&limiter, &timer, 600, 1_099 * MILLISECOND).refusal();
    assert_eq!(status.retry_after(), 1_100 * MILLISECOND);
    drop(tokens_for(&limiter, &timer, 600, 1_100 * MILLISECOND).pending());
    timer.advance(500 * MILLISECOND);
    drop(in_time.woken_permit());
}

#[test]
fn timeouts_end_waits_behind_other_calls() {
    let (limiter, _, timer) = limiter(TOKENS);
    limiter.record_tokens(1_000);
    let first = tokens(&limiter, &timer, 500).pending();
    let second = tokens_for(&limiter, &timer, 500, 1_000 * MILLISECOND).pending();
    let mut third = tokens(&limiter, &timer, 1).pending();
    timer.advance(500 * MILLISECOND);
    // It uses more than its estimate, so the new head has not enough time left.
    first.woken_permit().settle(501);
    assert_eq!(second.woken_refusal().retry_after(), 501 * MILLISECOND);
    // The next head was woken, and is not polled yet. A call behind it leaves after its deadline.
    let fourth = tokens_for(&limiter, &timer, 1, 50 * MILLISECOND).pending();
    timer.advance(52 * MILLISECOND);
    assert_eq!(fourth.woken_refusal().limited_by, Some(QUEUE));
    assert!(third.take_wake_up());
    drop(third.ready().expect("admitted"));
}

/// Requests and tokens ahead are counted each for themselves.
#[test]
fn whole_waits_count_requests_and_tokens() {
    let config = RateLimitConfig {
        requests_per_minute: 60,
        burst_size: 1,
        ..TOKENS
    };
    let (limiter, _, timer) = limiter(config);
    limiter.reserve_tokens(1_000).expect("all").settle(1_000);
    let _waiting = [100, 100, 700].map(|n| tokens(&limiter, &timer, n).pending());
    // The fourth request comes after four seconds, and its tokens after one.
    let status = tokens_for(&limiter, &timer, 100, SECOND).refusal();
    assert_eq!(
        (status.limited_by, status.retry_after()),
        (Some(LimitKind::Burst), 4 * SECOND)
    );
    limiter.record_tokens(5_000);
    let status = tokens_for(&limiter, &timer, 100, SECOND).refusal();
    assert_eq!(
        (status.limited_by, status.retry_after()),
        (Some(LimitKind::Tokens), 6 * SECOND)
    );
}

#[test]
fn resume_wakes_only_the_head() {
    let (limiter, _, timer) = limiter(TOKENS);
    limiter.pause_for(60 * SECOND);
    let first = tokens(&limiter, &timer, 1_000).pending();
    let second = tokens(&limiter, &timer, 1).pending();
    limiter.resume();
    assert!(!second.take_wake_up());
    first.woken_permit().settle(1_000);
    let second = second.woken_in_vain();
    timer.advance(MILLISECOND);
    drop(second.woken_permit());
}

/// The head takes them at once, and does not wait for the refill. Requests wait for tokens as well,
/// while the limiter is in debt.
#[test]
fn returned_tokens_wake_the_head() {
    const ENDINGS: [fn(TokenPermit<ManualClock>); 3] = [
        |permit| permit.settle(100),
        |permit| assert!(permit.cancel()),
        |permit| drop(permit),
    ];
    let (limiter, clock, timer) = limiter(TOKENS);
    for end in ENDINGS {
        limiter.resume();
        let permit = limiter.reserve_tokens(1_000).expect("all tokens");
        let waiting = tokens(&limiter, &timer, 900).pending();
        end(permit);
        drop(waiting.woken_permit());

        let permit = limiter.reserve_tokens(900).expect("the rest");
        limiter.record_tokens(100);
        let plain = request(&limiter, &timer).pending();
        permit.settle(0);
        let _ = plain.woken_output();
    }
    assert_eq!(clock.now(), Timestamp::ZERO);
}

/// No tokens come back, but the head may wait for the request.
#[test]
fn undone_requests_wake_the_head() {
    let config = RateLimitConfig {
        burst_size: 1,
        ..TOKENS
    };
    let (limiter, clock, timer) = limiter(config);
    let charge = limiter.charge_at(1, clock.now()).expect("new");
    let first = tokens(&limiter, &timer, 1).pending();
    limiter.undo(charge);
    drop(first.woken_permit());
}
