//! Bugs of token buckets, leaky buckets and GCRAs.

use core::mem;
use core::time::Duration;

use tidegate::{Denied, Limiter, Quota, QuotaError, Timestamp};

use crate::{DAY, NANO, SECOND, admitted_of, assert_exact_hint, at, bucket, every};

/// Each refill dropped the fraction of a token, so that frequent polling halved the rate.
#[test]
fn ratelimit_frequent_polling_lost_refill() {
    // Rate, period in seconds, poll interval in nanoseconds, duration in seconds, tokens.
    let table = [
        (1, 1, 1_999, 5, 5),
        (3, 1, 1_333, 5, 15),
        (1, 60, 119_000, 300, 5),
        (1, 3_600, 7_100_000, 18_000, 5),
    ];
    for (rate, period, poll, duration, tokens) in table {
        let quota = Quota::new(rate, Duration::from_secs(period))
            .unwrap()
            .burst(100);
        let bucket = bucket(quota).0.with_initial(0);
        let end = duration * SECOND;
        // The last poll is at the end.
        let polls = (0..end).step_by(poll).chain([end]);
        let admitted = polls.filter(|&now| bucket.try_acquire_at(1, at(now)).is_ok());
        assert_eq!(admitted.count(), tokens, "{quota}, polled every {poll} ns");
    }
}

/// The hint was too short, and then repeated forever.
#[test]
fn ratelimit_hint_was_rounded_down() {
    for (rate, hint) in [(3, 333_333_334), (7, 142_857_143)] {
        let (bucket, clock) = bucket(Quota::per_second(rate).burst(1));
        bucket.try_acquire(1).unwrap();
        let wait = assert_exact_hint(&bucket, 1, Timestamp::ZERO);
        assert_eq!(wait, Duration::from_nanos(hint), "{rate}/s");
        clock.advance(wait);
        assert_eq!(bucket.try_acquire(1), Ok(()), "{rate}/s");
    }
}

#[test]
fn leaky_bucket_interval_was_cut_to_milliseconds() {
    let (bucket, clock) = bucket(every(Duration::from_micros(1_999)).burst(2_000));
    bucket.try_acquire(2_000).unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(admitted_of(2_000, &bucket, at(SECOND)), 500);
}

/// The next deadline counted from the late wake-up.
#[test]
fn leaky_bucket_lateness_added_up() {
    let (bucket, clock) = bucket(Quota::per_second(10).burst(2));
    let late = Duration::from_millis(37);
    bucket.try_acquire(2).unwrap();
    for turn in 1..=1_000_u32 {
        let reservation = bucket.reserve(1, Duration::MAX).unwrap();
        let due = Timestamp::ZERO + Duration::from_millis(100) * turn;
        assert_eq!(reservation.ready_at(), due);
        clock.set(due + late);
        reservation.commit();
    }
}

/// The leaked future owned the timer of all others.
#[test]
fn leaky_bucket_leaked_future_blocked_others() {
    let (bucket, clock) = bucket(Quota::per_second(1));
    bucket.try_acquire(1).unwrap();
    mem::forget(bucket.reserve(1, Duration::MAX).unwrap());
    let second = bucket.reserve(1, Duration::MAX).unwrap();
    assert_eq!(second.delay(), Duration::from_secs(2));
    second.commit();
    clock.advance(Duration::from_secs(3));
    assert_eq!(bucket.try_acquire(1), Ok(()));
}

#[test]
fn throttlecrab_nearly_full_bucket_gave_its_burst_twice() {
    let (bucket, _) = bucket(Quota::per_second(1).burst(10));
    bucket.try_acquire_at(1, Timestamp::ZERO).unwrap();
    let now = at(8_999_000_000);
    assert_eq!(admitted_of(20, &bucket, now), 10);
}

/// A burst of 300 years wrapped, so that the first call was refused.
#[test]
fn throttlecrab_long_burst_wrapped() {
    let (bucket, _) = bucket(every(365 * DAY).burst(300));
    assert_eq!(bucket.try_acquire(1), Ok(()));
    assert!(bucket.try_acquire(300).is_err());
}

/// Read from its source: a division by zero, a hint for an impossible request, a truncated burst.
#[test]
fn throttlecrab_extreme_values_broke() {
    let fast = 1 << 32;
    let (rapid, _) = bucket(Quota::per_second(fast).burst(2));
    assert_eq!(rapid.try_acquire_at(2, at(5)), Ok(()));
    assert!(rapid.try_acquire_at(1, at(5)).is_err());

    let (small, _) = bucket(Quota::per_second(1).burst(10));
    assert_eq!(small.try_acquire(11), Err(Denied::Never { capacity: 10 }));
    assert_eq!(small.wait_time(u64::MAX), None);

    let (large, _) = bucket(Quota::per_second(1_000).burst(fast + 5));
    assert_eq!(large.try_acquire(fast), Ok(()));
    assert_eq!(large.available(), 5);
}

