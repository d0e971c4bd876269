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
    assert_eq!(status.wait_time, Duration::ZERO, "unknown");
    assert_eq!(
        status.message,
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
fn waits_until(end: impl FnOnce(tidegate::TokenPermit<'_, ManualClock>)) {
    let (limiter, _) = limiter(RateLimitConfig {
        max_in_flight: Some(1),
        ..THOUSAND
    });
    let permit = limiter.reserve_tokens(10).expect("the first");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| limiter.reserve_tokens_blocking(10).map(drop));
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

/// Each permit that ends wakes one waiter. If another limit refuses that waiter, it wakes the next.
#[test]
fn waiter_limited_by_tokens_passes_its_turn_on() {
    let (limiter, clock) = limiter(RateLimitConfig {
        max_in_flight: Some(1),
        ..THOUSAND
    });
    let yield_often = || (0..20_000).for_each(|_| thread::yield_now());
    let permit = limiter.reserve_tokens(10).unwrap();
    thread::scope(|scope| {
        let large = scope.spawn(|| limiter.reserve_tokens_blocking(900).map(drop));
        yield_often();
        let small = scope.spawn(|| limiter.reserve_tokens_blocking(10).map(drop));
        yield_often();
        limiter.record_tokens(500);
        permit.settle(10);
        // Nothing is in flight, and tokens are available, so the small one need not wait for the
        // clock.
        let patience = DefaultClock.now() + Duration::from_secs(60);
        while !small.is_finished() && DefaultClock.now() < patience {
            yield_often();
        }
        let was_admitted = small.is_finished();
        clock.advance(MINUTE);
        assert_eq!(large.join().unwrap(), Ok(()));
        assert_eq!(small.join().unwrap(), Ok(()));
        assert!(was_admitted, "the waiter was not woken");
    });
}

#[test]
fn many_waiters_all_enter_within_the_limit() {
    let (limiter, _) = limiter(RateLimitConfig {
        requests_per_minute: 1_000,
        burst_size: 1_000,
        tokens_per_minute: 1_000_000,
        ..TWO
    });
    parallel::in_parallel(8, |_| {
        for _ in 0..50 {
            let permit = limiter.reserve_tokens_blocking(1).expect("not permanent");
            assert!(limiter.stats().in_flight <= 2);
            permit.settle(1);
        }
    });
    let stats = limiter.stats();
    assert_eq!((stats.total_requests, stats.in_flight), (400, 0));
}
