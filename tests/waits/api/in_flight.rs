//! Calls that wait until another call in flight ends.

use core::task::Poll;
use core::time::Duration;
use std::thread;

use tidegate::{LimitKind, ManualClock, RateLimitStatus, TokenPermit};

use super::{limiter, max_in_flight, request, settle_all, tokens, tokens_for};
use crate::parallel::in_parallel;
use crate::waiters::{Waiter, park_on, unpark_waker};
use crate::{MILLISECOND, SECOND};

/// Time alone wakes no waiter, and no waiter polls on a timer.
#[test]
fn each_end_of_a_call_wakes_the_head() {
    const ENDINGS: [fn(TokenPermit<ManualClock>); 4] = [
        |permit| permit.settle(10),
        |permit| _ = permit.cancel(),
        |mut permit| permit.commit(),
        |permit| drop(permit),
    ];
    for end in ENDINGS {
        let (limiter, _, timer) = limiter(max_in_flight(1));
        let permit = limiter.reserve_tokens(10).expect("the first");
        let first = tokens(&limiter, &timer, 10).pending();
        let second = tokens(&limiter, &timer, 10).pending();
        timer.advance(3_600 * SECOND);
        assert_eq!(timer.started(), 0);
        assert!(!first.take_wake_up() && !second.take_wake_up());
        thread::scope(|scope| _ = scope.spawn(|| end(permit)));
        let permit = first.woken_permit();
        // The second becomes the head, but the first is still in flight.
        let second = second.woken_in_vain();
        assert_eq!(limiter.stats().in_flight, 1);
        drop(permit);
        drop(second.woken_permit());
        assert_eq!((limiter.stats().in_flight, timer.started()), (0, 0));
    }
}

#[test]
fn deadlines_end_waits_for_a_call_in_flight() {
    let (limiter, _, timer) = limiter(max_in_flight(1));
    let permit = limiter.reserve_tokens(10).expect("the first");
    let assert_in_flight = |status: RateLimitStatus| {
        assert_eq!(status.limited_by, Some(LimitKind::InFlight));
        assert!(!status.is_permanent && status.retry_after().is_zero());
    };
    assert_in_flight(tokens_for(&limiter, &timer, 10, Duration::ZERO).refusal());
    let mut first = tokens_for(&limiter, &timer, 10, SECOND).pending();
    let mut second = tokens_for(&limiter, &timer, 10, SECOND).pending();
    timer.advance(999 * MILLISECOND);
    assert!(!first.take_wake_up() && !second.take_wake_up());
    timer.advance(MILLISECOND);
    assert!(first.take_wake_up() && !second.take_wake_up());
    assert_in_flight(first.ready().expect_err("its deadline has come"));
    // The second is the head now, and its deadline has come as well.
    assert!(second.take_wake_up());
    assert_in_flight(second.ready().expect_err("its deadline has come"));
    drop((first, second));
    // Behind a head that is not polled, it leaves two milliseconds after its deadline.
    let forgotten = tokens(&limiter, &timer, 10).pending();
    let mut behind = tokens_for(&limiter, &timer, 10, SECOND).pending();
    timer.advance(SECOND);
    assert!(!behind.take_wake_up());
    timer.advance(2 * MILLISECOND);
    assert!(behind.take_wake_up());
    assert_in_flight(behind.ready().expect_err("its deadline has passed"));
    drop((forgotten, behind));
    // The deadline and the end of the call come before the next poll. It is admitted.
    let in_time = tokens_for(&limiter, &timer, 10, SECOND).pending();
    timer.advance(SECOND);
    drop(permit);
    drop(in_time.woken_permit());
}

#[test]
fn plain_requests_ignore_calls_in_flight() {
    let (limiter, _, timer) = limiter(max_in_flight(1));
    let _permit = limiter.reserve_tokens(10).expect("the first");
    assert!(!request(&limiter, &timer).ready().is_limited);
}

/// When a waiter is dropped: what the head was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeadState {
    /// It sleeps until its tokens come.
    SleepsForTokens,
    /// Its tokens have come, and it was not polled.
    IsDue,
    /// It was admitted, and the next one was not polled.
    WasAdmitted,
    /// It waits for a call in flight.
    WaitsForCall,
    /// The call has ended, and the head was not polled.
    CallHasEnded,
    /// The call has ended, and the head was polled when its tokens were gone.
    TokensAreGone,
}

const HEAD_STATES: [HeadState; 6] = [
    HeadState::SleepsForTokens,
    HeadState::IsDue,
    HeadState::WasAdmitted,
    HeadState::WaitsForCall,
    HeadState::CallHasEnded,
    HeadState::TokensAreGone,
];

