//! The token bucket against an ideal one in exact rationals: G1 to G4 over the rates, periods, bursts and clock scripts at
//! which other limiters broke.

use core::time::Duration;

use crate::oracle::{IdealBucket, assert_bound, lateness};
use crate::script::{
    BURSTS, DAY, PERIODS, RATES, SECOND, Step, any_amount, any_quota, any_step, grid,
};
use proptest::prelude::*;
use tidegate::{Denied, ManualClock, Quota, Timestamp, TokenBucket};

#[test]
fn the_grid_is_neither_empty_nor_accepted_whole() {
    let all = RATES.len() * PERIODS.len() * (BURSTS.len() + 1);
    let accepted = grid().len();
    assert!(accepted > all / 2, "{accepted} of {all}");
    assert!(Quota::new(1, PERIODS[10]).is_err());
    assert!(Quota::new(u64::MAX - 58, Duration::from_secs(1)).is_err());
}

/// One call, judged by the ideal bucket, which is charged what the real one admitted.
fn check_call(
    bucket: &TokenBucket<ManualClock>,
    ideal: &mut IdealBucket,
    n: u64,
    now: u64,
) -> Result<Option<Duration>, TestCaseError> {
    let quota = bucket.quota();
    let at = Timestamp::from_nanos(now);
    let available = bucket.available_at(at);
    let before = format!("{bucket:?}");

    let peeked = bucket.peek_at(n, at);
    let wait = bucket.wait_time_at(n, at);
    prop_assert_eq!(&before, &format!("{bucket:?}"), "asking changed something");
    prop_assert_eq!(peeked.is_ok(), n == 0 || n <= available);

    let outcome = bucket.try_acquire_at(n, at);
    prop_assert_eq!(outcome, peeked);
    match outcome {
        Ok(()) => {
            prop_assert_eq!(wait, Some(Duration::ZERO));
            prop_assert!(n == 0 || ideal.admits(n, now), "early: {} at {}", n, now);
            if n > 0 {
                ideal.charge(n, now);
            }
            Ok(None)
        }
        Err(denied) => {
            // But for the mark, which the first decision in half a span raises.
            let state = |debug: &str| debug.split("mark").next().map(String::from);
            let after = format!("{bucket:?}");
            prop_assert_eq!(state(&before), state(&after), "a refusal changed something");
            match denied {
                Denied::Never { capacity } => {
                    prop_assert!(n > capacity);
                    prop_assert_eq!(wait, None);
                    Ok(None)
                }
                Denied::NotYet { retry_after } => {
                    prop_assert!(n <= quota.capacity());
                    prop_assert_eq!(wait, Some(retry_after));
                    if let Some(earlier) = now.checked_sub(lateness(quota)) {
                        prop_assert!(!ideal.admits(n, earlier), "late: {} at {}", n, now);
                    }
                    check_hint(bucket, n, now, retry_after)?;
                    Ok(Some(retry_after))
                }
                _ => Err(TestCaseError::fail(
                    "an outcome that the model does not know",
                )),
            }
        }
    }
}

/// Honest and tight: waiting so long succeeds, a nanosecond less does not, if the clock can show it.
fn check_hint(
    bucket: &TokenBucket<ManualClock>,
    n: u64,
    now: u64,
    retry_after: Duration,
) -> Result<(), TestCaseError> {
    let after = u64::try_from(retry_after.as_nanos()).ok();
    if let Some(then) = after.and_then(|after| now.checked_add(after)) {
        let earlier = Timestamp::from_nanos(then - 1);
        prop_assert!(bucket.peek_at(n, earlier).is_err(), "hint too long");
        let then = Timestamp::from_nanos(then);
        prop_assert!(bucket.peek_at(n, then).is_ok(), "hint too short");
    }
    Ok(())
}

