use alloc::sync::Arc;

use super::*;

/// The interval of [`THOUSAND`]'s requests per minute.
const TURN: Duration = Duration::from_millis(1_200);

#[test]
fn pause_refuses_every_call_until_its_end() {
    let (limiter, clock) = limiter(THOUSAND);
    limiter.pause_for(30 * SECOND);
    let status = limiter.try_acquire();
    assert_eq!(status.limited_by, Some(LimitKind::Pause));
    assert_eq!(status.wait_time(), 30 * SECOND);
    assert_eq!(status.message(), "paused by the server, retry in 30.0 s");
    assert_eq!(limiter.check(), status);
    let refused = limiter.reserve_tokens(1).unwrap_err();
    assert_eq!(refused.limited_by, Some(LimitKind::Pause));
    clock.advance((30 * SECOND).saturating_sub(NANO));
    assert!(limiter.try_acquire().is_limited);
    clock.advance(NANO);
    assert!(!limiter.try_acquire().is_limited);
}

#[test]
fn pause_is_not_shortened() {
    let (limiter, clock) = limiter(THOUSAND);
    limiter.pause_for(MINUTE);
    limiter.pause_for(SECOND);
    assert_eq!(limiter.check().wait_time(), MINUTE);
    limiter.pause_until(clock.now() + 2 * MINUTE);
    assert_eq!(limiter.check().wait_time(), 2 * MINUTE);
}

#[test]
fn zero_and_endless_pauses() {
    let (limiter, _) = limiter(THOUSAND);
    limiter.pause_for(Duration::ZERO);
    assert!(!limiter.check().is_limited);
    limiter.pause_for(Duration::MAX);
    assert!(limiter.check().is_limited);
}

#[test]
fn limit_that_outlasts_the_pause_is_named() {
    let (limiter, clock) = limiter(THOUSAND);
    limiter.record_tokens(2_000);
    limiter.pause_for(30 * SECOND);
    let status = limiter.check();
    assert_eq!(status.limited_by, Some(LimitKind::Tokens));
    clock.advance(status.wait_time());
    assert!(!limiter.check().is_limited);
}

#[test]
fn pause_applies_to_all_callers() {
    let (limiter, clock) = stepped(THOUSAND);
    let limiter = Arc::new(limiter);
    let other = Arc::clone(&limiter);
    other.pause_for(30 * SECOND);
    assert_eq!(limiter.check().limited_by, Some(LimitKind::Pause));
    let mut admitted = clock.run(4, |_| {
        assert!(!limiter.acquire().wait().is_limited);
        clock.now()
    });
    // One after the other, with gaps of at most the interval of the requests per minute.
    admitted.sort_unstable();
    let mut before = tidegate::Timestamp::ZERO + 30 * SECOND;
    for admitted_at in admitted {
        assert!(admitted_at >= before, "in the pause");
        assert!(admitted_at - before <= TURN, "{:?}", admitted_at - before);
        before = admitted_at;
    }
}

/// A sleeping thread checks again when it wakes up.
#[test]
fn pause_reaches_sleeping_waiters() {
    let (limiter, clock) = stepped(RateLimitConfig {
        burst_size: 1,
        ..THOUSAND
    });
    spend(&limiter, 1);
    let ended = clock.run(2, |thread| {
        if thread == 0 {
            assert!(!limiter.acquire().wait().is_limited);
        } else {
            clock.sleep_until(tidegate::Timestamp::ZERO + SECOND);
            limiter.pause_for(MINUTE);
        }
        clock.now() - tidegate::Timestamp::ZERO
    });
    assert_eq!(ended[1], SECOND);
    let ramp = MINUTE + SECOND..=MINUTE + SECOND + TURN;
    assert!(ramp.contains(&ended[0]), "{:?}", ended[0]);
}
