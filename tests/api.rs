//! What [`ApiRateLimiter`] does beyond the document that `aios` follows: permits, estimates, more limits, calls in flight, pauses,
//! backoff, configuration, published cases, threads, and random timelines against a sequential model.
//!
//! Time is a manual clock, so that nothing here sleeps or depends on how fast it runs.

extern crate alloc;

mod parallel;
mod stepped;

use core::time::Duration;

use tidegate::{
    ApiRateLimiter, Clock, DefaultClock, LimitKind, ManualClock, RateLimitConfig, TokenEstimate,
    TokenUsage,
};

use stepped::SteppedClock;

const NANO: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// 1 000 tokens per minute, and room for many requests; waits are known to the nanosecond.
const THOUSAND: RateLimitConfig = RateLimitConfig {
    tokens_per_minute: 1_000,
    burst_size: 40,
    enable_backoff: false,
    ..RateLimitConfig::DEFAULT
};

/// A token of these.
const TOKEN: Duration = Duration::from_millis(60);

fn limiter(config: RateLimitConfig) -> (ApiRateLimiter<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    let limiter = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    (limiter, clock)
}

fn stepped(config: RateLimitConfig) -> (ApiRateLimiter<SteppedClock>, SteppedClock) {
    let clock = SteppedClock::default();
    let limiter = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    (limiter, clock)
}

/// Makes so many requests, all of which must be admitted.
fn spend<C: Clock>(limiter: &ApiRateLimiter<C>, requests: u64) {
    for _ in 0..requests {
        let status = limiter.try_acquire();
        assert!(!status.is_limited, "{status}");
    }
}

fn tokens_left<C: Clock>(limiter: &ApiRateLimiter<C>) -> u64 {
    limiter.stats().tokens_remaining_minute
}

mod permits {
    use super::*;

    #[test]
    fn settling_for_less_gives_the_rest_back() {
        let (limiter, _) = limiter(THOUSAND);
        let permit = limiter.reserve_tokens(800).unwrap();
        assert_eq!(tokens_left(&limiter), 200);
        permit.settle(300);
        assert_eq!(tokens_left(&limiter), 700);
        let stats = limiter.stats();
        assert_eq!((stats.total_requests, stats.total_tokens_used), (1, 300));
    }

    #[test]
    fn settling_for_more_is_a_debt() {
        let (limiter, clock) = limiter(THOUSAND);
        limiter.reserve_tokens(800).unwrap().settle(1_500);
        let status = limiter.check();
        assert_eq!(status.limited_by, Some(LimitKind::Tokens));
        assert_eq!(status.retry_after, TOKEN * 501);
        assert_eq!(limiter.stats().total_tokens_used, 1_500);
        clock.advance(status.retry_after);
        assert!(!limiter.check().is_limited);
    }

    #[test]
    fn settling_for_the_estimate_changes_no_limit() {
        let (limiter, _) = limiter(THOUSAND);
        let permit = limiter.reserve_tokens(800).unwrap();
        permit.settle(800);
        assert_eq!(tokens_left(&limiter), 200);
        assert_eq!(limiter.stats().total_tokens_used, 800);
    }

    #[test]
    fn tokens_that_come_back_never_fill_beyond_the_limit() {
        let (limiter, clock) = limiter(THOUSAND);
        let permit = limiter.reserve_tokens(800).unwrap();
        clock.advance(MINUTE);
        permit.settle(0);
        assert_eq!(tokens_left(&limiter), 1_000);
    }

    #[test]
    fn dropping_cancels() {
        let (limiter, _) = limiter(THOUSAND);
        let before = limiter.stats();
        let permit = limiter.reserve_tokens(800).unwrap();
        assert_eq!(limiter.stats().total_requests, 1);
        drop(permit);
        assert_eq!(limiter.stats(), before);
        assert!(limiter.reserve_tokens(800).unwrap().cancel());
        assert_eq!(limiter.stats(), before);
    }

    #[test]
    fn a_committed_permit_that_is_dropped_is_kept_as_estimated() {
        let (limiter, _) = limiter(THOUSAND);
        let mut permit = limiter.reserve_tokens(800).unwrap();
        permit.commit();
        assert_eq!(limiter.stats().total_tokens_used, 0, "not known yet");
        drop(permit);
        let stats = limiter.stats();
        assert_eq!((stats.total_requests, stats.total_tokens_used), (1, 800));
        assert_eq!((stats.tokens_remaining_minute, stats.in_flight), (200, 0));
    }

    #[test]
    fn a_committed_permit_cannot_be_cancelled_and_can_be_settled() {
        let (limiter, _) = limiter(THOUSAND);
        let mut permit = limiter.reserve_tokens(300).unwrap();
        permit.commit();
        assert!(!permit.cancel());
        assert_eq!(limiter.stats().total_tokens_used, 300);
        let mut permit = limiter.reserve_tokens(300).unwrap();
        permit.commit();
        permit.settle(100);
        assert_eq!(limiter.stats().total_tokens_used, 400);
        assert_eq!(tokens_left(&limiter), 600);
    }

    /// The tokens come back as a credit; the place among the requests is exact or nothing.
    #[test]
    fn a_permit_that_is_cancelled_after_others_were_charged_gives_its_tokens_back() {
        let (limiter, _) = limiter(THOUSAND);
        let first = limiter.reserve_tokens(500).unwrap();
        let second = limiter.reserve_tokens(100).unwrap();
        assert!(!first.cancel(), "not its place in the burst");
        let stats = limiter.stats();
        assert_eq!(stats.tokens_remaining_minute, 900);
        assert_eq!(stats.forfeited, 1);
        assert_eq!(
            stats.requests_remaining_minute, 49,
            "the windows only count"
        );
        assert_eq!(stats.total_requests, 1);

        // A credit has moved the level since.
        assert!(second.cancel());
        let stats = limiter.stats();
        assert_eq!((stats.tokens_remaining_minute, stats.forfeited), (1_000, 1));
    }

    /// A burst of tokens below a minute's budget (R10), which then is the most that one call can be estimated for.
    #[test]
    fn tokens_can_have_a_burst_of_their_own() {
        let (limiter, clock) = limiter(RateLimitConfig {
            token_burst_size: Some(100),
            ..THOUSAND
        });
        assert_eq!(tokens_left(&limiter), 100);
        let status = limiter.reserve_tokens(101).unwrap_err();
        assert!(status.is_permanent);
        limiter.reserve_tokens(100).unwrap().settle(100);
        clock.advance(MINUTE);
        assert_eq!(tokens_left(&limiter), 100);
        let error = ApiRateLimiter::with_clock(
            RateLimitConfig {
                token_burst_size: Some(0),
                ..THOUSAND
            },
            ManualClock::new(),
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "`token_burst_size`: the burst is zero"
        );
    }

    /// The message names what the configuration says, not what can be saved up.
    #[test]
    fn the_message_states_the_rate() {
        let (limiter, _) = limiter(RateLimitConfig {
            token_burst_size: Some(100),
            ..THOUSAND
        });
        limiter.record_tokens(100);
        let status = limiter.check();
        assert_eq!(status.limited_by, Some(LimitKind::Tokens));
        assert!(
            status
                .message
                .starts_with("minute limit of 1000 tokens reached"),
            "{status}"
        );
    }

