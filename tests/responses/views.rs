//! What a provider says to remain counts until its reset, a newer response, or what was sent since.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::Future as _;
use core::pin::pin;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use http::StatusCode;
use tidegate::{
    ApiRateLimiter, LimitKind, Limiter as _, ManualClock, RateLimitConfig, TokenEstimate,
    TokenUsage,
};

use super::{Limiter, headers, noon, observe};

const SECOND: Duration = Duration::from_secs(1);
const REQUESTS: &str = "x-ratelimit-remaining-requests";
const REQUESTS_RESET: &str = "x-ratelimit-reset-requests";
const TOKENS: &str = "x-ratelimit-remaining-tokens";
const TOKENS_RESET: &str = "x-ratelimit-reset-tokens";

/// 500 requests per minute, 1 000 000 tokens.
fn limiter() -> Limiter {
    let config = RateLimitConfig {
        requests_per_minute: 500,
        requests_per_hour: 5_000,
        burst_size: 500,
        tokens_per_minute: 1_000_000,
        ..RateLimitConfig::DEFAULT
    };
    ApiRateLimiter::with_clock(config, ManualClock::new()).expect("valid")
}

/// How many of `calls` calls are admitted.
fn admitted(limiter: &Limiter, calls: usize) -> usize {
    (0..calls)
        .filter(|_| !limiter.try_acquire().is_limited)
        .count()
}

fn is_refused_by_provider(limiter: &Limiter) -> Option<Duration> {
    let status = limiter.try_acquire();
    (status.limited_by == Some(LimitKind::Provider)).then_some(status.retry_after())
}

#[test]
fn nothing_left_until_a_reset_stops_calls_until_then() {
    let limiter = limiter();
    observe(&limiter, 200, &[(REQUESTS, "0"), (REQUESTS_RESET, "120ms")]);
    let wait = Duration::from_millis(120);
    assert_eq!(is_refused_by_provider(&limiter), Some(wait));
    let status = limiter.check();
    assert_eq!(
        status.message(),
        "too little left according to the server, retry in 0.2 s"
    );
    assert_eq!((status.requests_remaining, status.is_permanent), (0, false));
    limiter.clock().advance(Duration::from_nanos(119_999_999));
    assert!(is_refused_by_provider(&limiter).is_some());
    limiter.clock().advance(Duration::from_nanos(1));
    assert_eq!(admitted(&limiter, 400), 400);
}

#[test]
fn little_left_lasts_until_the_reset() {
    let limiter = limiter();
    observe(&limiter, 200, &[(REQUESTS, "3"), (REQUESTS_RESET, "60ms")]);
    assert_eq!(admitted(&limiter, 10), 3);
    limiter.clock().advance(Duration::from_millis(60));
    assert_eq!(admitted(&limiter, 400), 400);
}

#[test]
fn newer_response_replaces_what_was_told() {
    let limiter = limiter();
    observe(&limiter, 200, &[(REQUESTS, "1"), (REQUESTS_RESET, "40s")]);
    assert_eq!(admitted(&limiter, 10), 1);
    limiter.clock().advance(10 * SECOND);
    observe(&limiter, 200, &[(REQUESTS, "84"), (REQUESTS_RESET, "40s")]);
    assert_eq!(limiter.stats().requests_remaining_minute, 84);
    assert_eq!(admitted(&limiter, 100), 84);
}

#[test]
fn own_limits_count_as_well() {
    let limiter = super::limiter();
    observe(&limiter, 200, &[(REQUESTS, "84"), (REQUESTS_RESET, "40s")]);
    assert_eq!(admitted(&limiter, 100), 10, "the burst");
}

#[test]
fn responses_count_in_the_order_of_their_dates() {
    let told = |limiter: &Limiter, second: u8, left: &str| {
        let date = format!("Tue, 24 Nov 2026 12:00:{second:02} GMT");
        let pairs = [("date", &*date), (REQUESTS, left), (REQUESTS_RESET, "50s")];
        observe(limiter, 200, &pairs);
        limiter.stats().requests_remaining_minute
    };
    let limiter = limiter();
    assert_eq!(told(&limiter, 10, "40"), 40);
    assert_eq!(told(&limiter, 9, "80"), 40, "older");
    assert_eq!(told(&limiter, 9, "5"), 40, "older");
    assert_eq!(told(&limiter, 10, "39"), 39, "the same second");
    assert_eq!(told(&limiter, 10, "41"), 39, "the same second");
    assert_eq!(told(&limiter, 11, "90"), 90);
    // What has ended is not compared.
    limiter.clock().advance(50 * SECOND);
    assert_eq!(told(&limiter, 2, "7"), 7);
}

