use super::*;

#[test]
fn settling_for_less_returns_the_rest() {
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
    assert_eq!(status.retry_after(), TOKEN * 501);
    assert_eq!(limiter.stats().total_tokens_used, 1_500);
    clock.advance(status.retry_after());
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
fn returned_tokens_never_exceed_the_limit() {
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
fn dropped_committed_permit_keeps_its_estimate() {
    let (limiter, _) = limiter(THOUSAND);
    let mut permit = limiter.reserve_tokens(800).unwrap();
    permit.commit();
    assert_eq!(limiter.stats().total_tokens_used, 0, "not yet settled");
    drop(permit);
    let stats = limiter.stats();
    assert_eq!((stats.total_requests, stats.total_tokens_used), (1, 800));
    assert_eq!((stats.tokens_remaining_minute, stats.in_flight), (200, 0));
}

#[test]
fn committed_permit_can_be_settled_but_not_canceled() {
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

/// The tokens come back as a credit. The request comes back exactly or not at all.
#[test]
fn late_cancel_returns_tokens_and_forfeits_the_request() {
    let (limiter, _) = limiter(THOUSAND);
    let first = limiter.reserve_tokens(500).unwrap();
    let second = limiter.reserve_tokens(100).unwrap();
    assert!(!first.cancel(), "the burst is forfeited");
    let stats = limiter.stats();
    assert_eq!(stats.tokens_remaining_minute, 900);
    assert_eq!(stats.forfeited, 1);
    assert_eq!(
        stats.requests_remaining_minute, 49,
        "the windows only count"
    );
    assert_eq!(stats.total_requests, 1);

    // The credit has changed the level since.
    assert!(second.cancel());
    let stats = limiter.stats();
    assert_eq!((stats.tokens_remaining_minute, stats.forfeited), (1_000, 1));
}

/// A token burst below the minute's tokens is also the largest estimate of one call.
#[test]
fn tokens_can_have_a_separate_burst() {
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

/// The message states the configured rate, not the capacity.
#[test]
fn message_states_the_configured_rate() {
    let (limiter, _) = limiter(RateLimitConfig {
        token_burst_size: Some(100),
        ..THOUSAND
    });
    limiter.record_tokens(100);
    let status = limiter.check();
    assert_eq!(status.limited_by, Some(LimitKind::Tokens));
    assert!(
        status
            .message()
            .to_string()
            .starts_with("minute limit of 1000 tokens reached"),
        "{status}"
    );
}

/// A wrong count neither wraps the statistics nor closes the limiter forever.
#[test]
fn operator_can_resume_after_a_wrong_count() {
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

/// An undo on the wrong limiter breaks nothing.
#[test]
fn foreign_charge_breaks_nothing() {
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

/// Unlike a cancel, it counts as a request that used no tokens.
#[test]
fn settling_for_zero_returns_tokens_and_counts_a_request() {
    let (limiter, _) = limiter(THOUSAND);
    let first = limiter.reserve_tokens(500).unwrap();
    limiter.reserve_tokens(100).unwrap().settle(100);
    first.settle(0);
    let stats = limiter.stats();
    assert_eq!((stats.tokens_remaining_minute, stats.forfeited), (900, 0));
    assert_eq!(stats.total_requests, 2);
}

#[test]
fn request_in_a_past_slot_is_forfeited() {
    let (limiter, clock) = limiter(THOUSAND);
    let permit = limiter.reserve_tokens(500).unwrap();
    clock.advance(MINUTE / 64);
    spend(&limiter, 1); // rotates the windows
    assert!(!permit.cancel());
    assert_eq!(limiter.stats().requests_remaining_minute, 48);
}

#[test]
fn permit_is_in_flight_until_it_ends() {
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
fn permit_debug_shows_its_state() {
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

#[test]
fn tokens_are_charged_while_they_are_reported() {
    let config = RateLimitConfig {
        output_tokens_per_minute: Some(500),
        ..THOUSAND
    };
    let (limiter, _) = limiter(config);
    let mut permit = limiter
        .reserve_tokens(TokenUsage::new(100, 200))
        .expect("there is room");
    assert_eq!(tokens_left(&limiter), 700);
    permit.report(TokenUsage::new(0, 150));
    assert_eq!(tokens_left(&limiter), 700, "within the estimate");
    permit.report(TokenUsage::new(0, 150));
    assert_eq!(limiter.check().tokens_remaining, 200, "of output tokens");
    assert_eq!(tokens_left(&limiter), 600);
    permit.settle(TokenUsage::new(120, 310));
    assert_eq!(tokens_left(&limiter), 570);
    assert_eq!(limiter.check().tokens_remaining, 190);
    assert_eq!(limiter.stats().total_tokens_used, 430);

    // Less than was reported, such as tokens of a cache.
    let mut permit = limiter.reserve_tokens(10).expect("there is room");
    permit.report(100);
    assert_eq!(tokens_left(&limiter), 470);
    permit.settle(40);
    assert_eq!(tokens_left(&limiter), 530);
    assert_eq!(limiter.stats().total_tokens_used, 470);
}

#[test]
fn dropped_stream_is_settled_with_what_was_reported() {
    for (estimate, reports, used) in [
        // The input is that of the estimate, unless it is reported.
        (
            TokenUsage::new(100, 200),
            &[TokenUsage::new(0, 30)][..],
            130,
        ),
        (
            TokenUsage::new(100, 200),
            &[TokenUsage::new(90, 0), TokenUsage::new(0, 30)],
            120,
        ),
        (TokenUsage::new(100, 200), &[TokenUsage::new(90, 0)], 290),
        (TokenUsage::new(100, 200), &[TokenUsage::new(0, 250)], 350),
        // Numbers without a split.
        (300.into(), &[20.into(), 30.into()], 50),
        (300.into(), &[400.into()], 400),
    ] {
        let (limiter, _) = limiter(THOUSAND);
        let mut permit = limiter.reserve_tokens(estimate).expect("there is room");
        for &report in reports {
            permit.report(report);
        }
        assert!(!permit.cancel(), "it was sent");
        assert_eq!(tokens_left(&limiter), 1_000 - used, "{estimate:?}");
        assert_eq!(limiter.stats().total_tokens_used, used);
        assert_eq!(limiter.stats().in_flight, 0);
    }
}

#[test]
fn guess_is_settled_as_it_was_charged_when_the_limit_changes() {
    let (limiter, _) = limiter(THOUSAND);
    let permit = limiter
        .reserve_tokens(TokenEstimate::guess(5_000))
        .expect("capped at 1 000");
    let more = RateLimitConfig {
        tokens_per_minute: 4_000,
        ..THOUSAND
    };
    limiter.reconfigure(more).expect("the same limits");
    assert_eq!(tokens_left(&limiter), 0);
    permit.settle(200);
    assert_eq!(tokens_left(&limiter), 800, "of 1 000 that were charged");
}