    /// A broken count neither wraps the statistics nor closes the limiter for good.
    #[test]
    fn after_a_broken_count_an_operator_can_resume() {
        let (limiter, _) = limiter(THOUSAND);
        limiter.record_tokens(u64::MAX);
        limiter.record_tokens(1);
        limiter.pause_for(Duration::MAX);
        assert_eq!(limiter.stats().total_tokens_used, u64::MAX);
        assert_eq!(limiter.check().limited_by, Some(LimitKind::Pause));
        limiter.resume();
        assert!(!limiter.try_acquire().is_limited);
        assert_eq!(tokens_left(&limiter), 1_000);
    }

    /// Nothing breaks when a charge is undone on the wrong limiter.
    #[test]
    fn a_foreign_charge_breaks_nothing() {
        use tidegate::{Combined, Limiter, Quota, TokenBucket};
        let (first, _) = limiter(THOUSAND);
        let (second, _) = limiter(THOUSAND);
        let charge = first.charge_at(3, first.now()).unwrap();
        second.undo(charge);
        assert_eq!(second.stats().total_requests, 0);

        let bucket = || TokenBucket::with_clock(Quota::per_second(5), ManualClock::new());
        let one = Combined::builder().limit("a", bucket()).build();
        let two = Combined::builder()
            .limit("a", bucket())
            .limit("b", bucket())
            .build();
        let charge = two.charge_at(1, two.now()).unwrap();
        one.undo(charge);
        assert_eq!(one.available(), 5);
    }

    /// Unlike cancelling it counts as a request: a call that was made and used nothing.
    #[test]
    fn settling_for_zero_always_gives_the_tokens_back() {
        let (limiter, _) = limiter(THOUSAND);
        let first = limiter.reserve_tokens(500).unwrap();
        limiter.reserve_tokens(100).unwrap().settle(100);
        first.settle(0);
        let stats = limiter.stats();
        assert_eq!((stats.tokens_remaining_minute, stats.forfeited), (900, 0));
        assert_eq!(stats.total_requests, 2);
    }

    #[test]
    fn a_request_in_a_slot_that_is_over_is_forfeited() {
        let (limiter, clock) = limiter(THOUSAND);
        let permit = limiter.reserve_tokens(500).unwrap();
        clock.advance(MINUTE / 64);
        spend(&limiter, 1); // moves the windows on
        assert!(!permit.cancel());
        assert_eq!(limiter.stats().requests_remaining_minute, 48);
    }

    #[test]
    fn a_permit_is_in_flight_until_it_ends() {
        let (limiter, _) = limiter(THOUSAND);
        let permits = [(); 4].map(|()| limiter.reserve_tokens(10).unwrap());
        assert_eq!(limiter.stats().in_flight, 4);
        let [first, second, third, mut fourth] = permits;
        first.settle(10);
        drop(second);
        third.cancel();
        fourth.commit();
        assert_eq!(limiter.stats().in_flight, 1);
        drop(fourth);
        assert_eq!(limiter.stats().in_flight, 0);
    }

    #[test]
    fn a_permit_shows_what_it_is() {
        let (limiter, _) = limiter(THOUSAND);
        let mut permit = limiter.reserve_tokens(TokenUsage::new(3, 4)).unwrap();
        assert_eq!(
            permit.estimate(),
            TokenEstimate::from(TokenUsage::new(3, 4))
        );
        assert!(format!("{permit:?}").contains("is_committed: false"));
        permit.commit();
        assert!(format!("{permit:?}").contains("is_committed: true"));
    }
}

mod estimates {
    use super::*;

    #[test]
    fn a_guess_is_capped_at_each_limit() {
        let (limiter, _) = limiter(RateLimitConfig {
            output_tokens_per_minute: Some(400),
            ..THOUSAND
        });
        let guess = TokenEstimate::guess(TokenUsage::new(100, 64_000));
        let permit = limiter.reserve_tokens(guess).unwrap();
        assert_eq!(limiter.check().tokens_remaining, 0);
        permit.settle(TokenUsage::new(100, 150));
        assert_eq!(tokens_left(&limiter), 750);
        assert_eq!(limiter.check().tokens_remaining, 250, "of output");
    }

    #[test]
    fn a_guess_that_is_kept_counts_as_capped() {
        let (limiter, _) = limiter(THOUSAND);
        let mut permit = limiter
            .reserve_tokens(TokenEstimate::guess(64_000))
            .unwrap();
        permit.commit();
        drop(permit);
        assert_eq!(limiter.stats().total_tokens_used, 1_000);
    }

    #[test]
    fn an_explicit_estimate_above_a_limit_is_refused_for_good() {
        let (limiter, _) = limiter(THOUSAND);
        let status = limiter.reserve_tokens(1_001).unwrap_err();
        assert!(status.is_limited && status.is_permanent);
        assert_eq!(status.limited_by, Some(LimitKind::Tokens));
        assert_eq!(
            (status.wait_time, status.retry_after),
            (Duration::ZERO, Duration::ZERO)
        );
        assert_eq!(
            status.message,
            "more than the minute limit of 1000 tokens can ever give"
        );
        assert_eq!(status.tokens_remaining, 1_000);
        assert_eq!(limiter.stats(), self::limiter(THOUSAND).0.stats());
    }

    #[test]
    fn who_would_wait_is_told_that_no_wait_helps() {
        let (limiter, _) = limiter(THOUSAND);
        let status = limiter.reserve_tokens_blocking(1_001).unwrap_err();
        assert!(status.is_permanent);
    }

    #[test]
    fn who_waits_for_tokens_is_admitted_when_they_are_there() {
        let (limiter, clock) = stepped(THOUSAND);
        limiter.record_tokens(1_000);
        let (left, slept) = clock.sleep_in(|| {
            limiter.reserve_tokens_blocking(100).unwrap().settle(100);
            tokens_left(&limiter)
        });
        assert_eq!((left, slept), (0, TOKEN * 100));
    }

    #[test]
    fn an_estimate_of_nothing_is_a_request() {
        let (limiter, _) = limiter(THOUSAND);
        limiter.reserve_tokens(0).unwrap().settle(7);
        assert_eq!(tokens_left(&limiter), 993);
        limiter.record_tokens(993);
        let status = limiter.reserve_tokens(0).unwrap_err();
        assert_eq!(
            status.limited_by,
            Some(LimitKind::Tokens),
            "while no token is left"
        );
    }

    /// The debt ends where a bucket's does, far away: the next call waits long, and is told how long.
    #[test]
    fn any_use_is_a_debt_with_an_end() {
        let (limiter, clock) = limiter(THOUSAND);
        limiter.record_tokens(u64::MAX);
        limiter.record_tokens(u64::MAX);
        let status = limiter.try_acquire();
        assert!(!status.is_permanent && status.retry_after > 365 * 24 * 60 * MINUTE);
        clock.advance(status.retry_after.saturating_sub(NANO));
        assert!(limiter.check().is_limited);
        clock.advance(NANO);
        assert!(!limiter.check().is_limited);
    }
}

