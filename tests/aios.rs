//! What the document "AIOS Rate Limiting System" says, statement by statement, in its order: a module for each section.
//!
//! Time is a manual clock, so that nothing here sleeps or depends on how fast it runs. Where an answer differs from what a reader
//! of the Python would take it to be, the test asserts ours and says why.

extern crate alloc;

mod stepped;

use core::cell::{Cell, RefCell};
use core::time::Duration;

use tidegate::{
    ApiRateLimiter, Clock, LimitKind, ManualClock, Quota, RateLimitConfig, SlidingWindow,
    TokenBucket, rate_limited,
};

use stepped::SteppedClock;

const NANO: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// One request at 50 per minute.
const TURN: Duration = Duration::from_millis(1_200);

/// The document's configuration.
const CONFIG: RateLimitConfig = RateLimitConfig {
    requests_per_minute: 50,
    requests_per_hour: 500,
    tokens_per_minute: 100_000,
    burst_size: 10,
    enable_backoff: true,
    ..RateLimitConfig::DEFAULT
};

/// The same, with waits that are known to the nanosecond.
const STEADY: RateLimitConfig = RateLimitConfig {
    enable_backoff: false,
    ..CONFIG
};

fn limiter(config: RateLimitConfig) -> (ApiRateLimiter<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    let limiter = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    (limiter, clock)
}

/// A limiter whose waits end as soon as everybody waits.
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

mod overview {
    use super::*;

    #[test]
    fn four_parts_manage_requests_and_prevent_quota_exhaustion() {
        let clock = ManualClock::new();
        let bucket = TokenBucket::with_clock(Quota::per_second(1), clock.clone());
        assert!(bucket.try_acquire(1).is_ok() && bucket.try_acquire(1).is_err());
        let window = SlidingWindow::with_clock(1, MINUTE, clock).unwrap();
        assert!(window.try_acquire(1).is_ok() && window.try_acquire(1).is_err());

        let one = RateLimitConfig {
            burst_size: 1,
            ..CONFIG
        };
        let (limiter, _) = limiter(one);
        let call = rate_limited(&limiter, |()| "called");
        assert_eq!(call.try_call(()), Ok("called"));
        assert!(call.try_call(()).is_err() && limiter.try_acquire().is_limited);
    }

    /// The document calls it "fixed-window request counting". Ours has no edge: a fixed window admits 200 within two seconds around
    /// one, which is what a provider's limit per minute is there to refuse.
    #[test]
    fn the_window_counts_in_any_minute_not_in_fixed_ones() {
        let clock = ManualClock::new();
        let counter = SlidingWindow::with_clock(100, MINUTE, clock.clone()).unwrap();
        clock.advance(59 * SECOND);
        assert!(counter.try_acquire(100).is_ok());
        clock.advance(2 * SECOND);
        assert!(
            counter.try_acquire(1).is_err(),
            "a new minute began at 60 s"
        );
    }
}

mod token_bucket {
    use super::*;

    /// `TokenBucket(rate=10, capacity=50)`.
    const QUOTA: Quota = Quota::per_second(10).burst(50);
    const TOKEN: Duration = Duration::from_millis(100);

    fn bucket() -> (TokenBucket<ManualClock>, ManualClock) {
        let clock = ManualClock::new();
        (TokenBucket::with_clock(QUOTA, clock.clone()), clock)
    }

    fn drained() -> (TokenBucket<ManualClock>, ManualClock) {
        let (bucket, clock) = bucket();
        bucket.try_acquire(50).expect("it is full");
        (bucket, clock)
    }

    #[test]
    fn it_allows_bursts_and_keeps_to_the_average_in_the_long_run() {
        let (bucket, clock) = bucket();
        assert_eq!(bucket.try_acquire_up_to(u64::MAX), 50, "a burst");
        let mut admitted = 0;
        for _ in 0..1_000 {
            clock.advance(Duration::from_millis(60));
            while bucket.try_acquire(1).is_ok() {
                admitted += 1;
            }
        }
        assert_eq!(admitted, 600, "ten per second, for a minute");
    }

    #[test]
    fn it_holds_tokens_up_to_its_capacity() {
        let (bucket, clock) = bucket();
        clock.advance(60 * MINUTE);
        assert_eq!((bucket.capacity(), bucket.available()), (50, 50));
    }

    #[test]
    fn requests_consume_tokens() {
        let (bucket, _) = bucket();
        bucket.try_acquire(1).unwrap();
        assert_eq!(bucket.available(), 49);
    }

    #[test]
    fn tokens_refill_at_a_steady_rate() {
        let (bucket, clock) = drained();
        for tokens in 1..=50 {
            clock.advance(TOKEN.saturating_sub(NANO));
            assert_eq!(bucket.available(), tokens - 1);
            clock.advance(NANO);
            assert_eq!(bucket.available(), tokens);
        }
        clock.advance(TOKEN);
        assert_eq!(bucket.available(), 50);
    }