proptest! {
    /// Plan points 1, 3, 5 and 6: never early, late by no more than stated, equal to the ideal where that is stated, hints to
    /// the nanosecond, and refusals that change nothing.
    #[test]
    fn decides_as_the_ideal_bucket(
        quota in any_quota(),
        start in prop_oneof![Just(0), 0..100 * 365 * DAY, Just(1 << 63), Just(u64::MAX - DAY)],
        script in prop::collection::vec((any_step(), any_amount()), 1..60),
    ) {
        let bucket = TokenBucket::with_clock(quota, ManualClock::new());
        let mut ideal = IdealBucket::new(quota);
        let mut hint = Duration::ZERO;
        let mut now: u64 = start;
        let mut history = Vec::new();
        for (step, amount) in script {
            now = now.saturating_add(step.nanos(quota, hint));
            let n = amount.tokens(quota);
            let refused = check_call(&bucket, &mut ideal, n, now)?;
            match refused {
                Some(retry_after) => hint = retry_after,
                None if n <= quota.capacity() => history.push((now, n)),
                None => {}
            }
        }
        assert_bound(quota, &history);
    }

    /// Plan point 4: a clock that goes back, or a thread that holds an older reading, never admits more than a clock that
    /// stood still would.
    #[test]
    fn a_clock_that_steps_back_admits_no_more(
        quota in any_quota(),
        script in prop::collection::vec((prop_oneof![any_step(), Just(Step::Nanos(1 << 63))], any::<bool>(), any_amount()), 1..60),
    ) {
        let bucket = TokenBucket::with_clock(quota, ManualClock::new());
        let mut ideal = IdealBucket::new(quota);
        let (mut now, mut latest, mut hint) = (0_u64, 0_u64, Duration::ZERO);
        for (step, back, amount) in script {
            let nanos = step.nanos(quota, hint);
            now = if back { now.saturating_sub(nanos) } else { now.saturating_add(nanos) };
            latest = latest.max(now);
            let n = amount.tokens(quota);
            match bucket.try_acquire_at(n, Timestamp::from_nanos(now)) {
                Ok(()) if n > 0 => {
                    prop_assert!(ideal.admits(n, latest), "{} at {}, latest {}", n, now, latest);
                    ideal.charge(n, now);
                }
                Err(Denied::NotYet { retry_after }) => hint = retry_after,
                _ => {}
            }
        }
    }

    /// Debits, credits and partial takes keep the level that exact arithmetic gives, to the token.
    #[test]
    fn levels_are_exact(
        rate in 1_u64..1_000,
        burst in 1_u64..1_000,
        script in prop::collection::vec((0_u64..3 * SECOND, 0_u8..5, 0_u64..500), 1..60),
    ) {
        let quota = Quota::per_second(rate).burst(burst);
        let bucket = TokenBucket::with_clock(quota, ManualClock::new());
        let mut ideal = IdealBucket::new(quota);
        let mut now = 0;
        for (step, operation, n) in script {
            now += step;
            let at = Timestamp::from_nanos(now);
            match operation {
                0 => {
                    bucket.debit_at(n, at);
                    if n > 0 {
                        ideal.charge(n, now);
                    }
                }
                1 => {
                    bucket.credit_at(n, at);
                    ideal.credit(n, now);
                }
                2 => {
                    let expected = ideal.available(now).min(n);
                    prop_assert_eq!(bucket.try_acquire_up_to_at(n, at), expected);
                    if expected > 0 {
                        ideal.charge(expected, now);
                    }
                }
                3 => {
                    bucket.reset_at(at);
                    ideal.credit(u64::MAX, now);
                }
                _ => {
                    check_call(&bucket, &mut ideal, n, now)?;
                }
            }
            prop_assert_eq!(bucket.available_at(at), ideal.available(now));
        }
    }
}

/// Plan point 2: polling one unit short of every token must not lose refill.
#[test]
fn polling_loses_no_refill() {
    for quota in [
        Quota::per_second(1).burst(1),
        Quota::per_second(3).burst(10),
        Quota::per_second(1_000_001).burst(10),
        Quota::per_second(70_000_000).burst(300),
        Quota::per_second(300_000_001).burst(300),
        Quota::per_minute(7).burst(10),
    ] {
        let bucket = TokenBucket::with_clock(quota, ManualClock::new());
        let mut ideal = IdealBucket::new(quota);
        bucket.debit_at(quota.capacity(), Timestamp::ZERO);
        ideal.charge(quota.capacity(), 0);
        let interval = quota.period().as_nanos() / u128::from(quota.rate());
        let step = u64::try_from(interval).expect("short").max(3) - 2;
        let (mut real, mut exact) = (0_u64, 0_u64);
        for poll in 1..=100_000_u64 {
            let now = poll * step;
            real += u64::from(bucket.try_acquire_at(1, Timestamp::from_nanos(now)).is_ok());
            if ideal.admits(1, now) {
                ideal.charge(1, now);
                exact += 1;
            }
        }
        assert!(
            real <= exact && exact - real <= 1,
            "{quota}: {real} of {exact}"
        );
    }
}

/// No drift: after centuries of continuous use the bucket is late by no more than at the start.
#[test]
fn no_drift_over_centuries() {
    for quota in [
        Quota::per_second(3),
        Quota::per_second(999_983),
        Quota::per_second(300_000_001),
        Quota::per_day(86_399),
    ] {
        let quota = quota.burst(1_000_000);
        let bucket = TokenBucket::with_clock(quota, ManualClock::new());
        let mut ideal = IdealBucket::new(quota);
        let mut now = 0_u64;
        // Steps of half a refill keep it busy: it never forgets, so every error would show.
        let refill = quota.period().as_nanos() * 1_000_000 / u128::from(quota.rate());
        bucket.debit_at(1_000_000, Timestamp::ZERO);
        ideal.charge(1_000_000, 0);
        for _ in 0..20_000 {
            now += u64::try_from(refill / 2).expect("short");
            let at = Timestamp::from_nanos(now);
            let taken = bucket.try_acquire_up_to_at(u64::MAX, at);
            assert!(ideal.admits(taken, now), "{quota}: early at {now}");
            ideal.charge(taken, now);
            assert!(!ideal.admits(1, now - 2), "{quota}: late at {now}");
        }
    }
}
