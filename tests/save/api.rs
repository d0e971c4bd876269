//! The limiter for an API.

use std::time::Duration;

use tidegate::{ApiRateLimiter, LimitKind, ManualClock, RateLimitConfig, RestoreError, Timestamp};

use crate::{SECOND, at, wall};

type Api = ApiRateLimiter<ManualClock>;

const MINIMAL: RateLimitConfig = RateLimitConfig {
    backoff_seed: Some(7),
    ..RateLimitConfig::DEFAULT
};

const ALL: RateLimitConfig = RateLimitConfig {
    requests_per_day: Some(200),
    tokens_per_day: Some(1_000_000),
    input_tokens_per_minute: Some(60_000),
    output_tokens_per_minute: Some(6_000),
    ..MINIMAL
};

fn api(config: RateLimitConfig) -> Api {
    ApiRateLimiter::with_clock(config, ManualClock::new()).unwrap()
}

#[test]
fn limits_and_totals_survive() {
    for config in [MINIMAL, ALL] {
        let before = api(config);
        let now = at(7_200 * SECOND);
        for _ in 0..6 {
            assert!(!before.try_acquire_at(now).is_limited);
        }
        before.record_tokens_at(5_000, now);
        let stats = before.stats_at(now);
        let saved = before.save_at(now, wall(0));

        let after = Api::restore_at(&saved, api(config), Timestamp::ZERO, wall(0)).unwrap();
        assert_eq!(after.stats_at(Timestamp::ZERO), stats);
        // The fast path of four limits is still there, and charges the restored limits.
        for _ in 0..4 {
            assert!(!after.try_acquire_at(Timestamp::ZERO).is_limited);
        }
        let refused = after.try_acquire_at(Timestamp::ZERO);
        assert_eq!(refused.limited_by, Some(LimitKind::Burst));
        assert_eq!(after.stats_at(Timestamp::ZERO).total_requests, 10);
        // A day later all is as new.
        let day = wall(90_000 * SECOND);
        let later = Api::restore_at(&saved, api(config), Timestamp::ZERO, day).unwrap();
        let stats = later.stats_at(Timestamp::ZERO);
        assert_eq!(stats.requests_remaining_hour, 500);
        assert_eq!(stats.tokens_remaining_minute, 100_000);
    }
}

#[test]
fn pause_goes_on() {
    let before = api(MINIMAL);
    before.pause_until(at(100 * SECOND));
    let saved = before.save_at(at(40 * SECOND), wall(0));
    for (passed, left) in [(0, 60), (20, 40), (59, 1), (60, 0), (1_000, 0)] {
        let after = Api::restore_at(&saved, api(MINIMAL), at(5), wall(passed * SECOND)).unwrap();
        let retry_after = after.check_at(at(5)).retry_after();
        assert_eq!(retry_after, Duration::from_secs(left), "{passed}");
    }
    // A pause without an end has none after a restart.
    before.pause_until(Timestamp::MAX);
    let saved = before.save_at(at(0), wall(0));
    let after = Api::restore_at(&saved, api(MINIMAL), at(5), wall(3_600 * SECOND)).unwrap();
    assert_eq!(after.check_at(at(5)).limited_by, Some(LimitKind::Pause));
    after.resume_at(at(6));
    assert!(!after.check_at(at(6)).is_limited);
}

#[test]
fn streak_of_refusals_goes_on() {
    let before = api(MINIMAL);
    before.pause_until(at(10_000 * SECOND));
    // Refusals for 40 s: waits of up to 40 s are added by now.
    for second in 1_000..1_040 {
        assert!(before.try_acquire_at(at(second * SECOND)).is_limited);
    }
    let saved = before.save_at(at(1_040 * SECOND), wall(0));
    let after = Api::restore_at(&saved, api(MINIMAL), at(1_000 * SECOND), wall(SECOND)).unwrap();
    let extra = |api: &Api| {
        let waits = (0..200).map(|nano| {
            let status = api.try_acquire_at(at(1_000 * SECOND + nano));
            status.wait_time().saturating_sub(status.retry_after())
        });
        waits.max().unwrap()
    };
    assert!(extra(&after) > Duration::from_secs(20));
    let new = api(MINIMAL);
    new.pause_until(at(10_000 * SECOND));
    assert!(extra(&new) <= Duration::from_secs(2));
}

#[test]
fn clones_must_not_exist() {
    let saved = api(MINIMAL).save_at(at(0), wall(0));
    let fresh = api(MINIMAL);
    let clone = fresh.clone();
    let restored = Api::restore_at(&saved, fresh, at(0), wall(0));
    assert_eq!(restored.unwrap_err(), RestoreError::Shared);
    assert!(!clone.check_at(at(0)).is_limited);
}