    /// `bucket.acquire(blocking=True)`.
    #[test]
    fn without_tokens_a_request_waits() {
        let clock = SteppedClock::default();
        let bucket = TokenBucket::with_clock(QUOTA, clock.clone());
        for _ in 0..50 {
            assert_eq!(bucket.acquire_blocking(1), Ok(()));
        }
        assert_eq!(clock.now() - tidegate::Timestamp::ZERO, Duration::ZERO);
        assert_eq!(
            clock.sleep_in(|| bucket.acquire_blocking(1)),
            (Ok(()), TOKEN)
        );
    }

    /// `bucket.acquire(blocking=False)`.
    #[test]
    fn acquire_without_blocking_says_yes_or_try_again_later() {
        let (bucket, _) = bucket();
        for _ in 0..50 {
            assert_eq!(bucket.try_acquire(1), Ok(()));
        }
        let denied = bucket.try_acquire(1).unwrap_err();
        assert_eq!(denied.retry_after(), Some(TOKEN), "and says how much later");
    }

    #[test]
    fn five_tokens_are_acquired_at_once_or_not_at_all() {
        let (bucket, _) = bucket();
        bucket.try_acquire(42).unwrap();
        assert!(bucket.try_acquire(5).is_ok());
        assert!(bucket.try_acquire(5).is_err());
        assert_eq!(bucket.available(), 3);
    }

    #[test]
    fn available_checks_without_consuming() {
        let (bucket, _) = bucket();
        assert_eq!([(); 3].map(|()| bucket.available()), [50; 3]);
    }

    #[test]
    fn wait_time_is_for_so_many_tokens() {
        let (bucket, clock) = drained();
        assert_eq!(bucket.wait_time(10), Some(SECOND));
        clock.advance(SECOND.saturating_sub(NANO));
        assert!(bucket.try_acquire(10).is_err());
        clock.advance(NANO);
        assert_eq!(bucket.wait_time(10), Some(Duration::ZERO));
        assert!(bucket.try_acquire(10).is_ok());
    }

    /// The document's number would be a wait after which they still cannot be had: a bucket never holds so many.
    #[test]
    fn wait_time_for_more_than_the_capacity_is_never() {
        let (bucket, _) = bucket();
        assert_eq!(bucket.wait_time(51), None);
    }

    #[test]
    fn it_may_start_with_only_five_tokens() {
        let clock = ManualClock::new();
        let bucket = TokenBucket::with_clock(QUOTA, clock.clone()).with_initial(5);
        assert_eq!(bucket.available(), 5);
        clock.advance(SECOND);
        assert_eq!(bucket.available(), 15, "and fills up from there");
    }
}

mod sliding_window {
    use super::*;

    /// `SlidingWindowCounter(limit=100, window_seconds=60)`.
    fn counter() -> (SlidingWindow<ManualClock>, ManualClock) {
        let clock = ManualClock::new();
        let counter = SlidingWindow::with_clock(100, MINUTE, clock.clone()).expect("valid");
        (counter, clock)
    }

    #[test]
    fn it_counts_a_hundred_requests_within_a_minute() {
        let (counter, clock) = counter();
        for _ in 0..100 {
            clock.advance(Duration::from_millis(599));
            assert!(counter.try_acquire(1).is_ok());
        }
        assert!(counter.try_acquire(1).is_err(), "100 in 59.9 s");
    }

    /// `counter.is_allowed()`.
    #[test]
    fn is_allowed_only_looks() {
        let (counter, _) = counter();
        for _ in 0..200 {
            assert!(counter.peek(1).is_ok());
        }
        assert_eq!(counter.current_count(), 0);
    }

    /// `if counter.is_allowed(): counter.record()`. Between the two another thread may take the last place, in Python too; then
    /// our second step refuses, where a plain record would count beyond the limit.
    #[test]
    fn check_and_then_record() {
        let (counter, _) = counter();
        let (mut calls, mut exceeded) = (0, 0);
        for _ in 0..101 {
            if counter.peek(1).is_ok() {
                counter.try_acquire(1).unwrap();
                calls += 1;
            } else {
                exceeded += 1;
            }
        }
        assert_eq!((calls, exceeded), (100, 1));
    }

    /// `if counter.record(): ...`.
    #[test]
    fn record_checks_too_and_says_whether_it_was_allowed() {
        let (counter, _) = counter();
        let recorded = (0..150).filter(|_| counter.try_acquire(1).is_ok());
        assert_eq!(recorded.count(), 100);
        assert_eq!(counter.current_count(), 100, "refusals are not recorded");
    }