mod limits {
    use super::*;

    #[test]
    fn input_and_output_tokens_have_limits_of_their_own() {
        let (limiter, _) = limiter(RateLimitConfig {
            input_tokens_per_minute: Some(600),
            output_tokens_per_minute: Some(200),
            ..THOUSAND
        });
        limiter
            .reserve_tokens(TokenUsage::new(500, 50))
            .unwrap()
            .settle(TokenUsage::new(500, 50));
        let limited_by = |input, output| {
            let refused = limiter.reserve_tokens(TokenUsage::new(input, output));
            refused.map_or_else(|status| status.limited_by, |_| None)
        };
        assert_eq!(limited_by(100, 150), None);
        assert_eq!(limited_by(101, 150), Some(LimitKind::InputTokens));
        assert_eq!(limited_by(100, 151), Some(LimitKind::OutputTokens));
        assert_eq!(limiter.check().tokens_remaining, 100, "the fewest");
        assert_eq!(tokens_left(&limiter), 450);
    }

    #[test]
    fn a_number_without_a_split_counts_in_each_limit() {
        let (limiter, _) = limiter(RateLimitConfig {
            input_tokens_per_minute: Some(600),
            output_tokens_per_minute: Some(200),
            ..THOUSAND
        });
        limiter.record_tokens(150);
        assert_eq!(limiter.check().tokens_remaining, 50);
        let status = limiter.reserve_tokens(201).unwrap_err();
        assert!(status.is_permanent);
        assert_eq!(status.limited_by, Some(LimitKind::OutputTokens));
        assert_eq!(
            status.message,
            "more than the minute limit of 200 output tokens can ever give"
        );
    }

    #[test]
    fn requests_per_day() {
        let (limiter, clock) = limiter(RateLimitConfig {
            requests_per_day: Some(60),
            ..THOUSAND
        });
        spend(&limiter, 40);
        clock.advance(60 * MINUTE);
        spend(&limiter, 20);
        let status = limiter.try_acquire();
        assert_eq!(status.limited_by, Some(LimitKind::Day));
        assert_eq!(status.requests_remaining, 0);
        assert!(
            status
                .message
                .starts_with("day limit of 60 requests reached"),
            "{status}"
        );
        assert_eq!(limiter.stats().requests_remaining_day, Some(0));
        clock.advance(status.wait_time);
        assert_eq!(limiter.stats().requests_remaining_day, Some(40));
        assert_eq!(
            self::limiter(THOUSAND).0.stats().requests_remaining_day,
            None
        );
    }

    #[test]
    fn tokens_per_day() {
        let (limiter, clock) = limiter(RateLimitConfig {
            tokens_per_day: Some(1_500),
            ..THOUSAND
        });
        limiter.record_tokens(1_000);
        clock.advance(MINUTE);
        assert_eq!(tokens_left(&limiter), 1_000);
        assert_eq!(
            limiter.stats().tokens_remaining_day,
            Some(501),
            "one flowed in"
        );
        let status = limiter.reserve_tokens(600).unwrap_err();
        assert_eq!(status.limited_by, Some(LimitKind::TokensPerDay));
        assert_eq!(status.tokens_remaining, 501);
        assert!(limiter.reserve_tokens(501).is_ok());
        let status = limiter.reserve_tokens(1_501).unwrap_err();
        assert!(status.is_permanent, "above the minute's limit");
        assert_eq!(self::limiter(THOUSAND).0.stats().tokens_remaining_day, None);
    }

    #[test]
    fn the_longest_refusal_is_the_one_that_is_named() {
        let (limiter, clock) = limiter(RateLimitConfig {
            requests_per_minute: 60,
            burst_size: 2,
            ..THOUSAND
        });
        spend(&limiter, 2);
        assert_eq!(limiter.check().limited_by, Some(LimitKind::Burst));
        limiter.record_tokens(1_009); // ten tokens are 0.6 s
        assert_eq!(limiter.check().limited_by, Some(LimitKind::Burst));
        limiter.record_tokens(10);
        let status = limiter.check();
        assert_eq!(status.limited_by, Some(LimitKind::Tokens));
        assert_eq!(status.retry_after, TOKEN * 20);
        // After the named one's wait all others are free, too.
        clock.advance(status.retry_after);
        assert!(!limiter.try_acquire().is_limited);
    }

    #[test]
    fn what_never_ends_is_named_before_what_lasts_long() {
        let (limiter, _) = limiter(RateLimitConfig {
            output_tokens_per_minute: Some(200),
            ..THOUSAND
        });
        limiter.record_tokens(TokenUsage::new(5_000, 0));
        let status = limiter.reserve_tokens(TokenUsage::new(0, 201)).unwrap_err();
        assert!(status.is_permanent);
        assert_eq!(status.limited_by, Some(LimitKind::OutputTokens));
    }
}

mod in_flight {
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
            "limit of 2 calls in flight reached, next when one ends"
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
}

mod pauses {
    use alloc::sync::Arc;

    use super::*;

    #[test]
    fn a_pause_admits_nobody_for_so_long_and_is_named() {
        let (limiter, clock) = limiter(THOUSAND);
        limiter.pause_for(30 * SECOND);
        let status = limiter.try_acquire();
        assert_eq!(status.limited_by, Some(LimitKind::Pause));
        assert_eq!(status.wait_time, 30 * SECOND);
        assert_eq!(status.message, "paused by the server, next in 30.0 s");
        assert_eq!(limiter.check(), status);
        let refused = limiter.reserve_tokens(1).unwrap_err();
        assert_eq!(refused.limited_by, Some(LimitKind::Pause));
        clock.advance((30 * SECOND).saturating_sub(NANO));
        assert!(limiter.try_acquire().is_limited);
        clock.advance(NANO);
        assert!(!limiter.try_acquire().is_limited);
    }

    #[test]
    fn a_pause_is_not_shortened() {
        let (limiter, clock) = limiter(THOUSAND);
        limiter.pause_for(MINUTE);
        limiter.pause_for(SECOND);
        assert_eq!(limiter.check().wait_time, MINUTE);
        limiter.pause_until(clock.now() + 2 * MINUTE);
        assert_eq!(limiter.check().wait_time, 2 * MINUTE);
    }

    #[test]
    fn a_pause_of_nothing_or_without_end() {
        let (limiter, _) = limiter(THOUSAND);
        limiter.pause_for(Duration::ZERO);
        assert!(!limiter.check().is_limited);
        limiter.pause_for(Duration::MAX);
        assert!(limiter.check().is_limited);
    }

    #[test]
    fn a_limit_that_refuses_for_longer_than_the_pause_is_named() {
        let (limiter, clock) = limiter(THOUSAND);
        limiter.record_tokens(2_000);
        limiter.pause_for(30 * SECOND);
        let status = limiter.check();
        assert_eq!(status.limited_by, Some(LimitKind::Tokens));
        clock.advance(status.wait_time);
        assert!(!limiter.check().is_limited);
    }