#[test]
fn limit_without_a_reset_flows_back_in_its_period() {
    let seconds = Duration::from_secs_f64;
    for (pairs, wait) in [
        // The response tells what flows back in a minute.
        (
            &[(REQUESTS, "0"), ("x-ratelimit-limit-requests", "30")][..],
            2.0,
        ),
        // The configured limits do.
        (&[(REQUESTS, "0")], 0.12),
        (&[("x-ratelimit-remaining-req-minute", "0")], 0.12),
        (&[("x-ratelimit-remaining-requests-1h", "0")], 0.72),
        // Nothing does.
        (&[("x-ratelimit-remaining-requests-day", "0")], 86_400.0),
        (&[("x-ratelimit-remaining-req-month", "0")], 86_400.0),
    ] {
        let limiter = limiter();
        observe(&limiter, 200, pairs);
        let expected = Some(seconds(wait));
        assert_eq!(is_refused_by_provider(&limiter), expected, "{pairs:?}");
        limiter.clock().advance(seconds(wait));
        assert_eq!(admitted(&limiter, 1), 1, "{pairs:?}");
        if wait < 86_400.0 {
            assert_eq!(is_refused_by_provider(&limiter), expected, "{pairs:?}");
        }
    }
    let limiter = limiter();
    let pairs = [(TOKENS, "500"), ("x-ratelimit-limit-tokens", "60000")];
    observe(&limiter, 200, &pairs);
    let refused = limiter.reserve_tokens(2_500).expect_err("500 are left");
    assert_eq!(refused.retry_after(), 2 * SECOND);
    limiter.clock().advance(2 * SECOND);
    let permit = limiter.reserve_tokens(2_500).expect("2 500 are left");
    assert_eq!(limiter.stats().tokens_remaining_minute, 0);
    permit.settle(6_500);
    let refused = limiter
        .reserve_tokens(1_000)
        .expect_err("4 000 are missing");
    assert_eq!(refused.retry_after(), 5 * SECOND);

    // A reset that never comes is bounded.
    let limiter = self::limiter();
    let pairs = [(REQUESTS, "0"), (REQUESTS_RESET, "99999999h")];
    observe(&limiter, 200, &pairs);
    assert_eq!(is_refused_by_provider(&limiter), Some(86_400 * SECOND));
    limiter.resume();
    assert_eq!(admitted(&limiter, 3), 3);
}

#[test]
fn several_limits_count_each_for_itself() {
    let limiter = limiter();
    let pairs = [
        (REQUESTS, "5"),
        (REQUESTS_RESET, "10s"),
        ("x-ratelimit-remaining-requests-day", "2"),
        ("x-ratelimit-reset-requests-day", "1s"),
        (TOKENS, "0"),
        (TOKENS_RESET, "100ms"),
    ];
    observe(&limiter, 200, &pairs);
    assert_eq!(
        is_refused_by_provider(&limiter),
        Some(Duration::from_millis(100))
    );
    limiter.clock().advance(Duration::from_millis(100));
    assert_eq!(admitted(&limiter, 10), 2);
    limiter.clock().advance(SECOND);
    assert_eq!(admitted(&limiter, 10), 3);
    assert_eq!(
        is_refused_by_provider(&limiter),
        Some(Duration::from_millis(8_900))
    );
}