    #[test]
    fn remaining_and_current_count() {
        let (counter, clock) = counter();
        counter.try_acquire(30).unwrap();
        assert_eq!((counter.available(), counter.current_count()), (70, 30));
        clock.advance(30 * SECOND);
        counter.try_acquire(20).unwrap();
        assert_eq!((counter.available(), counter.current_count()), (50, 50));
        clock.advance(31 * SECOND);
        assert_eq!((counter.available(), counter.current_count()), (80, 20));
    }

    /// It is exact, to the nanosecond. It may be longer than the document's by a 64th of the window, as we keep the number of
    /// requests in each of 64 slots instead of the time of each request.
    #[test]
    fn wait_time_is_how_long_until_a_request_is_available() {
        let (counter, clock) = counter();
        assert_eq!(counter.wait_time(1), Some(Duration::ZERO));
        counter.try_acquire(100).unwrap();
        let wait = counter.wait_time(1).unwrap();
        assert!(wait >= MINUTE && wait <= MINUTE + MINUTE / 64, "{wait:?}");
        clock.advance(wait.saturating_sub(NANO));
        assert!(counter.peek(1).is_err());
        clock.advance(NANO);
        assert!(counter.try_acquire(1).is_ok());
    }
}

mod api_rate_limiter {
    use super::*;

    /// How many requests are admitted at once, and which limit refuses the next.
    fn at_once(config: RateLimitConfig) -> (u64, Option<LimitKind>) {
        let (limiter, _) = limiter(config);
        for admitted in 0.. {
            let status = limiter.try_acquire();
            if status.is_limited {
                return (admitted, status.limited_by);
            }
        }
        unreachable!("no limit refuses");
    }

    #[test]
    fn requests_per_minute_is_the_most_per_minute() {
        let config = RateLimitConfig {
            burst_size: 1_000,
            ..CONFIG
        };
        assert_eq!(at_once(config), (50, Some(LimitKind::Minute)));
    }

    #[test]
    fn requests_per_hour_is_the_most_per_hour() {
        let config = RateLimitConfig {
            requests_per_minute: 1_000,
            burst_size: 1_000,
            ..CONFIG
        };
        assert_eq!(at_once(config), (500, Some(LimitKind::Hour)));
    }

    #[test]
    fn tokens_per_minute_is_the_most_per_minute() {
        let (limiter, clock) = limiter(STEADY);
        limiter.record_tokens(100_000);
        assert_eq!(limiter.check().limited_by, Some(LimitKind::Tokens));
        clock.advance(MINUTE);
        assert_eq!(limiter.check().tokens_remaining, 100_000);
    }

    #[test]
    fn burst_size_allows_bursts_up_to_it() {
        assert_eq!(at_once(CONFIG), (10, Some(LimitKind::Burst)));
    }

    #[test]
    fn enable_backoff_stretches_the_waits_of_the_limited() {
        for enable_backoff in [true, false] {
            let (limiter, clock) = limiter(RateLimitConfig {
                enable_backoff,
                backoff_seed: Some(1),
                ..CONFIG
            });
            spend(&limiter, 10);
            clock.advance(SECOND);
            let status = limiter.try_acquire();
            assert_eq!(status.wait_time > status.retry_after, enable_backoff);
        }
    }

    #[test]
    fn the_limiter_combines_all_of_them() {
        let (limiter, clock) = limiter(STEADY);
        let mut refused_by = Vec::new();
        // As fast as it is allowed, for a bit more than an hour, and as many tokens as a long prompt has.
        while clock.now().as_nanos() < 3_700_000_000_000 {
            let status = limiter.try_acquire();
            if status.is_limited {
                let kind = status.limited_by.unwrap();
                if !refused_by.contains(&kind) {
                    refused_by.push(kind);
                }
                clock.advance(status.wait_time);
            } else {
                let prompt = if limiter.stats().total_requests == 300 {
                    150_000
                } else {
                    1_500
                };
                limiter.record_tokens(prompt);
            }
        }
        let all = [
            LimitKind::Burst,
            LimitKind::Minute,
            LimitKind::Tokens,
            LimitKind::Hour,
        ];
        assert_eq!(refused_by.len(), 4, "{refused_by:?}");
        assert!(
            all.iter().all(|kind| refused_by.contains(kind)),
            "{refused_by:?}"
        );
    }

    #[test]
    fn a_limiter_has_sensible_defaults() {
        let limiter = ApiRateLimiter::default();
        let config = limiter.config();
        assert_eq!(config.requests_per_minute, 50);
        assert_eq!(config.requests_per_hour, 500);
        assert_eq!(config.tokens_per_minute, 100_000);
        assert_eq!((config.burst_size, config.enable_backoff), (10, true));
        assert_eq!(*config, RateLimitConfig::default());
        assert_eq!(
            *config, CONFIG,
            "the document's example spells the defaults out"
        );
    }

