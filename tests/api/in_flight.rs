use std::thread;

use super::*;

const TWO: RateLimitConfig = RateLimitConfig {
    max_in_flight: Some(2),
    ..THOUSAND
};

#[test]
fn no_more_permits_than_allowed_are_out() {
    let (limiter, _) = limiter(TWO);
    let first = limiter.reserve_tokens(10).unwrap();
    let _second = limiter.reserve_tokens(10).unwrap();
    let before = limiter.stats();
    let status = limiter.reserve_tokens(10).unwrap_err();
    assert!(status.is_limited && !status.is_permanent);
    assert_eq!(status.limited_by, Some(LimitKind::InFlight));
    assert_eq!(status.wait_time, Duration::ZERO, "nobody knows");
    assert_eq!(
        status.message,
        "in-flight limit of 2 calls reached, retry when one ends"
    );
    assert_eq!(limiter.stats(), before);
    first.settle(10);
    assert!(limiter.reserve_tokens(10).is_ok());
}

#[test]
fn a_limit_that_refuses_is_named_before_the_calls_in_flight() {
    let (limiter, _) = limiter(TWO);
    let _permits = [(); 2].map(|()| limiter.reserve_tokens(500).unwrap());
    let status = limiter.reserve_tokens(1).unwrap_err();
    assert_eq!(
        status.limited_by,
        Some(LimitKind::Tokens),
        "its wait is known"
    );
}

/// Requests that take no permit are not in flight.
#[test]
fn requests_without_a_permit_do_not_count() {
    let (limiter, _) = limiter(TWO);
    let _permits = [(); 2].map(|()| limiter.reserve_tokens(10).unwrap());
    spend(&limiter, 3);
    assert_eq!(limiter.stats().in_flight, 2);
}

/// A caller waits for as long as a permit is out, and not when `end` has ended it.
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
            assert!(!waiter.is_finished(), "it came back early");
        }
        end(permit);
        let outcome = waiter.join().expect("no panic");
        assert_eq!(outcome, Ok(()));
    });
    assert_eq!(limiter.stats().in_flight, 0);
}

#[test]
fn a_caller_waits_until_one_is_settled() {
    waits_until(|permit| permit.settle(10));
}

#[test]
fn a_caller_waits_until_one_is_cancelled() {
    waits_until(|permit| {
        permit.cancel();
    });
}

#[test]
fn a_caller_waits_until_one_is_dropped() {
    waits_until(|_permit| ());
}

#[test]
fn a_caller_waits_until_a_committed_one_is_dropped() {
    waits_until(|mut permit| permit.commit());
}

/// One is woken for each permit that ends; if that one turns out to be limited by something else, it passes the room on to
/// those behind it.
#[test]
fn a_caller_who_is_limited_otherwise_does_not_keep_the_others_waiting() {
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
        // Nothing is in flight, and there are tokens: the small one need not wait for the clock.
        let patience = DefaultClock.now() + Duration::from_secs(60);
        while !small.is_finished() && DefaultClock.now() < patience {
            yield_often();
        }
        let was_admitted = small.is_finished();
        clock.advance(MINUTE);
        assert_eq!(large.join().unwrap(), Ok(()));
        assert_eq!(small.join().unwrap(), Ok(()));
        assert!(was_admitted, "it waited for a call that was not made");
    });
}

#[test]
fn of_many_callers_no_more_than_allowed_are_in_flight_and_all_have_their_turn() {
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