#[test]
fn draft_of_the_ietf_is_read() {
    let limiter = limiter();
    observe(&limiter, 200, &[("ratelimit", r#""default";r=0;t=7"#)]);
    assert_eq!(is_refused_by_provider(&limiter), Some(7 * SECOND));
    let limiter = self::limiter();
    let lists = [
        ("ratelimit", r#""a";r=50;t=9, "b";r=3;t=5"#),
        ("ratelimit", "c;r=4"),
        ("ratelimit-remaining", "8"),
        ("ratelimit-reset", "2"),
    ];
    observe(&limiter, 200, &lists);
    assert_eq!(admitted(&limiter, 10), 3);
    let limiter = self::limiter();
    let seventh = ("ratelimit", "limit=100, remaining=2, reset=5");
    observe(&limiter, 200, &[seventh]);
    assert_eq!(admitted(&limiter, 10), 2);
    assert_eq!(is_refused_by_provider(&limiter), Some(5 * SECOND));
    assert_eq!(limiter.stats().unreadable, 0);
    assert_eq!(limiter.stats().unreadable, 0);
    for value in [
        "",
        "default",
        "r=0",
        "\"a",
        "(\"a\")",
        r#""a";r=-1"#,
        r#""a";r=x"#,
    ] {
        let limiter = self::limiter();
        observe(&limiter, 200, &[("ratelimit", value)]);
        assert_eq!(admitted(&limiter, 10), 10, "{value}");
        let is_empty = value.is_empty();
        assert_eq!(limiter.stats().unreadable, u64::from(!is_empty), "{value}");
    }
}

#[test]
fn calls_in_flight_count_against_what_remains() {
    let limiter = limiter();
    let mut permits: Vec<_> = (0..6)
        .map(|_| limiter.reserve_tokens(1_000).expect("there is room"))
        .collect();
    // The first call returns. The five others may or may not have been seen by the server.
    permits.pop().expect("a permit").settle(700);
    let pairs = [
        (REQUESTS, "8"),
        (REQUESTS_RESET, "30s"),
        (TOKENS, "7000"),
        (TOKENS_RESET, "30s"),
    ];
    observe(&limiter, 200, &pairs);
    assert_eq!(limiter.stats().requests_remaining_minute, 3);
    assert_eq!(limiter.stats().tokens_remaining_minute, 2_000);
    // What a call did not use comes back. Its request does not: the server may have counted it.
    permits.pop().expect("a permit").settle(400);
    assert_eq!(limiter.stats().requests_remaining_minute, 3);
    assert_eq!(limiter.stats().tokens_remaining_minute, 2_600);
    // A call that was never sent comes back whole.
    drop(permits.pop());
    assert_eq!(limiter.stats().requests_remaining_minute, 4);
    assert_eq!(limiter.stats().tokens_remaining_minute, 3_600);
    // One that was sent and not settled keeps its estimate.
    let mut sent = permits.pop().expect("a permit");
    sent.commit();
    drop(sent);
    assert_eq!(limiter.stats().tokens_remaining_minute, 3_600);

    let too_many = limiter.reserve_tokens(3_601).expect_err("too many");
    assert_eq!(too_many.limited_by, Some(LimitKind::Provider));
    let permit = limiter.reserve_tokens(3_600).expect("there are as many");
    assert_eq!(is_refused_by_provider(&limiter), Some(30 * SECOND));
    permit.settle(TokenUsage::new(100, 0));
    assert_eq!(limiter.stats().tokens_remaining_minute, 3_500);
    limiter.record_tokens(4_000);
    assert_eq!(limiter.stats().tokens_remaining_minute, 0);
}

#[test]
fn response_of_a_permit_does_not_count_the_call_itself() {
    let limiter = limiter();
    let mut own = limiter.reserve_tokens(20_000).expect("there is room");
    let other = limiter.reserve_tokens(5_000).expect("there is room");
    let pairs = headers(&[(REQUESTS, "9"), (TOKENS, "30000"), (TOKENS_RESET, "30s")]);
    own.observe_response_at(StatusCode::OK, &pairs, limiter.now(), noon());
    let left = |limiter: &Limiter| {
        let stats = limiter.stats();
        (
            stats.requests_remaining_minute,
            stats.tokens_remaining_minute,
        )
    };
    assert_eq!(left(&limiter), (8, 25_000));
    // What it did not use may be excluded from what remains already.
    own.settle(1_000);
    assert_eq!(left(&limiter), (8, 25_000));
    other.settle(7_000);
    assert_eq!(left(&limiter), (8, 23_000));

    let mut long = limiter.reserve_tokens(3_000).expect("there is room");
    long.observe_response_at(StatusCode::OK, &pairs, limiter.now(), noon());
    assert_eq!(left(&limiter), (9, 30_000));
    long.settle(5_000);
    assert_eq!(left(&limiter), (9, 28_000), "2 000 beyond the estimate");
}

#[test]
fn guess_goes_as_long_as_something_is_left() {
    let limiter = limiter();
    observe(&limiter, 200, &[(TOKENS, "100"), (TOKENS_RESET, "9s")]);
    let guess = TokenEstimate::guess(400_000);
    let permit = limiter.reserve_tokens(guess).expect("100 are left");
    let refused = limiter.reserve_tokens(guess).expect_err("none is left");
    assert_eq!(refused.limited_by, Some(LimitKind::Provider));
    permit.settle(30);
    assert_eq!(limiter.stats().tokens_remaining_minute, 70);
}

#[test]
fn charges_and_queries_of_the_limiter_trait_see_what_was_told() {
    let limiter = limiter();
    observe(&limiter, 200, &[(REQUESTS, "4"), (REQUESTS_RESET, "9s")]);
    assert_eq!(limiter.available_at(limiter.now()), 4);
    assert!(!limiter.is_unused_at(limiter.now()));
    let charge = limiter.charge_at(3, limiter.now()).expect("4 are left");
    assert!(limiter.peek_at(2, limiter.now()).is_err());
    assert_eq!(limiter.undo(charge), 3);
    // The server may have seen it.
    assert_eq!(limiter.available_at(limiter.now()), 1);
    limiter.clock().advance(9 * SECOND);
    assert_eq!(limiter.available_at(limiter.now()), 500);
}

#[test]
fn hostile_values_stop_nobody_for_long() {
    let limiter = limiter();
    let many: Vec<String> = (0..1_000)
        .map(|n| format!("x-ratelimit-remaining-req-{n}"))
        .collect();
    let mut fields = http::HeaderMap::new();
    for name in &many {
        let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
        fields.insert(name, "18446744073709551615".parse().expect("a value"));
    }
    let now = limiter.now();
    limiter.observe_response_at(StatusCode::OK, &fields, now, noon());
    assert_eq!(admitted(&limiter, 10), 10);
    for value in ["-1", "1e9", "NaN", "\u{e9}", "0x10", " "] {
        let before = limiter.stats().unreadable;
        observe(&limiter, 200, &[(REQUESTS, value), (REQUESTS_RESET, value)]);
        assert_eq!(limiter.stats().unreadable, before + 2, "{value}");
    }
    assert_eq!(admitted(&limiter, 10), 10);
}

#[test]
fn waiter_goes_when_a_newer_response_leaves_more() {
    #[derive(Default)]
    struct Wakes(AtomicUsize);
    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    let limiter = limiter();
    observe(&limiter, 200, &[(REQUESTS, "0"), (REQUESTS_RESET, "50s")]);
    let count = Arc::new(Wakes::default());
    let waker = Waker::from(count.clone());
    let mut context = Context::from_waker(&waker);
    let never = |_: Duration| core::future::pending::<()>();
    let mut request = pin!(limiter.acquire().timer(never));
    let mut tokens = pin!(limiter.acquire_tokens(100).timer(never));
    assert!(request.as_mut().poll(&mut context).is_pending());
    assert!(tokens.as_mut().poll(&mut context).is_pending());

    observe(&limiter, 200, &[(REQUESTS, "2"), (REQUESTS_RESET, "50s")]);
    assert!(count.0.load(Relaxed) > 0);
    let status = match request.as_mut().poll(&mut context) {
        Poll::Ready(status) => status,
        Poll::Pending => panic!("2 are left"),
    };
    assert!(!status.is_limited);
    let permit = tokens.as_mut().poll(&mut context);
    assert!(matches!(permit, Poll::Ready(Ok(_))));
    assert!(limiter.try_acquire().is_limited);
}

#[test]
fn timeout_that_cannot_be_met_is_refused_at_once() {
    let limiter = limiter();
    observe(&limiter, 200, &[(REQUESTS, "0"), (REQUESTS_RESET, "50s")]);
    let status = limiter.acquire().timeout(49 * SECOND).wait();
    assert_eq!(status.limited_by, Some(LimitKind::Provider));
    assert_eq!(status.retry_after(), 50 * SECOND);
}

#[test]
fn refusal_that_says_when_to_come_back_is_believed() {
    let limiter = limiter();
    let pairs = [
        ("retry-after", "6"),
        (REQUESTS, "0"),
        (REQUESTS_RESET, "24h0m0s"),
        (TOKENS, "500"),
        (TOKENS_RESET, "60s"),
    ];
    observe(&limiter, 429, &pairs);
    limiter.clock().advance(6 * SECOND);
    assert!(limiter.reserve_tokens(500).is_ok());
    let refused = limiter.reserve_tokens(501).expect_err("500 are left");
    assert_eq!(refused.limited_by, Some(LimitKind::Provider), "not used up");
}

#[test]
fn reset_that_has_passed_replaces_what_was_told() {
    for reset in ["0s", "0", "2026-11-24T11:59:59Z"] {
        let limiter = limiter();
        observe(&limiter, 200, &[(TOKENS, "0"), (TOKENS_RESET, "60s")]);
        observe(&limiter, 200, &[(TOKENS, "900000"), (TOKENS_RESET, reset)]);
        assert_eq!(admitted(&limiter, 10), 10, "{reset}");
    }
}

#[test]
fn ever_new_limits_are_not_all_kept() {
    let limiter = limiter();
    for response in 0..200 {
        let mut fields = http::HeaderMap::new();
        for n in 0..40 {
            let name = format!("x-ratelimit-remaining-req-{response}-{n}");
            let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
            fields.insert(name, "1000".parse().expect("a value"));
        }
        limiter.observe_response_at(StatusCode::OK, &fields, limiter.now(), noon());
    }
    // One that is known is still replaced.
    observe(&limiter, 200, &[("x-ratelimit-remaining-req-0-0", "3")]);
    observe(&limiter, 200, &[(REQUESTS, "0")]);
    let admitted = admitted(&limiter, 10);
    assert!(admitted == 3 || admitted == 10, "{admitted}");
}

#[test]
fn huge_numbers_of_tokens_do_not_stay_in_flight() {
    let limiter = limiter();
    for _ in 0..5 {
        let mut permit = limiter.reserve_tokens(1_000).expect("there is room");
        for _ in 0..3 {
            permit.report(u64::MAX);
        }
        permit.settle(7);
        limiter.resume();
    }
    observe(&limiter, 200, &[(TOKENS, "5000"), (TOKENS_RESET, "60s")]);
    assert_eq!(limiter.stats().tokens_remaining_minute, 5_000);
    drop(limiter.reserve_tokens(5_000).expect("there is room"));

    // A hint is never in the past, whatever is told.
    let config = RateLimitConfig::UNLIMITED;
    let limiter = ApiRateLimiter::with_clock(config, ManualClock::new()).expect("valid");
    let most = "18446744073709551615";
    let pairs = [(TOKENS, "0"), ("x-ratelimit-limit-tokens", most)];
    observe(&limiter, 200, &pairs);
    limiter.record_tokens(u64::MAX);
    limiter.record_tokens(u64::MAX);
    limiter.clock().advance(SECOND);
    let status = limiter.try_acquire();
    assert_eq!(status.limited_by, Some(LimitKind::Provider));
    assert!(status.retry_after() > SECOND, "{status}");
}

#[test]
fn guess_whose_input_is_reported_is_no_debt() {
    let limiter = limiter();
    let guess = TokenEstimate::guess(TokenUsage::new(2_000, 5_000_000));
    let mut permit = limiter.reserve_tokens(guess).expect("capped");
    assert_eq!(limiter.stats().tokens_remaining_minute, 0);
    permit.report(TokenUsage::new(2_000, 0));
    permit.report(TokenUsage::new(0, 100));
    drop(permit);
    assert_eq!(limiter.stats().tokens_remaining_minute, 1_000_000 - 2_100);
}