    #[test]
    fn check_tells_the_status_and_changes_nothing() {
        let (limiter, _) = limiter(CONFIG);
        for _ in 0..100 {
            let status = limiter.check();
            assert!(!status.is_limited);
            assert_eq!(status.requests_remaining, 50);
            assert_eq!(status.tokens_remaining, 100_000);
        }
        assert_eq!(limiter.stats().total_requests, 0);
    }

    /// `limiter.acquire(blocking=True)`.
    #[test]
    fn blocking_acquire_waits_and_is_then_not_limited() {
        let (limiter, clock) = stepped(STEADY);
        for _ in 0..10 {
            assert!(!limiter.acquire_blocking().is_limited);
        }
        let (status, slept) = clock.sleep_in(|| limiter.acquire_blocking());
        assert!(!status.is_limited);
        assert_eq!(slept, TURN);
    }

    /// `limiter.acquire(blocking=False)`.
    #[test]
    fn non_blocking_acquire_is_admitted_or_tells_the_wait() {
        let (limiter, clock) = limiter(STEADY);
        spend(&limiter, 10);
        let status = limiter.try_acquire();
        assert!(status.is_limited);
        assert_eq!(status.wait_time, TURN);
        clock.advance(status.wait_time);
        assert!(!limiter.try_acquire().is_limited);
    }
}

mod token_usage {
    use super::*;

    #[test]
    fn tokens_are_recorded_after_the_call() {
        let (limiter, _) = limiter(CONFIG);
        spend(&limiter, 1);
        limiter.record_tokens(1_234);
        assert_eq!(limiter.check().tokens_remaining, 98_766);
        assert_eq!(limiter.stats().total_tokens_used, 1_234);
    }

    #[test]
    fn a_request_is_limited_while_no_token_is_left() {
        let (limiter, clock) = limiter(STEADY);
        limiter.record_tokens(99_999);
        assert!(!limiter.check().is_limited, "one is left");
        limiter.record_tokens(1);
        let status = limiter.try_acquire();
        assert_eq!((status.is_limited, status.tokens_remaining), (true, 0));
        assert_eq!(status.limited_by, Some(LimitKind::Tokens));
        assert_eq!(status.requests_remaining, 50, "which was not charged");
        clock.advance(status.wait_time);
        assert_eq!(limiter.check().tokens_remaining, 1);
        assert!(!limiter.try_acquire().is_limited);
    }

    /// The tokens are used by the time they are recorded, so what was not there is owed: it flows in first.
    #[test]
    fn more_tokens_than_were_left_are_a_debt() {
        let (limiter, clock) = limiter(STEADY);
        limiter.record_tokens(150_000);
        let status = limiter.try_acquire();
        assert_eq!((status.is_limited, status.tokens_remaining), (true, 0));
        let one = MINUTE / 100_000;
        assert_eq!(status.wait_time, MINUTE / 2 + one);
        clock.advance(status.wait_time.saturating_sub(NANO));
        assert!(limiter.try_acquire().is_limited);
        clock.advance(NANO);
        assert!(!limiter.try_acquire().is_limited);
    }
}

mod statistics {
    use super::*;

    #[test]
    fn they_have_the_documents_keys() {
        let (limiter, clock) = limiter(CONFIG);
        spend(&limiter, 3);
        limiter.record_tokens(1_000);
        limiter.record_tokens(500);
        let stats = limiter.stats();
        assert_eq!(stats.total_requests, 3);
        assert_eq!(stats.total_tokens_used, 1_500);
        assert_eq!(stats.requests_remaining_minute, 47);
        assert_eq!(stats.requests_remaining_hour, 497);
        assert_eq!(stats.tokens_remaining_minute, 98_500);

        clock.advance(2 * MINUTE);
        let stats = limiter.stats();
        assert_eq!((stats.total_requests, stats.total_tokens_used), (3, 1_500));
        assert_eq!(stats.requests_remaining_minute, 50);
        assert_eq!(stats.requests_remaining_hour, 497);
        assert_eq!(stats.tokens_remaining_minute, 100_000);
    }

    #[test]
    fn what_was_refused_is_not_a_request() {
        let (limiter, _) = limiter(CONFIG);
        spend(&limiter, 10);
        for _ in 0..100 {
            assert!(limiter.try_acquire().is_limited);
        }
        assert_eq!(limiter.stats().total_requests, 10);
    }
}

mod decorator {
    use super::*;

    #[test]
    fn it_applies_rate_limiting_to_a_function() {
        let (limiter, _) = limiter(CONFIG);
        let call_claude = rate_limited(&limiter, |prompt: &str| format!("answer to {prompt}"));
        assert_eq!(call_claude.call("Hello!"), "answer to Hello!");
        assert_eq!(limiter.stats().total_requests, 1);
    }