/// A refused call deleted the key with its debt.
#[test]
fn gcra_refusal_deleted_the_debt() {
    let (bucket, _) = bucket(Quota::per_second(2));
    let costs = [1, 1, 3].into_iter().cycle().take(3_000);
    let admitted = costs.filter(|&cost| bucket.try_acquire(cost).is_ok());
    assert_eq!(admitted.count(), 2);
}

#[test]
fn gcra_rounded_interval_enlarged_the_burst() {
    for rate in [70_000, 600_000_000, 2 * SECOND] {
        let (bucket, _) = bucket(Quota::per_second(rate).burst(70_000));
        assert_eq!(admitted_of(71_000, &bucket, at(3)), 70_000, "{rate}/s");
    }
    for rate in [70_000, 100_001, 600_000_000, 2 * SECOND] {
        let (bucket, _) = bucket(Quota::per_second(rate));
        assert_eq!(bucket.try_acquire_up_to(u64::MAX), rate);
        assert_eq!(bucket.try_acquire_up_to(u64::MAX), 0);
    }
    let none = Quota::new(0, Duration::from_secs(1));
    assert_eq!(none, Err(QuotaError::ZeroRate));
}

/// One by one, a whole burst is available at one instant. If the interval is rounded, the last
/// token may come later: by a nanosecond, or by 64 with 300 years of refill.
#[test]
fn gcra_rounded_interval_shortened_the_burst() {
    let table = [
        (Quota::per_second(100_001), true),
        (Quota::per_second(1_000_001).burst(10), false),
        (Quota::per_second(1 << 32).burst(2), false),
        (every(365 * DAY).burst(300), false),
    ];
    for (quota, exact) in table {
        for now in [0, 1, 12_345_678_901] {
            let (bucket, _) = bucket(quota);
            let at_once = u64::from(admitted_of(101_000, &bucket, at(now)));
            assert!(at_once == quota.capacity() || (!exact && at_once + 1 == quota.capacity()));
            let later = u64::from(admitted_of(1, &bucket, at(now + 64)));
            assert!(at_once + later >= quota.capacity(), "{quota} at {now} ns");
        }
    }
}

/// The clock was one millisecond behind.
#[test]
fn better_bucket_stale_clock_got_a_full_bucket() {
    let (bucket, _) = bucket(Quota::per_second(10));
    let ms = |n: u64| at(n * 1_000_000);
    assert_eq!(bucket.try_acquire_at(10, ms(1_000)), Ok(()));
    assert!(bucket.try_acquire_at(10, ms(999)).is_err());
    assert_eq!(admitted_of(10, &bucket, ms(999)), 0);
    assert_eq!(admitted_of(10, &bucket, ms(1_000)), 0);
}

#[test]
fn better_bucket_long_periods_wrapped() {
    for days in [30, 40, 45] {
        let (bucket, clock) = bucket(every(days * DAY));
        bucket.try_acquire(1).unwrap();
        clock.advance((days * DAY).saturating_sub(NANO));
        assert_eq!(
            bucket.wait_time(1),
            Some(Duration::from_nanos(1)),
            "{days} d"
        );
        clock.advance(NANO);
        assert_eq!(bucket.available(), 1, "{days} d");
        clock.advance(DAY);
        assert_eq!(
            (bucket.available(), bucket.try_acquire(1)),
            (1, Ok(())),
            "{days} d"
        );
    }
}

#[test]
fn better_bucket_clock_wrapped_around() {
    let idle_nanos = [(1 << 32) * 1_000_000, 1 << 32, 1 << 60, 1 << 62, 1 << 63];
    for quota in [
        Quota::per_second(10),
        Quota::per_second(1_000_001).burst(10),
    ] {
        for idle in idle_nanos {
            for around in [idle - 1, idle, idle + 1] {
                let (bucket, clock) = bucket(quota);
                bucket.try_acquire(10).unwrap();
                clock.set(at(around));
                assert_eq!(bucket.available(), 10, "{quota} after {around} ns");
                assert_eq!(bucket.try_acquire_up_to(20), 10, "{quota}");
                assert!(bucket.try_acquire(1).is_err(), "{quota}");
            }
        }
    }
}

#[test]
fn async_rate_limiter_abandoned_waits_kept_their_tokens() {
    let (bucket, _) = bucket(Quota::per_second(3).burst(1));
    bucket.try_acquire(1).unwrap();
    for _ in 0..100 {
        assert!(bucket.reserve(1, Duration::from_millis(1)).is_err());
        drop(bucket.reserve(1, Duration::MAX).unwrap());
    }
    assert_eq!(bucket.wait_time(1), Some(Duration::from_nanos(333_333_334)));
}

