//! Token buckets against an exact level.

use std::time::Duration;

use proptest::prelude::*;
use tidegate::{ManualClock, Quota, RestoreError, TokenBucket};

use crate::{SECOND, at, wall};

type Bucket = TokenBucket<ManualClock>;

fn bucket(quota: Quota) -> Bucket {
    TokenBucket::with_clock(quota, ManualClock::new())
}

/// A level as an exact fraction of a token, which may be negative.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// In parts of a token.
    level: i128,
    /// Parts per token.
    parts: i128,
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Level {
    fn full(quota: Quota) -> Self {
        Self {
            level: i128::from(quota.capacity()),
            parts: 1,
        }
    }

    /// The level under `quota` after `nanos`.
    fn after(self, nanos: u64, quota: Quota) -> Self {
        let period = i128::try_from(quota.period().as_nanos()).unwrap();
        let parts = self.parts / gcd(self.parts, period) * period;
        let flown = i128::from(nanos) * i128::from(quota.rate());
        // Saturates far above any capacity.
        let flown = flown.saturating_mul(parts / period);
        let level = (self.level * (parts / self.parts)).saturating_add(flown);
        let level = level.min(i128::from(quota.capacity()) * parts);
        Self { level, parts }
    }

    /// The level with this many nanoseconds of refill less.
    fn earlier(self, nanos: u64, quota: Quota) -> Self {
        let period = i128::try_from(quota.period().as_nanos()).unwrap();
        let parts = self.parts / gcd(self.parts, period) * period;
        let refill = i128::from(nanos) * i128::from(quota.rate()) * (parts / period);
        let level = self.level * (parts / self.parts) - refill;
        Self { level, parts }
    }

    fn minus(self, tokens: u64) -> Self {
        Self {
            level: self.level - i128::from(tokens) * self.parts,
            ..self
        }
    }

    fn available(self) -> u64 {
        u64::try_from(self.level.div_euclid(self.parts)).unwrap_or(0)
    }

    fn debt(self) -> u64 {
        let debt = (-self.level).max(0);
        u64::try_from((debt + self.parts - 1) / self.parts).unwrap()
    }
}

/// Small numbers, so that levels are exact in 128 bits, and bursts of which none is too large.
fn quotas() -> impl Strategy<Value = Quota> {
    let rates = prop_oneof![1_u64..20, Just(100_001), Just(999_983), Just(1_500_000)];
    let periods = prop_oneof![
        1_u64..20,
        Just(SECOND),
        Just(60 * SECOND),
        Just(7 * SECOND / 3)
    ];
    let bursts = prop_oneof![1_u64..20, Just(1_000_000)];
    (rates, periods, bursts).prop_filter_map("too fast", |(rate, period, burst)| {
        let quota = Quota::new(rate, Duration::from_nanos(period)).ok()?;
        quota.try_burst(burst).ok()
    })
}

fn nanos() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..100, 0..SECOND, 0..3_600 * SECOND]
}

proptest! {
    /// A restored bucket holds what was saved and what flowed in since, never more. It holds at
    /// most 8 ns of refill less, 2 ns for each conversion of an instant, and as much of the former
    /// quota.
    #[test]
    fn restored_bucket_has_the_exact_level(
        (quota, other) in (quotas(), prop::option::of(quotas())),
        (start, again) in (nanos(), nanos()),
        debits in prop::collection::vec((nanos(), 0_u64..30), 0..5),
        (down, after) in (nanos(), nanos()),
    ) {
        let (before, mut level, mut now) = (bucket(quota), Level::full(quota), start);
        for (pause, tokens) in debits {
            now += pause;
            level = level.after(pause, quota).minus(tokens);
            before.debit_at(tokens, at(now));
        }
        let saved = before.save_at(at(now), wall(0));
        prop_assert!(saved.state().available() <= level.available());
        prop_assert!(saved.state().debt() >= level.debt());

        // In another process with another clock.
        let other = other.unwrap_or(quota);
        let restored =
            Bucket::restore_at(&saved, bucket(other), at(again), wall(down)).unwrap();
        let exact = level.after(0, other).after(down, other).after(after, other);
        let now = again + after;
        prop_assert!(restored.available_at(at(now)) <= exact.available());
        prop_assert!(restored.debt_at(at(now)) >= exact.debt());
        let least = level.earlier(8, quota).after(0, other).after(down, other);
        let least = least.after(after, other);
        prop_assert!(restored.available_at(at(now + 8)) >= least.available());
        prop_assert!(restored.debt_at(at(now + 8)) <= least.debt());
    }

    /// A bucket that is saved and restored at once, again and again, loses less than 4 ns each time
    /// and gains nothing.
    #[test]
    fn restarts_gain_nothing(quota in quotas(), debit in 0_u64..30, lives in 1_u64..20) {
        let mut bucket_now = bucket(quota);
        bucket_now.debit_at(debit, at(0));
        let level = Level::full(quota).minus(debit);
        for life in 0..lives {
            let saved = bucket_now.save_at(at(life * 1_000), wall(0));
            bucket_now =
                Bucket::restore_at(&saved, bucket(quota), at(life * 1_000), wall(0)).unwrap();
            // The next life's clock begins elsewhere.
            let saved = bucket_now.save_at(at(life * 1_000), wall(7));
            bucket_now = Bucket::restore_at(&saved, bucket(quota), at((life + 1) * 1_000), wall(7))
                .unwrap();
        }
        let now = lives * 1_000;
        prop_assert!(bucket_now.available_at(at(now)) <= level.available());
        prop_assert!(bucket_now.available_at(at(now + 8 * lives)) >= level.available());
    }
}