    #[test]
    fn the_function_waits_automatically_if_rate_limited() {
        let (limiter, clock) = stepped(STEADY);
        let call_claude = rate_limited(&limiter, |number: u64| number);
        for number in 0..10 {
            assert_eq!(call_claude.call(number), number);
        }
        assert_eq!(clock.sleep_in(|| call_claude.call(10)), (10, TURN));
    }

    #[test]
    fn the_callback_is_invoked_when_rate_limited() {
        let (limiter, clock) = limiter(STEADY);
        let waits = RefCell::new(Vec::new());
        let make_api_call = rate_limited(&limiter, |()| "response").on_limited(|status| {
            waits.borrow_mut().push(status.wait_time);
            clock.advance(status.wait_time); // instead of sleeping
        });
        for _ in 0..10 {
            make_api_call.call(());
        }
        assert!(waits.borrow().is_empty(), "not when it is admitted at once");
        assert_eq!(make_api_call.call(()), "response");
        assert_eq!(*waits.borrow(), [TURN]);
    }

    /// A function has no methods in Rust, so its statistics are the limiter's.
    #[test]
    #[cfg(feature = "macros")]
    fn it_is_an_attribute_too() {
        use std::sync::LazyLock;

        static LIMITER: LazyLock<ApiRateLimiter<ManualClock>> = LazyLock::new(|| limiter(STEADY).0);

        #[rate_limited(LIMITER, on_limited = |status| LIMITER.clock().advance(status.wait_time))]
        fn call_claude(prompt: &str) -> usize {
            prompt.len()
        }

        for _ in 0..11 {
            assert_eq!(call_claude("Hello!"), 6);
        }
        assert_eq!(LIMITER.clock().now() - tidegate::Timestamp::ZERO, TURN);
        assert_eq!(LIMITER.stats().total_requests, 11);
    }

    #[test]
    fn statistics_are_reached_through_the_decorated_function() {
        let (limiter, _) = limiter(CONFIG);
        let my_function = rate_limited(&limiter, |()| ());
        my_function.call(());
        assert_eq!(my_function.stats().total_requests, 1);
        assert_eq!(my_function.stats(), limiter.stats());
    }
}

mod status {
    use super::*;

    #[test]
    fn its_fields_while_not_limited() {
        let (limiter, _) = limiter(CONFIG);
        spend(&limiter, 1);
        limiter.record_tokens(100);
        let status = limiter.check();
        assert!(!status.is_limited);
        assert_eq!(status.wait_time, Duration::ZERO);
        assert_eq!(status.requests_remaining, 49);
        assert_eq!(status.tokens_remaining, 99_900);
        assert_eq!(status.message, "not limited");
    }

    /// The message names the limit, as the document's "Reason" does.
    #[test]
    fn its_fields_while_limited() {
        let (limiter, _) = limiter(CONFIG);
        spend(&limiter, 10);
        let status = limiter.check();
        assert!(status.is_limited);
        assert_eq!(status.wait_time, TURN);
        assert_eq!(status.requests_remaining, 40);
        assert_eq!(status.tokens_remaining, 100_000);
        assert_eq!(
            status.message,
            "burst limit of 10 requests reached, next in 1.2 s"
        );
    }

    /// The Python's is a float; `as_secs_f64` makes one.
    #[test]
    fn wait_time_is_in_seconds_where_seconds_are_printed() {
        let (limiter, _) = limiter(STEADY);
        spend(&limiter, 10);
        let status = limiter.try_acquire();
        assert_eq!(
            format!("Wait {:.2}s", status.wait_time.as_secs_f64()),
            "Wait 1.20s"
        );
    }

    /// The windows are per minute and per hour; what is left is what both have left.
    #[test]
    fn requests_remaining_are_those_left_in_the_current_window() {
        let (limiter, clock) = limiter(RateLimitConfig {
            requests_per_hour: 55,
            burst_size: 100,
            ..STEADY
        });
        spend(&limiter, 50);
        assert_eq!(limiter.check().requests_remaining, 0);
        clock.advance(2 * MINUTE);
        assert_eq!(limiter.stats().requests_remaining_minute, 50);
        assert_eq!(limiter.check().requests_remaining, 5);
    }
}

#[cfg(feature = "global")]
mod global {
    use alloc::sync::Arc;

    use tidegate::{RateLimitConfig, configure_rate_limiter, get_rate_limiter};

