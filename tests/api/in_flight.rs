use std::thread;

use super::*;

const TWO: RateLimitConfig = RateLimitConfig {
    max_in_flight: Some(2),
    ..THOUSAND
};

#[test]
fn permits_stay_within_max_in_flight() {
    let (limiter, _) = limiter(TWO);
    let first = limiter.reserve_tokens(10).unwrap();
    let _second = limiter.reserve_tokens(10).unwrap();
    let before = limiter.stats();
    let status = limiter.reserve_tokens(10).unwrap_err();
    assert!(status.is_limited && !status.is_permanent);
    assert_eq!(status.limited_by, Some(LimitKind::InFlight));
    assert_eq!(status.wait_time(), Duration::ZERO, "unknown");
    assert_eq!(
        status.message(),
        "in-flight limit of 2 calls reached, retry when one ends"
    );
    assert_eq!(limiter.stats(), before);
    first.settle(10);
    assert!(limiter.reserve_tokens(10).is_ok());
}

#[test]
fn other_limit_is_named_before_calls_in_flight() {
    let (limiter, _) = limiter(TWO);
    let _permits = [(); 2].map(|()| limiter.reserve_tokens(500).unwrap());
    let status = limiter.reserve_tokens(1).unwrap_err();
    assert_eq!(
        status.limited_by,
        Some(LimitKind::Tokens),
        "the limit with a known wait"
    );
}

/// Only permits are in flight.
#[test]
fn request_without_permit_is_not_in_flight() {
    let (limiter, _) = limiter(TWO);
    let _permits = [(); 2].map(|()| limiter.reserve_tokens(10).unwrap());
    spend(&limiter, 3);
    assert_eq!(limiter.stats().in_flight, 2);
}

/// Asserts that a caller waits while a permit is out, and enters when `end` has ended it.
fn waits_until(end: impl FnOnce(tidegate::TokenPermit<ManualClock>)) {
    let (limiter, _) = limiter(RateLimitConfig {
        max_in_flight: Some(1),
        ..THOUSAND
    });
    let permit = limiter.reserve_tokens(10).expect("the first");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| limiter.acquire_tokens(10).wait().map(drop));
        while limiter.waiting() == 0 && !waiter.is_finished() {
            thread::yield_now();
        }
        for _ in 0..100 {
            thread::yield_now();
            assert!(!waiter.is_finished(), "the waiter entered early");
        }
        end(permit);
        let outcome = waiter.join().expect("no panic");
        assert_eq!(outcome, Ok(()));
    });
    assert_eq!(limiter.stats().in_flight, 0);
}

#[test]
fn waiter_enters_when_a_permit_ends() {
    waits_until(|permit| permit.settle(10));
    waits_until(|permit| {
        permit.cancel();
    });
    waits_until(|_permit| ());
    waits_until(|mut permit| permit.commit());
}

/// No waiter overtakes another, whatever the sizes: the small call would have room.
#[test]
fn waiter_limited_by_tokens_keeps_its_turn() {
    let (limiter, clock) = limiter(RateLimitConfig {
        max_in_flight: Some(1),
        ..THOUSAND
    });
    let permit = limiter.reserve_tokens(10).unwrap();
    thread::scope(|scope| {
        let queued = |tokens| {
            let before = limiter.waiting();
            let waiter = scope.spawn({
                let limiter = &limiter;
                move || limiter.acquire_tokens(tokens).wait().map(drop)
            });
            while limiter.waiting() == before && !waiter.is_finished() {
                thread::yield_now();
            }
            waiter
        };
        let (large, small) = (queued(900), queued(10));
        limiter.record_tokens(500);
        permit.settle(10);
        // Nothing is in flight, and 490 tokens are available.
        clock.advance((410 * TOKEN).saturating_sub(NANO));
        for _ in 0..1_000 {
            thread::yield_now();
            assert_eq!(limiter.waiting(), 2, "a waiter entered early");
        }
        clock.advance(NANO);
        assert_eq!(large.join().unwrap(), Ok(()));
        assert_eq!(small.join().unwrap(), Ok(()));
    });
}

#[test]
fn many_waiters_all_enter_within_the_limit() {
    let (limiter, _) = limiter(RateLimitConfig {
        requests_per_minute: 1_000,
        requests_per_hour: 1_000,
        burst_size: 1_000,
        tokens_per_minute: 1_000_000,
        ..TWO
    });
    parallel::in_parallel(8, |_| {
        for _ in 0..50 {
            let permit = limiter.acquire_tokens(1).wait().expect("not permanent");
            assert!(limiter.stats().in_flight <= 2);
            permit.settle(1);
        }
    });
    let stats = limiter.stats();
    assert_eq!((stats.total_requests, stats.in_flight), (400, 0));
}