/// Of four calls one is dropped. The others are served in order, and it costs nothing.
#[test]
fn any_call_can_be_dropped_in_any_state() {
    let each_call = |state| (1..=4).map(move |dropped| (state, dropped));
    for (state, dropped) in HEAD_STATES.into_iter().flat_map(each_call) {
        let (limiter, _, timer) = limiter(max_in_flight(1));
        let mut in_flight = None;
        match state {
            HeadState::SleepsForTokens | HeadState::IsDue | HeadState::WasAdmitted => {
                limiter.record_tokens(1_000);
            }
            _ => in_flight = Some(limiter.reserve_tokens(1).expect("the first")),
        }
        let join = |estimate| tokens(&limiter, &timer, estimate).pending();
        let mut waiting: Vec<_> = (1..=4).map(join).collect();
        let mut used = limiter.stats().total_tokens_used;
        let mut requests = 0;
        match state {
            HeadState::SleepsForTokens | HeadState::WaitsForCall => {}
            HeadState::IsDue => timer.advance(MILLISECOND),
            HeadState::WasAdmitted => {
                timer.advance(MILLISECOND);
                let polled = Waiter::poll_woken(&mut waiting);
                let Some(Poll::Ready((head, Ok(permit)))) = polled else {
                    panic!("the head is due");
                };
                assert_eq!(head.n, 1);
                permit.settle(1);
                (requests, used) = (1, used + 1);
            }
            HeadState::CallHasEnded => drop(in_flight.take()),
            HeadState::TokensAreGone => {
                drop(in_flight.take());
                limiter.record_tokens(1_000);
                used += 1_000;
                let polled = Waiter::poll_woken(&mut waiting);
                assert!(matches!(polled, Some(Poll::Pending)));
            }
        }
        waiting.retain(|waiting| waiting.n != dropped);
        drop(in_flight);
        requests += waiting.len() as u64;
        used += waiting.iter().map(|waiting| waiting.n).sum::<u64>();
        let admitted = settle_all(&mut waiting, &timer);
        assert!(admitted.is_sorted(), "{state:?}, {dropped}: {admitted:?}");
        let stats = limiter.stats();
        let totals = (stats.total_requests, stats.total_tokens_used);
        assert_eq!(totals, (requests, used), "{state:?}, {dropped}");
        assert_eq!(stats.in_flight, 0, "{state:?}, {dropped}");
    }
}

/// A future is the head and is woken, because a call ended. If it cannot use that, because it is
/// dropped or its tokens are gone, a thread behind it moves up in the first case only.
#[test]
fn threads_wait_behind_futures() {
    for is_dropped in [true, false] {
        let (limiter, _, timer) = limiter(max_in_flight(1));
        let permit = limiter.reserve_tokens(10).expect("the first");
        let large = tokens(&limiter, &timer, 900).pending();
        let (small, waiting) = thread::scope(|scope| {
            let small = scope.spawn(|| limiter.acquire_tokens(10).wait().map(|it| it.settle(10)));
            while limiter.waiting() < 2 {
                thread::yield_now();
            }
            limiter.record_tokens(500);
            permit.settle(10);
            assert!(large.take_wake_up(), "the head");
            let mut waiting = 1;
            if is_dropped {
                drop(large);
            } else {
                let large = large.pending();
                (0..1_000).for_each(|_| thread::yield_now());
                // The thread would find enough tokens.
                waiting = limiter.waiting();
                timer.advance(SECOND);
                large.woken_permit().settle(900);
            }
            (small.join().expect("no panic"), waiting)
        });
        assert_eq!(small, Ok(()));
        assert_eq!(waiting, if is_dropped { 1 } else { 2 });
        assert_eq!(limiter.waiting(), 0);
    }
}

/// One queue for both. A request that needs no slot waits behind a call that does.
#[test]
fn slots_and_requests_are_waited_for_in_order() {
    let (limiter, _, timer) = limiter(max_in_flight(1));
    let permit = limiter.reserve_tokens(10).expect("the first");
    let first = tokens(&limiter, &timer, 10).pending();
    let plain = request(&limiter, &timer).pending();
    let last = tokens(&limiter, &timer, 10).pending();
    assert_eq!((limiter.waiting(), timer.started()), (3, 0));
    assert!(!plain.take_wake_up());
    drop(permit);
    let permit = first.woken_permit();
    assert!(!plain.woken_output().is_limited);
    let last = last.woken_in_vain();
    drop(permit);
    drop(last.woken_permit());
}

#[test]
fn threads_and_futures_hand_calls_to_each_other() {
    let (limiter, _, timer) = limiter(max_in_flight(2));
    in_parallel(4, |number| {
        let waker = unpark_waker();
        for _ in 0..2_000 {
            let permit = if number % 2 == 0 {
                limiter.acquire_tokens(1).wait()
            } else {
                park_on(limiter.acquire_tokens(1).timer(timer.clone()), &waker)
            };
            assert!(limiter.stats().in_flight <= 2);
            permit.expect("not permanent").settle(0);
        }
    });
    let stats = limiter.stats();
    assert_eq!((stats.total_requests, stats.in_flight), (8_000, 0));
}