    /// One test, as the limiter is one for all tests. It is on the real clock; nothing asserted here is sooner than a minute.
    #[test]
    fn the_global_limiter() {
        let limiter = get_rate_limiter();
        assert_eq!(
            *limiter.config(),
            RateLimitConfig::default(),
            "created with defaults"
        );
        assert!(!limiter.try_acquire().is_limited);

        let config = RateLimitConfig {
            requests_per_minute: 30,
            ..RateLimitConfig::default()
        };
        let configured = configure_rate_limiter(config).unwrap();
        assert_eq!(configured.config().requests_per_minute, 30);
        assert!(
            Arc::ptr_eq(&configured, &get_rate_limiter()),
            "it returns the new limiter"
        );
        assert!(!Arc::ptr_eq(&configured, &limiter));
        assert_eq!(configured.stats().total_requests, 0, "which starts afresh");

        let (limiter1, limiter2) = (get_rate_limiter(), get_rate_limiter());
        assert!(Arc::ptr_eq(&limiter1, &limiter2), "limiter1 is limiter2");
        assert!(!limiter1.try_acquire().is_limited);
        assert_eq!(limiter2.stats().total_requests, 1, "both count the same");

        let zero = RateLimitConfig {
            requests_per_minute: 0,
            ..config
        };
        assert!(configure_rate_limiter(zero).is_err());
        assert!(
            Arc::ptr_eq(&configured, &get_rate_limiter()),
            "a wrong one changes nothing"
        );
    }
}

mod integration {
    use super::*;

    struct Response {
        text: String,
        input_tokens: u64,
        output_tokens: u64,
    }

    /// A model that answers with what it was asked.
    fn create(message: &str) -> Response {
        Response {
            text: message.to_uppercase(),
            input_tokens: 300,
            output_tokens: 700,
        }
    }

    #[test]
    fn a_chat_records_its_usage_waits_its_turn_and_warns() {
        let (limiter, clock) = limiter(RateLimitConfig {
            burst_size: 5,
            ..CONFIG
        });
        let waited = Cell::new(0);
        let chat_with_claude = rate_limited(&limiter, |message: &str| {
            let response = create(message);
            limiter.record_tokens(response.input_tokens + response.output_tokens);
            response
        })
        .on_limited(|status| {
            waited.set(waited.get() + 1);
            clock.advance(status.wait_time);
        });

        let mut warnings = Vec::new();
        for _ in 0..50 {
            let status = limiter.check();
            if status.requests_remaining < 5 {
                warnings.push(format!(
                    "Warning: Only {} requests remaining this minute",
                    status.requests_remaining
                ));
            }
            assert_eq!(chat_with_claude.call("hello").text, "HELLO");
        }
        let stats = chat_with_claude.stats();
        assert_eq!(
            (stats.total_requests, stats.total_tokens_used),
            (50, 50_000)
        );
        assert_eq!(waited.get(), 45, "the first five were a burst");
        // At 50 per minute they all fall in one minute, whatever the backoff added.
        let warning = |left| format!("Warning: Only {left} requests remaining this minute");
        assert_eq!(warnings, [4, 3, 2, 1].map(warning));
    }
}

mod best_practices {
    use super::*;

    #[test]
    fn one_choose_appropriate_limits() {
        let free = RateLimitConfig {
            requests_per_minute: 20,
            requests_per_hour: 200,
            ..RateLimitConfig::default()
        };
        let paid = RateLimitConfig {
            requests_per_minute: 100,
            requests_per_hour: 2_000,
            ..RateLimitConfig::default()
        };
        for (config, minute, hour) in [(free, 20, 200), (paid, 100, 2_000)] {
            let stats = limiter(config).0.stats();
            assert_eq!(stats.requests_remaining_minute, minute);
            assert_eq!(stats.requests_remaining_hour, hour);
        }
    }

    /// The document's `make_request_with_retry`.
    fn request_with_retry(
        limiter: &ApiRateLimiter<ManualClock>,
        max_retries: u32,
        sleep: impl Fn(Duration),
    ) -> Result<&'static str, &'static str> {
        for attempt in 0..max_retries {
            let status = limiter.try_acquire();
            if !status.is_limited {
                return Ok("response");
            }
            if attempt + 1 < max_retries {
                sleep(status.wait_time);
            }
        }
        Err("Max retries exceeded")
    }

    #[test]
    fn two_handle_rate_limits_gracefully() {
        let (limiter, clock) = limiter(CONFIG);
        spend(&limiter, 10);
        let slept = Cell::new(0);
        let sleep = |wait| {
            slept.set(slept.get() + 1);
            clock.advance(wait);
        };
        assert_eq!(request_with_retry(&limiter, 3, sleep), Ok("response"));
        assert_eq!(slept.get(), 1, "one wait of `wait_time` is enough");
    }

    #[test]
    fn two_give_up_after_the_last_retry() {
        let (limiter, clock) = limiter(STEADY);
        spend(&limiter, 10);
        let slept = Cell::new(0);
        // Each time somebody else is faster.
        let sleep = |wait| {
            slept.set(slept.get() + 1);
            clock.advance(wait);
            spend(&limiter, 1);
        };
        let result = request_with_retry(&limiter, 3, sleep);
        assert_eq!(result, Err("Max retries exceeded"));
        assert_eq!(slept.get(), 2, "not after the last attempt");
    }