    #[test]
    fn a_pause_holds_for_everyone_who_shares_the_limiter() {
        let (limiter, clock) = stepped(THOUSAND);
        let limiter = Arc::new(limiter);
        let other = Arc::clone(&limiter);
        other.pause_for(30 * SECOND);
        assert_eq!(limiter.check().limited_by, Some(LimitKind::Pause));
        let admitted = clock.run(4, |_| {
            assert!(!limiter.acquire_blocking().is_limited);
            clock.now()
        });
        assert_eq!(admitted, [tidegate::Timestamp::ZERO + 30 * SECOND; 4]);
    }

    /// Those who sleep look again when they wake up.
    #[test]
    fn a_pause_reaches_those_who_are_waiting_already() {
        let (limiter, clock) = stepped(RateLimitConfig {
            burst_size: 1,
            ..THOUSAND
        });
        spend(&limiter, 1);
        let admitted = clock.run(2, |thread| {
            if thread == 0 {
                assert!(!limiter.acquire_blocking().is_limited);
            } else {
                clock.sleep_until(tidegate::Timestamp::ZERO + SECOND);
                limiter.pause_for(MINUTE);
            }
            clock.now() - tidegate::Timestamp::ZERO
        });
        assert_eq!(admitted, [MINUTE + SECOND, SECOND]);
    }
}

mod backoff {
    use super::*;

    const BACKOFF: RateLimitConfig = RateLimitConfig {
        burst_size: 1,
        enable_backoff: true,
        backoff_base: SECOND,
        backoff_max: Duration::from_secs(8),
        backoff_seed: Some(42),
        ..THOUSAND
    };

    /// What was added to the waits of refusals at these seconds of a streak.
    fn added(config: RateLimitConfig, seconds: &[u64]) -> Vec<Duration> {
        let (limiter, clock) = limiter(config);
        limiter.pause_for(60 * MINUTE);
        let added_at = |&second: &u64| {
            clock.set(tidegate::Timestamp::ZERO + Duration::from_secs(second));
            let status = limiter.try_acquire();
            assert!(status.wait_time >= status.retry_after, "{status}");
            assert_eq!(
                status.retry_after,
                limiter.check().wait_time,
                "the bare wait"
            );
            status.wait_time.saturating_sub(status.retry_after)
        };
        seconds.iter().map(added_at).collect()
    }

