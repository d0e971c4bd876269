//! Clients that share a quota which none of them knows: the adaptive pace finds it.

use core::time::Duration;

use tidegate::{
    ApiRateLimiter, Clock, ConfigErrorKind, LimitKind, ManualClock, Quota, RateLimitConfig,
    TokenBucket,
};

use super::{Limiter, observe};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECONDS: u64 = 60;

#[derive(Debug, Default)]
struct Outcome {
    answered: u64,
    refused: u64,
    /// Answers in the last third of the time.
    late: u64,
}

/// So many clients send as fast as they may for a minute, to a server that answers `rate` requests
/// per second and refuses others without a word. A call takes 20 ms, and a client makes up to ten
/// at once.
fn run(clients: u64, rate: u64, adaptive: bool) -> Outcome {
    let clock = ManualClock::new();
    let quota = Quota::per_second(rate).burst(rate / 10);
    let server = TokenBucket::with_clock(quota, clock.clone());
    let limiters: Vec<Limiter> = (0..clients)
        .map(|seed| {
            let config = RateLimitConfig {
                adaptive,
                backoff_base: Duration::from_millis(100),
                backoff_max: Duration::from_secs(10),
                backoff_seed: Some(seed),
                ..RateLimitConfig::UNLIMITED
            };
            ApiRateLimiter::with_clock(config, clock.clone()).expect("valid")
        })
        .collect();
    let mut outcome = Outcome::default();
    // The milliseconds at which calls return, and whether they were answered.
    let mut calls: Vec<Vec<(u64, bool)>> = vec![Vec::new(); limiters.len()];
    for now in 0..SECONDS * 1_000 {
        for (limiter, calls) in limiters.iter().zip(&mut calls) {
            calls.retain(|&(returns, is_answered)| {
                if returns == now {
                    observe(limiter, if is_answered { 200 } else { 429 }, &[]);
                }
                returns > now
            });
            while calls.len() < 10 && !limiter.try_acquire().is_limited {
                let is_answered = server.try_acquire(1).is_ok();
                calls.push((now + 20, is_answered));
                outcome.answered += u64::from(is_answered);
                outcome.refused += u64::from(!is_answered);
                outcome.late += u64::from(is_answered && now >= SECONDS * 1_000 * 2 / 3);
            }
        }
        clock.advance(MILLISECOND);
    }
    outcome
}

#[test]
fn adaptive_pace_uses_a_shared_quota_with_few_refusals() {
    for (clients, rate) in [(1, 50), (4, 100), (8, 100), (16, 400)] {
        let adaptive = run(clients, rate, true);
        let backoff = run(clients, rate, false);
        println!("{clients} clients, {rate}/s: adaptive {adaptive:?}, backoff {backoff:?}");
        let quota = rate * SECONDS;
        assert!(
            adaptive.answered * 100 >= quota * 80,
            "{adaptive:?} of {quota}"
        );
        assert!(
            adaptive.late * 100 >= quota / 3 * 80,
            "{adaptive:?} of {quota}"
        );
        assert!(
            adaptive.refused * 100 <= adaptive.answered * 20,
            "{adaptive:?}"
        );
    }
}

#[test]
fn pace_is_absent_until_a_refusal_and_rises_again() {
    let config = RateLimitConfig {
        adaptive: true,
        ..RateLimitConfig::UNLIMITED
    };
    let clock = ManualClock::new();
    let limiter = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    // Ten per second.
    for _ in 0..50 {
        assert!(!limiter.try_acquire().is_limited);
        clock.advance(100 * MILLISECOND);
        observe(&limiter, 200, &[]);
    }
    observe(&limiter, 429, &[]);
    let admitted = (0..100).take_while(|_| !limiter.try_acquire().is_limited);
    assert!(admitted.count() <= 7, "a second of 7 per second");
    let status = limiter.try_acquire();
    assert_eq!(status.limited_by, Some(LimitKind::Adaptive));
    assert!(
        status
            .message()
            .to_string()
            .starts_with("slowed down after refusals of the server, retry in ")
    );
    assert!(
        status.retry_after() <= Duration::from_millis(160),
        "{status}"
    );
    assert_eq!(status.requests_remaining, RateLimitConfig::NO_LIMIT);

    // Calls in flight that are refused as well are the same refusal.
    let before = status.retry_after();
    for _ in 0..10 {
        observe(&limiter, 429, &[]);
    }
    assert_eq!(limiter.check().retry_after(), before);

    // Nothing but refusals: down to one in two seconds, and not to nothing.
    for _ in 0..200 {
        clock.advance(Duration::from_secs(1));
        observe(&limiter, 429, &[]);
    }
    assert!(limiter.check().retry_after() <= Duration::from_secs(2));
    clock.advance(Duration::from_secs(2));
    assert!(!limiter.try_acquire().is_limited);

    // Answers: after a while as fast as before.
    let mut sent = 0;
    for _ in 0..600 {
        clock.advance(100 * MILLISECOND);
        if !limiter.try_acquire().is_limited {
            sent += 1;
            observe(&limiter, 200, &[]);
        }
    }
    assert!(sent >= 300, "{sent} in a minute");
}

#[test]
fn told_waits_pause_and_the_mode_is_fixed() {
    let config = RateLimitConfig {
        adaptive: true,
        ..RateLimitConfig::UNLIMITED
    };
    let limiter = ApiRateLimiter::with_clock(config, ManualClock::new()).expect("valid");
    observe(&limiter, 429, &[("retry-after", "7")]);
    assert_eq!(limiter.check().retry_after(), Duration::from_secs(7));
    let error = limiter
        .reconfigure(RateLimitConfig::UNLIMITED)
        .expect_err("fixed");
    assert_eq!(
        (error.field(), error.kind()),
        ("adaptive", ConfigErrorKind::Fixed)
    );
    let more = RateLimitConfig {
        requests_per_minute: RateLimitConfig::NO_LIMIT,
        max_in_flight: Some(3),
        ..config
    };
    limiter.reconfigure(more).expect("the same limits");
    assert!(limiter.clock().now() >= tidegate::Timestamp::ZERO);
}