    /// The document's `log_rate_limit_stats`.
    fn warnings<C: Clock>(limiter: &ApiRateLimiter<C>) -> Vec<String> {
        let stats = limiter.stats();
        let mut warnings = Vec::new();
        if stats.requests_remaining_minute < 10 {
            let left = stats.requests_remaining_minute;
            warnings.push(format!("Low on requests: {left} remaining"));
        }
        if stats.tokens_remaining_minute < 10_000 {
            let left = stats.tokens_remaining_minute;
            warnings.push(format!("Low on tokens: {left} remaining"));
        }
        warnings
    }

    #[test]
    fn three_monitor_usage() {
        let (limiter, _) = limiter(RateLimitConfig {
            burst_size: 50,
            ..CONFIG
        });
        spend(&limiter, 40);
        limiter.record_tokens(90_000);
        assert_eq!(warnings(&limiter), [""; 0]);
        spend(&limiter, 1);
        assert_eq!(warnings(&limiter), ["Low on requests: 9 remaining"]);
        limiter.record_tokens(1);
        assert_eq!(
            warnings(&limiter),
            [
                "Low on requests: 9 remaining",
                "Low on tokens: 9999 remaining"
            ]
        );
    }

    #[test]
    fn four_allow_an_initial_burst_and_back_off_when_limited() {
        let (limiter, clock) = limiter(CONFIG);
        spend(&limiter, 10);
        // Full jitter, up to a ceiling that is a second at first, and grows by the time for which refusals last.
        let waits = [Duration::ZERO, SECOND].map(|lasted| {
            clock.advance(lasted);
            let status = limiter.try_acquire();
            let ceiling = SECOND + lasted;
            assert!(status.wait_time >= status.retry_after, "{status}");
            assert!(status.wait_time <= status.retry_after + ceiling, "{status}");
            status.retry_after
        });
        assert_eq!(waits, [TURN, Duration::from_millis(200)]);
    }

    #[test]
    fn four_without_backoff_the_wait_is_the_bare_one() {
        let (limiter, clock) = limiter(STEADY);
        spend(&limiter, 10);
        for _ in 0..12 {
            let status = limiter.try_acquire();
            assert_eq!(status.wait_time, status.retry_after);
            clock.advance(Duration::from_millis(99));
        }
    }

    #[test]
    fn five_separate_limiters_do_not_share_limits() {
        let (chat_limiter, _) = limiter(RateLimitConfig {
            requests_per_minute: 50,
            ..CONFIG
        });
        let (embedding_limiter, _) = limiter(RateLimitConfig {
            requests_per_minute: 100,
            ..CONFIG
        });
        let chat = rate_limited(&chat_limiter, |message: &str| message.len());
        let embed = rate_limited(&embedding_limiter, |text: &str| text.len());
        for _ in 0..10 {
            chat.call("hello");
        }
        assert!(chat.try_call("hello").is_err());
        assert_eq!(embed.try_call("text"), Ok(4));
        assert_eq!(chat.stats().requests_remaining_minute, 40);
        assert_eq!(embed.stats().requests_remaining_minute, 99);
    }
}

mod thread_safety {
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    /// `ThreadPoolExecutor(max_workers=10)` and `range(100)`. Nobody moves the time while a worker is awake, so what it reads is
    /// the instant of its admission.
    #[test]
    fn a_hundred_tasks_on_ten_threads() {
        const PER_MINUTE: usize = 50;
        const BURST: usize = 10;

        let (limiter, clock) = stepped(RateLimitConfig::default());
        let next_task = AtomicUsize::new(0);
        let admitted = clock.run(10, |_| {
            let mut admitted = Vec::new();
            while next_task.fetch_add(1, Relaxed) < 100 {
                assert!(!limiter.acquire_blocking().is_limited);
                admitted.push(clock.now());
            }
            admitted
        });

        let mut admitted = admitted.concat();
        admitted.sort();
        assert_eq!(admitted.len(), 100);
        assert_eq!(limiter.stats().total_requests, 100);
        for (&first, &next) in admitted.iter().zip(&admitted[PER_MINUTE..]) {
            assert!(next - first > MINUTE, "51 in a minute");
        }
        for (index, &first) in admitted.iter().enumerate() {
            for (count, &last) in (1_u32..).zip(&admitted[index..]) {
                let beyond = count.saturating_sub(u32::try_from(BURST).unwrap());
                assert!(
                    last - first >= TURN * beyond,
                    "{count} in {:?}",
                    last - first
                );
            }
        }
    }

    #[test]
    fn all_components_may_be_shared() {
        const fn shared<T: Send + Sync>() {}
        shared::<TokenBucket>();
        shared::<SlidingWindow>();
        shared::<ApiRateLimiter>();
        shared::<tidegate::RateLimited<&ApiRateLimiter, fn(u64) -> u64>>();
        shared::<tidegate::RateLimitStatus>();
    }
}