    #[test]
    fn a_told_wait_is_between_the_bare_one_and_the_ceiling_beyond_it() {
        for seed in 0..200 {
            let config = RateLimitConfig {
                backoff_seed: Some(seed),
                ..BACKOFF
            };
            let seconds = [0, 1, 3, 7, 100];
            let ceilings = [1, 2, 4, 8, 8].map(Duration::from_secs);
            for (added, ceiling) in added(config, &seconds).into_iter().zip(ceilings) {
                assert!(added <= ceiling, "{added:?} of {ceiling:?}");
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let seconds = [0, 1, 2, 3, 5, 8];
        assert_eq!(added(BACKOFF, &seconds), added(BACKOFF, &seconds));
        let other = RateLimitConfig {
            backoff_seed: Some(43),
            ..BACKOFF
        };
        assert_ne!(added(BACKOFF, &seconds), added(other, &seconds));
    }

    #[test]
    fn without_backoff_the_bare_wait_is_told() {
        let off = RateLimitConfig {
            enable_backoff: false,
            ..BACKOFF
        };
        assert_eq!(added(off, &[0, 1, 100]), [Duration::ZERO; 3]);
    }

    #[test]
    fn an_admission_ends_it() {
        for seed in 0..100 {
            let (limiter, clock) = limiter(RateLimitConfig {
                backoff_seed: Some(seed),
                ..BACKOFF
            });
            limiter.pause_for(MINUTE);
            assert!(limiter.try_acquire().is_limited);
            clock.advance(MINUTE);
            spend(&limiter, 1);
            let status = limiter.try_acquire();
            let added = status.wait_time.saturating_sub(status.retry_after);
            assert!(added <= SECOND, "{added:?} a minute later");
        }
    }

    /// A refusal after an hour in which nobody came is a first one again.
    #[test]
    fn an_hour_without_callers_ends_it() {
        for seed in 0..100 {
            let (limiter, clock) = limiter(RateLimitConfig {
                backoff_seed: Some(seed),
                ..BACKOFF
            });
            spend(&limiter, 1);
            assert!(limiter.try_acquire().is_limited);
            clock.advance(60 * MINUTE);
            limiter.record_tokens(2_000); // a call that was made before the hour, and has come back
            let status = limiter.try_acquire();
            let added = status.wait_time.saturating_sub(status.retry_after);
            assert!(added <= SECOND, "{added:?} at the first refusal");
        }
    }

    /// Nobody is refused for it: it is for those who wait as they are told.
    #[test]
    fn who_comes_earlier_than_told_is_admitted_if_there_is_room() {
        let (limiter, clock) = limiter(BACKOFF);
        spend(&limiter, 1);
        let status = limiter.try_acquire();
        assert!(status.wait_time > status.retry_after);
        clock.advance(status.retry_after);
        assert!(!limiter.try_acquire().is_limited);
    }

    #[test]
    fn a_wait_that_no_time_ends_is_not_stretched() {
        let (limiter, _) = limiter(RateLimitConfig {
            max_in_flight: Some(1),
            burst_size: 9,
            ..BACKOFF
        });
        assert_eq!(
            limiter.reserve_tokens(1_001).unwrap_err().wait_time,
            Duration::ZERO
        );
        let _permit = limiter.reserve_tokens(1).unwrap();
        assert_eq!(
            limiter.reserve_tokens(1).unwrap_err().wait_time,
            Duration::ZERO
        );
    }

    #[test]
    fn who_waits_with_a_deadline_is_refused_for_the_bare_wait_only() {
        let (limiter, clock) = stepped(BACKOFF);
        spend(&limiter, 1);
        let turn = MINUTE / 50;
        let refused = limiter.acquire_blocking_timeout(turn.saturating_sub(NANO));
        assert!(refused.is_limited, "known beforehand");
        let (status, slept) = clock.sleep_in(|| limiter.acquire_blocking_timeout(turn));
        assert!(!status.is_limited);
        assert_eq!(slept, turn, "the deadline cuts the backoff off");
    }
}

mod configuration {
    use core::error::Error;

    use tidegate::{ConfigError, ConfigErrorKind, QuotaError, WindowError};

    use super::*;

    fn error(change: impl FnOnce(&mut RateLimitConfig)) -> ConfigError {
        let mut config = RateLimitConfig::DEFAULT;
        change(&mut config);
        let error = config.validate().expect_err("it is wrong");
        let made = ApiRateLimiter::with_clock(config, ManualClock::new());
        assert_eq!(made.err(), Some(error), "the same when it is used");
        error
    }

    #[test]
    fn zero_is_refused_in_every_field() {
        type Change = fn(&mut RateLimitConfig);
        let zeros: [(&str, Change, &str); 10] = [
            (
                "requests_per_minute",
                |c| c.requests_per_minute = 0,
                "the limit is zero",
            ),
            (
                "requests_per_hour",
                |c| c.requests_per_hour = 0,
                "the limit is zero",
            ),
            (
                "requests_per_day",
                |c| c.requests_per_day = Some(0),
                "the limit is zero",
            ),
            ("burst_size", |c| c.burst_size = 0, "the burst is zero"),
            (
                "tokens_per_minute",
                |c| c.tokens_per_minute = 0,
                "the rate is zero",
            ),
            (
                "tokens_per_day",
                |c| c.tokens_per_day = Some(0),
                "the rate is zero",
            ),
            (
                "input_tokens_per_minute",
                |c| c.input_tokens_per_minute = Some(0),
                "the rate is zero",
            ),
            (
                "output_tokens_per_minute",
                |c| c.output_tokens_per_minute = Some(0),
                "the rate is zero",
            ),
            (
                "max_in_flight",
                |c| c.max_in_flight = Some(0),
                "must not be zero",
            ),
            (
                "backoff_base",
                |c| c.backoff_base = Duration::ZERO,
                "must not be zero",
            ),
        ];
        for (field, change, message) in zeros {
            let error = error(change);
            assert_eq!(error.field(), field);
            assert_eq!(error.to_string(), format!("`{field}`: {message}"));
        }
    }

    #[test]
    fn what_cannot_be_represented_is_refused_in_every_field() {
        type Change = fn(&mut RateLimitConfig);
        let windows: [(&str, Change); 3] = [
            ("requests_per_minute", |c| c.requests_per_minute = u64::MAX),
            ("requests_per_hour", |c| c.requests_per_hour = u64::MAX),
            ("requests_per_day", |c| c.requests_per_day = Some(u64::MAX)),
        ];
        for (field, change) in windows {
            let error = error(change);
            assert_eq!(error.field(), field);
            let ConfigErrorKind::Window(WindowError::LimitTooLarge { max }) = error.kind() else {
                panic!("{error}");
            };
            let message =
                format!("the limit is too large for so short a window or slot: at most {max}");
            assert_eq!(error.to_string(), format!("`{field}`: {message}"));
            assert_eq!(error.source().unwrap().to_string(), message);
        }

        let buckets: [(&str, Change); 4] = [
            ("tokens_per_minute", |c| c.tokens_per_minute = u64::MAX),
            ("tokens_per_day", |c| c.tokens_per_day = Some(u64::MAX)),
            ("input_tokens_per_minute", |c| {
                c.input_tokens_per_minute = Some(u64::MAX);
            }),
            ("output_tokens_per_minute", |c| {
                c.output_tokens_per_minute = Some(u64::MAX);
            }),
        ];
        for (field, change) in buckets {
            let error = error(change);
            assert_eq!(error.field(), field);
            assert_eq!(
                error.kind(),
                ConfigErrorKind::Quota(QuotaError::RateTooHigh)
            );
            let message = "the rate is above 10^12 per second";
            assert_eq!(error.to_string(), format!("`{field}`: {message}"));
        }

        let error = error(|config| config.burst_size = u64::MAX);
        assert_eq!(error.field(), "burst_size");
        assert_eq!(
            error.to_string(),
            "`burst_size`: the burst is larger than this rate allows: at most 26298000000"
        );
    }

    #[test]
    fn the_longest_backoff_is_no_shorter_than_the_first() {
        let error = error(|config| config.backoff_max = Duration::from_millis(999));
        assert_eq!(error.kind(), ConfigErrorKind::BelowBase);
        assert_eq!(
            error.to_string(),
            "`backoff_max`: must not be below `backoff_base`"
        );
    }

    #[test]
    fn backoff_that_is_off_is_not_checked() {
        let config = RateLimitConfig {
            enable_backoff: false,
            backoff_base: Duration::ZERO,
            backoff_max: Duration::ZERO,
            ..RateLimitConfig::DEFAULT
        };
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn the_largest_values_work() {
        let (limiter, _) = limiter(RateLimitConfig {
            requests_per_minute: 1 << 32,
            requests_per_hour: 1 << 36,
            requests_per_day: Some(1 << 40),
            tokens_per_minute: 60_000_000_000_000,
            tokens_per_day: Some(1 << 55),
            burst_size: u64::from(u32::MAX),
            max_in_flight: Some(u64::MAX),
            backoff_base: Duration::MAX,
            backoff_max: Duration::MAX,
            ..RateLimitConfig::DEFAULT
        });
        limiter
            .reserve_tokens(60_000_000_000_000)
            .unwrap()
            .settle(0);
        assert!(!limiter.try_acquire().is_limited);
    }
}

#[cfg(feature = "serde")]
mod files {
    use super::*;

    fn read(json: &str) -> Result<RateLimitConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(read("{}"), Ok(RateLimitConfig::DEFAULT));
        let config = RateLimitConfig {
            requests_per_minute: 30,
            requests_per_day: Some(5_000),
            ..RateLimitConfig::DEFAULT
        };
        let json = r#"{ "requests_per_minute": 30, "requests_per_day": 5000 }"#;
        assert_eq!(read(json), Ok(config));
    }

    #[test]
    fn unknown_fields_are_errors() {
        let error = read(r#"{ "request_per_minute": 30 }"#).unwrap_err();
        assert!(
            error.starts_with("unknown field `request_per_minute`"),
            "{error}"
        );
    }

    #[test]
    fn durations_are_seconds() {
        let config = read(r#"{ "backoff_base": 0.25, "backoff_max": 90 }"#).unwrap();
        assert_eq!(config.backoff_base, Duration::from_millis(250));
        assert_eq!(config.backoff_max, Duration::from_secs(90));
        for wrong in ["-1", "1e30", "\"1 s\"", "null"] {
            assert!(
                read(&format!("{{ \"backoff_base\": {wrong} }}")).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_was_written_can_be_read() {
        let config = RateLimitConfig {
            requests_per_day: Some(5_000),
            tokens_per_day: Some(2_000_000),
            max_in_flight: Some(4),
            backoff_base: Duration::from_nanos(123_456_789),
            backoff_seed: Some(u64::MAX),
            ..RateLimitConfig::DEFAULT
        };
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(read(&json), Ok(config));
    }

    /// A file says what is wanted, and the limiter whether it can be had.
    #[test]
    fn what_cannot_be_used_is_read_and_then_refused() {
        let config = read(r#"{ "burst_size": 0 }"#).unwrap();
        assert_eq!(config.validate().unwrap_err().field(), "burst_size");
    }
}

/// Cases that were published for other libraries and services, named as in our collection of them.
mod cases {
    use super::*;

    #[test]
    fn r01_the_sum_of_admitted_reservations_never_exceeds_the_budget() {
        let (limiter, _) = limiter(RateLimitConfig {
            tokens_per_minute: 100,
            ..THOUSAND
        });
        let calls = [58, 80, 175, 175, 175];
        let reserved = parallel::in_parallel(calls.len(), |call| {
            let permit = limiter.reserve_tokens(calls[call]);
            // Kept until the others have asked, as calls that take a while.
            permit
                .map(|mut permit| permit.commit())
                .map_or(0, |()| calls[call])
        });
        let sum: u64 = reserved.iter().sum();
        assert!(sum == 58 || sum == 80, "R01: {reserved:?}");
        assert_eq!(tokens_left(&limiter), 100 - sum, "R01");
    }

    #[test]
    fn r02_an_implicit_estimate_is_capped_and_an_explicit_one_is_refused_for_good() {
        let (limiter, _) = limiter(THOUSAND);
        let usage = TokenUsage::new(1, 1_024);
        let implicit = limiter.reserve_tokens(TokenEstimate::guess(usage));
        implicit.expect("R02").settle(TokenUsage::new(1, 20));
        let explicit = limiter.reserve_tokens(usage).unwrap_err();
        assert!(explicit.is_permanent, "R02: {explicit}");
    }

    #[test]
    fn r04_refusals_leave_the_level_unchanged() {
        let (limiter, _) = limiter(THOUSAND);
        limiter.reserve_tokens(950).unwrap().settle(950);
        let before = (limiter.stats(), format!("{limiter:?}"));
        for _ in 0..1_000 {
            assert!(limiter.reserve_tokens(51).is_err(), "R04");
        }
        assert_eq!((limiter.stats(), format!("{limiter:?}")), before, "R04");
        assert!(limiter.reserve_tokens(50).is_ok(), "R04");
    }

    #[test]
    fn r05_a_call_larger_than_a_seconds_budget_does_not_wait_for_ever() {
        let (limiter, _) = limiter(RateLimitConfig {
            tokens_per_minute: 90_000,
            ..THOUSAND
        });
        limiter
            .reserve_tokens_blocking(2_000)
            .expect("R05")
            .settle(2_000);
        assert_eq!(tokens_left(&limiter), 88_000, "R05");

        // And where a second's budget is all there is: an error for good, or a debt.
        let (limiter, clock) = self::limiter(RateLimitConfig {
            tokens_per_minute: 1_500,
            ..THOUSAND
        });
        assert!(
            limiter
                .reserve_tokens_blocking(2_000)
                .unwrap_err()
                .is_permanent,
            "R05"
        );
        spend(&limiter, 1);
        limiter.record_tokens(2_000);
        clock.advance(limiter.check().retry_after);
        spend(&limiter, 1);
    }

    #[test]
    fn r08_reserve_then_settle_and_cache_reads_do_not_count() {
        let (limiter, clock) = limiter(RateLimitConfig {
            input_tokens_per_minute: Some(600),
            output_tokens_per_minute: Some(400),
            ..THOUSAND
        });
        // 500 of input, of which it turns out that 450 were read from the cache; 400 of output at the most.
        let permit = limiter.reserve_tokens(TokenUsage::new(500, 400)).unwrap();
        permit.settle(TokenUsage::new(50, 120));
        assert_eq!(tokens_left(&limiter), 830, "R08");
        assert_eq!(limiter.check().tokens_remaining, 280, "R08: of output");

        limiter.pause_for(7 * SECOND); // `retry-after: 7`
        clock.advance((7 * SECOND).saturating_sub(NANO));
        assert!(limiter.try_acquire().is_limited, "R08: certain to fail");
        clock.advance(NANO);
        assert!(!limiter.try_acquire().is_limited, "R08");
    }

    #[test]
    fn r09_a_caller_who_waits_holds_nothing() {
        let (limiter, clock) = stepped(THOUSAND);
        limiter.record_tokens(1_000);
        let idle = limiter.stats();
        let results = clock.run(2, |thread| {
            if thread == 0 {
                limiter
                    .reserve_tokens_blocking(500)
                    .expect("R09")
                    .settle(500);
                return limiter.stats();
            }
            // Wakes up while the other sleeps, and finds every request that there was.
            clock.sleep_until(clock.now() + SECOND);
            limiter.stats()
        });
        let meanwhile = results[1];
        assert_eq!(meanwhile.requests_remaining_minute, 50, "R09");
        assert_eq!(meanwhile.burst_remaining, idle.burst_remaining, "R09");
        assert_eq!(
            (meanwhile.total_requests, meanwhile.in_flight),
            (0, 0),
            "R09"
        );
        assert_eq!(results[0].total_requests, 1, "R09");
    }

    #[test]
    fn r10_failed_requests_count_bursts_are_small_and_the_longer_reset_counts() {
        let (limiter, clock) = limiter(RateLimitConfig {
            requests_per_minute: 60_000,
            requests_per_hour: 1_000_000,
            burst_size: 1_000,
            ..THOUSAND
        });
        spend(&limiter, 1_000);
        assert_eq!(limiter.check().limited_by, Some(LimitKind::Burst), "R10");
        clock.advance(SECOND);
        spend(&limiter, 1_000);
        clock.advance(SECOND);

        // A request that fails is settled with what it used, and stays a request.
        limiter.reserve_tokens(100).unwrap().settle(0);
        assert_eq!(limiter.stats().total_requests, 2_001, "R10");

        limiter.pause_for(6 * MINUTE); // x-ratelimit-reset-tokens: 6m0s
        limiter.pause_for(SECOND); // x-ratelimit-reset-requests: 1s
        assert_eq!(limiter.check().wait_time, 6 * MINUTE, "R10");
    }

    #[test]
    fn r12_the_refusal_names_the_limit_with_its_own_wait() {
        let (limiter, _) = limiter(THOUSAND);
        limiter.record_tokens(990);
        let status = limiter.reserve_tokens(30).unwrap_err();
        assert_eq!(status.limited_by, Some(LimitKind::Tokens), "R12");
        assert_eq!(status.retry_after, TOKEN * 20, "R12");
        assert!(
            status
                .message
                .starts_with("minute limit of 1000 tokens reached"),
            "R12"
        );
    }

    #[test]
    fn r13_the_current_period_can_be_closed_and_the_next_opens_normally() {
        let (limiter, clock) = limiter(THOUSAND);
        spend(&limiter, 1);
        // A 429 while tokens remain: nobody until the reset, and what was left locally is not to be had any more.
        limiter.pause_for(20 * SECOND);
        limiter.record_tokens(limiter.check().tokens_remaining);
        assert!(limiter.try_acquire().is_limited, "R13");
        clock.advance(20 * SECOND);
        let status = limiter.try_acquire();
        assert!(!status.is_limited, "R13");
        assert_eq!(status.tokens_remaining, 333, "R13: a third of a minute's");
    }
}

mod threads {
    use super::*;

    /// What one thread did, for the sums.
    #[derive(Default)]
    struct Tally {
        requests: u64,
        tokens: u64,
    }

    /// Limited by the calls in flight and, near the end, by the burst, with cancellations on top: what is gone from the limits was
    /// used, or is counted.
    #[test]
    fn eight_threads_have_exact_statistics() {
        let config = RateLimitConfig {
            requests_per_minute: 40_000,
            requests_per_hour: 1_000_000,
            tokens_per_minute: 6_000_000,
            burst_size: 20_000,
            max_in_flight: Some(6),
            ..RateLimitConfig::DEFAULT
        };
        let (limiter, _) = limiter(config);
        let tallies = parallel::in_parallel(8, |thread| {
            let mut random = u64::try_from(thread).unwrap();
            let mut tally = Tally::default();
            for _ in 0..5_000 {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let (choice, estimate) = (random >> 61, (random >> 32) % 200);
                if choice == 0 {
                    tally.requests += u64::from(!limiter.try_acquire().is_limited);
                    continue;
                }
                let Ok(mut permit) = limiter.reserve_tokens(estimate) else {
                    continue;
                };
                tally.requests += 1;
                match choice {
                    // Over and under the estimate.
                    1..=3 => {
                        let used = estimate / 2 * (choice - 1);
                        permit.settle(used);
                        tally.tokens += used;
                    }
                    4 => {
                        permit.commit();
                        drop(permit);
                        tally.tokens += estimate;
                    }
                    5 => {
                        limiter.record_tokens(7);
                        permit.settle(estimate);
                        tally.tokens += estimate + 7;
                    }
                    6 => {
                        permit.cancel();
                        tally.requests -= 1;
                    }
                    _ => {
                        drop(permit);
                        tally.requests -= 1;
                    }
                }
            }
            tally
        });
        let stats = limiter.stats();
        let requests: u64 = tallies.iter().map(|tally| tally.requests).sum();
        let tokens: u64 = tallies.iter().map(|tally| tally.tokens).sum();
        assert_eq!(
            (stats.total_requests, stats.total_tokens_used),
            (requests, tokens)
        );
        assert_eq!(stats.in_flight, 0);

        let gone_from_windows = [
            40_000 - stats.requests_remaining_minute,
            1_000_000 - stats.requests_remaining_hour,
        ];
        assert_eq!(
            gone_from_windows, [requests; 2],
            "in the same slot all comes back"
        );
        assert!(
            stats.tokens_remaining_minute > 0,
            "no debt, or the sum below would not see it"
        );
        let gone = (20_000 - stats.burst_remaining) + (6_000_000 - stats.tokens_remaining_minute);
        assert_eq!(gone, requests + tokens + stats.forfeited, "{stats:?}");
    }
}

/// Random timelines. The model is slow and obvious: times in whole nanoseconds, a list of admissions for each window, and a bucket
/// that remembers when it will be full.
mod model {
    use proptest::prelude::*;
    use tidegate::{RateLimitStats, Timestamp, TokenPermit};

    use super::*;

    /// Each token lasts whole nanoseconds, so that the model needs no fractions.
    const CONFIG: RateLimitConfig = RateLimitConfig {
        requests_per_minute: 30,
        requests_per_hour: 100,
        requests_per_day: Some(150),
        tokens_per_minute: 6_000,
        tokens_per_day: Some(86_400),
        burst_size: 8,
        max_in_flight: Some(3),
        enable_backoff: false,
        ..RateLimitConfig::DEFAULT
    };

    #[derive(Clone, Debug)]
    enum Op {
        Acquire,
        Record(u64),
        Reserve {
            tokens: u64,
            is_guess: bool,
        },
        /// What becomes of one of the permits that are out.
        Commit(usize),
        Settle(usize, u64),
        Drop(usize),
        /// So many milliseconds.
        Advance(u64),
        Pause(u64),
    }

    fn any_op() -> impl Strategy<Value = Op> {
        let millis = prop_oneof![0..20_u64, 0..2_000_u64, 0..90_000_u64, Just(1_000_000)];
        prop_oneof![
            4 => Just(Op::Acquire),
            2 => (0..3_000_u64).prop_map(Op::Record),
            4 => (0..7_000_u64, any::<bool>())
                .prop_map(|(tokens, is_guess)| Op::Reserve { tokens, is_guess }),
            1 => (0..3_usize).prop_map(Op::Commit),
            2 => (0..3_usize, 0..9_000_u64).prop_map(|(index, used)| Op::Settle(index, used)),
            2 => (0..3_usize).prop_map(Op::Drop),
            4 => millis.prop_map(Op::Advance),
            1 => (0..5_000_u64).prop_map(Op::Pause),
        ]
    }

    /// At most `limit` in the current slot and the 64 before it.
    struct Window {
        limit: u64,
        slot: u64,
        /// The slot of each admission that still counts for something.
        admitted: Vec<u64>,
        /// The latest slot that anything was admitted in, also if it was taken back.
        latest: u64,
    }

    impl Window {
        const fn new(limit: u64, seconds: u64) -> Self {
            Self {
                limit,
                slot: seconds * 1_000_000_000 / 64,
                admitted: Vec::new(),
                latest: 0,
            }
        }

        fn remaining(&self, now: u64) -> u64 {
            let counts = |&&slot: &&u64| slot + 64 >= now / self.slot;
            let used = self.admitted.iter().filter(counts).count();
            self.limit - u64::try_from(used).expect("few")
        }

        fn charge(&mut self, now: u64) -> u64 {
            self.latest = now / self.slot;
            self.admitted.push(self.latest);
            self.latest
        }

        /// How much was forfeited.
        fn undo(&mut self, slot: u64) -> u64 {
            if slot != self.latest {
                return 1;
            }
            let place = self.admitted.iter().position(|&other| other == slot);
            self.admitted.swap_remove(place.expect("it was admitted"));
            0
        }
    }

    /// A bucket that is full at `full_at`, and so lacks a token for each `token` until then.
    struct Bucket {
        capacity: u64,
        token: u64,
        full_at: u64,
    }

    impl Bucket {
        fn new(per_period: u64, seconds: u64, capacity: u64) -> Self {
            let token = seconds * 1_000_000_000 / per_period;
            assert_eq!(token * per_period, seconds * 1_000_000_000, "whole");
            Self {
                capacity,
                token,
                full_at: 0,
            }
        }

        const fn remaining(&self, now: u64) -> u64 {
            let lacking = self.full_at.saturating_sub(now);
            (self.capacity * self.token).saturating_sub(lacking) / self.token
        }

        fn charge(&mut self, tokens: u64, now: u64) -> (u64, u64) {
            let before = self.full_at;
            if tokens > 0 {
                self.full_at = before.max(now) + tokens * self.token;
            }
            (before, self.full_at)
        }

        fn credit(&mut self, tokens: u64, now: u64) {
            let lacking = self.full_at.saturating_sub(now);
            self.full_at -= lacking.min(tokens * self.token);
        }

        /// How much was forfeited.
        const fn undo(&mut self, tokens: u64, (before, after): (u64, u64)) -> u64 {
            if self.full_at != after {
                return tokens;
            }
            self.full_at = before;
            0
        }
    }

    struct Reserved {
        tokens: [u64; 2],
        windows: [u64; 3],
        burst: (u64, u64),
        buckets: [(u64, u64); 2],
        is_committed: bool,
    }

    struct Model {
        now: u64,
        paused_until: u64,
        windows: [Window; 3],
        burst: Bucket,
        /// Tokens per minute and per day.
        buckets: [Bucket; 2],
        permits: Vec<Reserved>,
        requests: u64,
        tokens: u64,
        forfeited: u64,
    }

    impl Model {
        fn new() -> Self {
            Self {
                now: 0,
                paused_until: 0,
                windows: [
                    Window::new(30, 60),
                    Window::new(100, 3_600),
                    Window::new(150, 86_400),
                ],
                burst: Bucket::new(30, 60, 8),
                buckets: [
                    Bucket::new(6_000, 60, 6_000),
                    Bucket::new(86_400, 86_400, 86_400),
                ],
                permits: Vec::new(),
                requests: 0,
                tokens: 0,
                forfeited: 0,
            }
        }

        fn has_room(&self, tokens: [u64; 2]) -> bool {
            let now = self.now;
            let in_buckets =
                |(bucket, tokens): (&Bucket, u64)| bucket.remaining(now) >= tokens.max(1);
            now >= self.paused_until
                && self.windows.iter().all(|window| window.remaining(now) > 0)
                && self.burst.remaining(now) > 0
                && self.buckets.iter().zip(tokens).all(in_buckets)
        }

        /// Whether a request with so many tokens, or as many as there can be, was admitted.
        fn admit(&mut self, tokens: [u64; 2]) -> Option<Reserved> {
            if !self.has_room(tokens) {
                return None;
            }
            self.requests += 1;
            let now = self.now;
            let [minute, day] = &mut self.buckets;
            Some(Reserved {
                tokens,
                windows: self.windows.each_mut().map(|window| window.charge(now)),
                burst: self.burst.charge(1, now),
                buckets: [minute.charge(tokens[0], now), day.charge(tokens[1], now)],
                is_committed: false,
            })
        }

        fn debit(&mut self, tokens: u64) {
            for bucket in &mut self.buckets {
                bucket.charge(tokens, self.now);
            }
        }

        fn settle(&mut self, permit: &Reserved, used: u64) {
            for (bucket, reserved) in self.buckets.iter_mut().zip(permit.tokens) {
                bucket.charge(used.saturating_sub(reserved), self.now);
                bucket.credit(reserved.saturating_sub(used), self.now);
            }
            self.tokens += used;
        }

        fn drop(&mut self, permit: &Reserved) {
            if permit.is_committed {
                self.tokens += permit.tokens[0];
                return;
            }
            self.requests -= 1;
            for (window, &slot) in self.windows.iter_mut().zip(&permit.windows) {
                self.forfeited += window.undo(slot);
            }
            self.forfeited += self.burst.undo(1, permit.burst);
            for (index, bucket) in self.buckets.iter_mut().enumerate() {
                let missing = bucket.undo(permit.tokens[index], permit.buckets[index]);
                bucket.credit(missing, self.now);
            }
        }

        fn agrees_with(&self, stats: &RateLimitStats) -> Result<(), TestCaseError> {
            let [minute, hour, day] = self
                .windows
                .each_ref()
                .map(|window| window.remaining(self.now));
            let [tokens, tokens_per_day] = self
                .buckets
                .each_ref()
                .map(|bucket| bucket.remaining(self.now));
            prop_assert_eq!(stats.total_requests, self.requests);
            prop_assert_eq!(stats.total_tokens_used, self.tokens);
            prop_assert_eq!(stats.requests_remaining_minute, minute);
            prop_assert_eq!(stats.requests_remaining_hour, hour);
            prop_assert_eq!(stats.requests_remaining_day, Some(day));
            prop_assert_eq!(stats.burst_remaining, self.burst.remaining(self.now));
            prop_assert_eq!(stats.tokens_remaining_minute, tokens);
            prop_assert_eq!(stats.tokens_remaining_day, Some(tokens_per_day));
            let in_flight = u64::try_from(self.permits.len()).expect("few");
            prop_assert_eq!(stats.in_flight, in_flight);
            prop_assert_eq!(stats.forfeited, self.forfeited);
            Ok(())
        }
    }

    /// What a refused request is told: to the nanosecond.
    fn is_honest(
        limiter: &ApiRateLimiter<ManualClock>,
        now: Timestamp,
    ) -> Result<(), TestCaseError> {
        let status = limiter.check_at(now);
        if status.is_limited {
            let wait = status.retry_after;
            prop_assert_eq!(status.wait_time, wait);
            prop_assert!(!limiter.check_at(now + wait).is_limited);
            prop_assert!(limiter.check_at(now + wait.saturating_sub(NANO)).is_limited);
        }
        Ok(())
    }

    fn play(ops: &[Op]) -> Result<(), TestCaseError> {
        let (limiter, clock) = limiter(CONFIG);
        let mut model = Model::new();
        let mut permits: Vec<TokenPermit<'_, ManualClock>> = Vec::new();
        for op in ops {
            match *op {
                Op::Acquire => {
                    let expected = model.admit([0; 2]).is_some();
                    prop_assert_eq!(!limiter.try_acquire().is_limited, expected);
                }
                Op::Record(tokens) => {
                    limiter.record_tokens(tokens);
                    model.debit(tokens);
                    model.tokens += tokens;
                }
                Op::Reserve { tokens, is_guess } => {
                    let (estimate, reserved) = if is_guess {
                        (TokenEstimate::guess(tokens), [tokens.min(6_000), tokens])
                    } else {
                        (tokens.into(), [tokens; 2])
                    };
                    let has_room = model.permits.len() < 3;
                    let expected = has_room.then(|| model.admit(reserved)).flatten();
                    match limiter.reserve_tokens(estimate) {
                        Ok(permit) => {
                            permits.push(permit);
                            prop_assert!(expected.is_some());
                        }
                        Err(status) => {
                            prop_assert!(expected.is_none(), "{status}");
                            prop_assert_eq!(status.is_permanent, reserved[0] > 6_000);
                        }
                    }
                    model.permits.extend(expected);
                }
                Op::Commit(index) if index < permits.len() => {
                    permits[index].commit();
                    model.permits[index].is_committed = true;
                }
                Op::Settle(index, used) if index < permits.len() => {
                    permits.remove(index).settle(used);
                    let permit = model.permits.remove(index);
                    model.settle(&permit, used);
                }
                Op::Drop(index) if index < permits.len() => {
                    drop(permits.remove(index));
                    let permit = model.permits.remove(index);
                    model.drop(&permit);
                }
                Op::Commit(_) | Op::Settle(..) | Op::Drop(_) => {}
                Op::Advance(millis) => {
                    clock.advance(Duration::from_millis(millis));
                    model.now += millis * 1_000_000;
                }
                Op::Pause(millis) => {
                    limiter.pause_for(Duration::from_millis(millis));
                    model.paused_until = model.paused_until.max(model.now + millis * 1_000_000);
                }
            }
            model.agrees_with(&limiter.stats())?;
            is_honest(&limiter, clock.now())?;
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn statistics_equal_a_sequential_model(ops in prop::collection::vec(any_op(), 1..200)) {
            play(&ops)?;
        }

        #[test]
        fn a_refused_reservation_is_told_its_wait_to_the_nanosecond(
            requests in 0..9_u32,
            used in 0..20_000_u64,
            pause in 0..90_000_u64,
            estimate in 0..=6_000_u64,
        ) {
            let (limiter, clock) = limiter(CONFIG);
            (0..requests).for_each(|_| drop(limiter.try_acquire()));
            limiter.record_tokens(used);
            limiter.pause_for(Duration::from_millis(pause));
            if let Err(status) = limiter.reserve_tokens(estimate) {
                clock.advance(status.retry_after.saturating_sub(NANO));
                prop_assert!(limiter.reserve_tokens(estimate).is_err());
                clock.advance(NANO);
                prop_assert!(limiter.reserve_tokens(estimate).is_ok());
            }
        }
    }
}