#[test]
fn wall_clock_that_went_back_gives_nothing() {
    let quota = Quota::per_second(10).burst(50);
    let before = bucket(quota);
    before.try_acquire(30).unwrap();
    let saved = before.save_at(at(0), wall(5 * SECOND));
    for (later, available) in [(0, 20), (5, 20), (6, 30), (7, 40), (3_600, 50)] {
        let restored = Bucket::restore_at(&saved, bucket(quota), at(9), wall(later * SECOND));
        assert_eq!(restored.unwrap().available_at(at(9)), available, "{later}");
    }
}

#[test]
fn another_capacity_keeps_tokens_and_debts() {
    let quota = Quota::per_second(10).burst(50);
    let restored = |spent: u64, capacity: u64| {
        let before = bucket(quota);
        before.debit(spent);
        let saved = before.save_at(at(0), wall(0));
        let fresh = bucket(quota.burst(capacity));
        let restored = Bucket::restore_at(&saved, fresh, at(0), wall(0)).unwrap();
        (restored.available(), restored.debt())
    };
    assert_eq!(restored(20, 100), (30, 0));
    assert_eq!(restored(20, 31), (30, 0));
    assert_eq!(restored(20, 5), (5, 0));
    assert_eq!(restored(60, 100), (0, 10));
    assert_eq!(restored(60, 5), (0, 10));
}

/// What the fresh bucket had spent counts as well: a margin for what was admitted since the save.
#[test]
fn margin_of_the_fresh_bucket_counts() {
    let quota = Quota::per_second(10).burst(50);
    let before = bucket(quota);
    before.debit(20);
    let saved = before.save_at(at(0), wall(0));
    let fresh = bucket(quota).with_initial(45);
    let restored = Bucket::restore_at(&saved, fresh, at(0), wall(0)).unwrap();
    assert_eq!(restored.available(), 25);
}

#[test]
fn longest_debt_survives() {
    for rate in [1, 100_001, 1_000_000_000] {
        let quota = Quota::per_second(rate).burst(10);
        let before = bucket(quota);
        before.debit(u64::MAX);
        let debt = before.debt();
        let saved = before.save_at(at(0), wall(0));
        let restored = Bucket::restore_at(&saved, bucket(quota), at(0), wall(0)).unwrap();
        assert_eq!(restored.debt(), debt);
        // The shorter reach of other grains ends it.
        let other = Quota::per_second(rate + 2).burst(1_000);
        let restored = Bucket::restore_at(&saved, bucket(other), at(0), wall(0)).unwrap();
        assert_eq!(restored.available(), 0);
        assert!(restored.debt() <= debt + 1);
    }
}

#[test]
fn times_of_an_unset_clock_are_refused() {
    let quota = Quota::per_second(10);
    for time in [0, 1 << 63, u64::MAX] {
        let saved = bucket(quota).save_at(at(0), tidegate::UnixTime::from_nanos(time));
        let restored = Bucket::restore_at(&saved, bucket(quota), at(0), wall(0));
        assert_eq!(restored.unwrap_err(), RestoreError::InvalidTime);
    }
}