mod performance {
    use super::*;

    /// What a `static` holds was not allocated.
    #[test]
    fn a_token_bucket_takes_constant_memory() {
        static BUCKET: TokenBucket = TokenBucket::new(Quota::per_second(1_000_000));
        assert!(BUCKET.try_acquire(1_000_000).is_ok());
        assert!(size_of_val(&BUCKET) <= 256);
    }

    /// The document says O(n), with n requests in the window. Ours does not grow with them: a count for each of 64 slots.
    #[test]
    fn a_window_takes_memory_by_slots_not_by_requests() {
        let window = SlidingWindow::with_clock(1_000_000_000, MINUTE, ManualClock::new()).unwrap();
        assert!(window.try_acquire(1_000_000_000).is_ok());
        assert_eq!(
            (window.slot_count(), window.current_count()),
            (64, 1_000_000_000)
        );
    }

    /// "Token Bucket: smooth rate limiting, burst handling; Sliding Window: strict per-minute limits."
    #[test]
    fn when_to_use_each_strategy() {
        let clock = ManualClock::new();
        let bucket = TokenBucket::with_clock(Quota::per_minute(60), clock.clone());
        let window = SlidingWindow::with_clock(60, MINUTE, clock.clone()).unwrap();
        let admitted = |limiter: &dyn Fn() -> bool| (0..100).filter(|_| limiter()).count();
        let in_bucket = || bucket.try_acquire(1).is_ok();
        let in_window = || window.try_acquire(1).is_ok();

        assert_eq!((admitted(&in_bucket), admitted(&in_window)), (60, 60));
        clock.advance(MINUTE / 2);
        let second_half = (admitted(&in_bucket), admitted(&in_window));
        assert_eq!(second_half, (30, 0), "smooth, and strict");
    }
}

mod troubleshooting {
    use alloc::sync::Arc;

    use super::*;

    #[test]
    fn the_configuration_can_be_checked() {
        let (limiter, _) = limiter(CONFIG);
        assert_eq!(*limiter.config(), CONFIG);
    }

    #[test]
    fn a_larger_burst_size_limits_less_aggressively() {
        let (limiter, _) = limiter(RateLimitConfig {
            burst_size: 20,
            ..CONFIG
        });
        spend(&limiter, 20);
        assert!(limiter.try_acquire().is_limited);
    }

    /// `print(f"State: {status}")` and `print(f"Stats: {limiter.stats}")`.
    #[test]
    fn the_current_state_can_be_printed() {
        let (limiter, _) = limiter(CONFIG);
        spend(&limiter, 10);
        let status = limiter.check();
        assert_eq!(
            status.to_string(),
            "burst limit of 10 requests reached, next in 1.2 s"
        );
        let debug = format!("State: {status:?} Stats: {:?} {limiter:?}", limiter.stats());
        for part in [
            "is_limited: true",
            "wait_time: 1.2s",
            "requests_remaining: 40",
            "tokens_remaining: 100000",
            "limited_by: Some(Burst)",
            "total_requests: 10",
            "requests_remaining_hour: 490",
            "burst_remaining: 0",
            "requests_per_minute: 50",
        ] {
            assert!(debug.contains(part), "{part} is not in {debug}");
        }
    }

    #[test]
    fn a_shared_instance_counts_for_all_and_another_does_not() {
        let (limiter, clock) = limiter(CONFIG);
        let limiter = Arc::new(limiter);
        let other = ApiRateLimiter::with_clock(CONFIG, clock).unwrap();
        let shared = Arc::clone(&limiter);
        spend(&shared, 4);
        assert_eq!(limiter.stats().total_requests, 4);
        assert_eq!(other.stats().total_requests, 0);
    }

    #[test]
    fn a_custom_wait_loop_shows_progress() {
        let (limiter, clock) = limiter(STEADY);
        limiter.record_tokens(104_999);
        let mut progress = Vec::new();
        loop {
            let status = limiter.try_acquire();
            if !status.is_limited {
                break;
            }
            progress.push(format!("{:.1}", status.wait_time.as_secs_f64()));
            clock.advance(SECOND.min(status.wait_time));
        }
        assert_eq!(progress, ["3.0", "2.0", "1.0"]);
    }

    /// "Implement request queuing for smoother throughput": a token bucket is a queue, and knows each caller's turn beforehand.
    #[test]
    fn requests_can_be_queued() {
        let bucket = TokenBucket::with_clock(Quota::per_minute(50).burst(1), ManualClock::new());
        let turns = [(); 3].map(|()| {
            let place = bucket.reserve(1, Duration::MAX).unwrap();
            let delay = place.delay();
            place.commit();
            delay
        });
        assert_eq!(turns, [Duration::ZERO, TURN, 2 * TURN]);
    }
}