#[test]
fn async_rate_limiter_dropped_waits_created_tokens() {
    let (bucket, clock) = bucket(Quota::per_second(1));
    bucket.try_acquire(1).unwrap();
    for round in 0..5 {
        drop(bucket.reserve(1, Duration::MAX).unwrap());
        assert!(bucket.try_acquire(1).is_err(), "round {round}");
    }
    // Also after the token of the dropped wait has arrived.
    let late = bucket.reserve(1, Duration::MAX).unwrap();
    clock.advance(Duration::from_millis(1_001));
    drop(late);
    assert!(bucket.try_acquire(1).is_err());
}

#[test]
fn async_rate_limiter_divided_by_zero() {
    let (bucket, _) = bucket(Quota::per_second(2 * SECOND).burst(10));
    assert_eq!(admitted_of(20, &bucket, at(7)), 10);
    assert_eq!(bucket.available_at(at(10)), 6);
}

/// The rest of the last period was added to the burst.
#[test]
fn rater_leftover_exceeded_the_burst() {
    let (bucket, clock) = bucket(Quota::per_second(100));
    clock.advance(Duration::from_millis(1_100));
    assert_eq!(admitted_of(300, &bucket, at(1_100_000_000)), 100);
}

/// An interval of less than a nanosecond became zero, here and in throttlecrab.
#[test]
fn ratelock_short_interval_became_zero() {
    for (rate, now) in [(1_500_000_000, at(1)), (2 * SECOND, Timestamp::ZERO)] {
        let (bucket, _) = bucket(Quota::per_second(rate).burst(1));
        assert_eq!(admitted_of(100_000, &bucket, now), 1, "{rate}/s");
    }
}

/// Whole seconds were rounded down. A hint in nanoseconds can be rounded up.
#[test]
fn tower_governor_retry_after_was_too_short() {
    for quota in ["10/s", "3/2s", "1/1s", "7/min", "1_000_001/s"] {
        let quota: Quota = quota.parse().unwrap();
        let (bucket, clock) = bucket(quota.burst(1));
        bucket.try_acquire(1).unwrap();
        let wait = bucket.try_acquire(1).unwrap_err().retry_after().unwrap();
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        assert!(seconds >= 1, "{quota}");
        clock.advance(Duration::from_secs(seconds));
        assert_eq!(bucket.try_acquire(1), Ok(()), "{quota}");
    }
}

/// A refusal by the second limit stayed charged to the first.
#[test]
fn linkerd2_refusal_charged_the_other_limit() {
    let (total, clock) = bucket(Quota::per_second(100));
    let (noisy, _) = bucket(Quota::per_second(5));
    for _ in 0..1_000 {
        let charge = total.charge_at(1, Timestamp::ZERO).unwrap();
        if noisy.try_acquire(1).is_err() {
            assert_eq!(total.undo(charge), 1);
        }
    }
    assert_eq!(total.available(), 95);
    clock.advance(Duration::from_millis(50));
    assert_eq!(total.available(), 100);
}

/// A client that kept trying was refused forever.
#[test]
fn salvo_refusals_extended_the_wait() {
    let (bucket, clock) = bucket(Quota::per_second(10).burst(2));
    bucket.try_acquire(2).unwrap();
    for _ in 0..99 {
        assert!(bucket.try_acquire(1).is_err());
        clock.advance(Duration::from_millis(1));
    }
    clock.advance(Duration::from_millis(1));
    assert_eq!(bucket.try_acquire(1), Ok(()));
}

/// The rates were near one per nanosecond.
#[test]
fn tokio_rate_limit_fast_rates_gave_free_tokens() {
    for rate in [SECOND - 1, SECOND, SECOND + 1, 1_250_000_000] {
        let bucket = bucket(Quota::per_second(rate).burst(100)).0.with_initial(0);
        let mut admitted = 0;
        for now in 0..=100_000 {
            admitted += bucket.try_acquire_up_to_at(100, at(now));
            let exact = rate * now / SECOND;
            assert!(
                admitted <= exact && admitted + 3 > exact,
                "{rate}/s at {now} ns: {admitted}"
            );
        }
    }
}

/// One per ten seconds was rounded to whole tokens per second.
#[test]
fn pingap_slow_rate_never_limited() {
    let (bucket, clock) = bucket(every(Duration::from_secs(10)));
    for _ in 0..3 {
        assert_eq!(bucket.try_acquire(1), Ok(()));
        clock.advance(Duration::from_nanos(10 * SECOND - 1));
        assert!(bucket.try_acquire(1).is_err());
        clock.advance(Duration::from_nanos(1));
    }
}
