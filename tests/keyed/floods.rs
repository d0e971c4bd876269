//! Floods of new keys: known keys keep what they have spent and are decided as always, and calls
//! that the policy decides are counted exactly.
//!
//! Other limiters failed here: Moka-based caches, agave and tokio-rate-limit granted a fresh burst,
//! and rate-net refused all keys.

use core::time::Duration;

use tidegate::{
    ApiRateLimiter, Combined, FixedKeyed, Keyed, Limiter, ManualClock, Overflow, Quota,
    RateLimitConfig, SlidingWindow,
};

use crate::{OneSpot, at, bucket, capacity_of, hasher};

const HOUR: u64 = 3_600_000_000_000;
/// A flood has this many times `max_keys` keys.
const TIMES: u64 = 10;
const POLICIES: [Overflow; 3] = [Overflow::Share, Overflow::Refuse, Overflow::Admit];
/// One part, one part with more buckets than a search sees, a few parts, and many parts.
const SIZES: [usize; 4] = [2, 63, 200, 1_000];

/// Every flood has a key that has spent all tokens, a key that has spent half, and other keys.
const SPENT: u64 = u64::MAX;
const HALF: u64 = u64::MAX - 1;

/// Floods a table while no tokens come back. Other keys fill the room, and the policy decides the
/// rest.
fn flood<L: Limiter + 'static>(
    limiter: impl Fn(&u64) -> L + Clone + Send + Sync + 'static,
    sizes: &[usize],
) {
    let capacity = capacity_of(&limiter);
    for &max_keys in sizes {
        for policy in POLICIES {
            let keyed = Keyed::builder(limiter.clone())
                .max_keys(max_keys)
                .overflow(policy)
                .hasher(hasher())
                .build();
            let now = at(HOUR);
            keyed.try_acquire_at(&SPENT, capacity, now).expect("new");
            keyed.try_acquire_at(&HALF, capacity / 2, now).expect("new");
            let room = max_keys as u64 - 2;
            let mut admitted = 0;
            for other in 0..max_keys as u64 * TIMES {
                let decided = keyed.try_acquire_at(&other, 1, now);
                admitted += u64::from(decided.is_ok());
                assert!(keyed.len() <= max_keys);
            }
            let without_room = max_keys as u64 * TIMES - room;
            let shared = capacity.min(without_room);
            let expected = match policy {
                Overflow::Share => room + shared,
                Overflow::Refuse => room,
                _ => max_keys as u64 * TIMES,
            };
            assert_eq!(admitted, expected, "{policy:?}, {max_keys} keys");
            let stats = keyed.stats();
            assert_eq!(stats.overflowed, without_room);
            assert_eq!(
                (stats.keys, stats.created),
                (max_keys as u64, max_keys as u64)
            );
            assert_eq!(stats.evicted, 0);

            // No fresh burst, and no known key is refused what it has left.
            assert!(keyed.try_acquire_at(&SPENT, 1, now).is_err());
            assert_eq!(keyed.available_at(&SPENT, now), 0);
            for _ in capacity / 2..capacity {
                assert_eq!(keyed.try_acquire_at(&HALF, 1, now), Ok(()));
            }
            assert!(keyed.try_acquire_at(&HALF, 1, now).is_err());
            assert_eq!(keyed.stats().overflowed, without_room);
        }
    }
}

#[test]
fn flood_of_buckets() {
    flood(|_| bucket(Quota::per_hour(10)), &SIZES);
}

/// Three quotas, more quotas than are recognized, and a quota too fast for a word.
#[test]
fn flood_of_buckets_with_many_quotas() {
    flood(
        |key| bucket(Quota::per_hour(10 + key % 3).burst(10)),
        &SIZES,
    );
    flood(
        |key| bucket(Quota::per_day(10 + key % 100).burst(10)),
        &SIZES,
    );
    // More than two tokens per nanosecond: kept whole.
    let fast = Quota::per_second(1_000_000_000_000).burst(1 << 58);
    flood_with_full_charges(fast);
}

/// Charges all tokens at once, because single tokens come back at once.
fn flood_with_full_charges(quota: Quota) {
    let keyed = Keyed::builder(move |_: &u64| bucket(quota))
        .max_keys(20)
        .overflow(Overflow::Refuse)
        .hasher(hasher())
        .build();
    for key in 0..400 {
        let decided = keyed.try_acquire_at(&key, quota.capacity(), at(HOUR));
        assert_eq!(decided.is_ok(), key < 20);
    }
    assert_eq!(keyed.stats().overflowed, 380);
    assert!(keyed.try_acquire_at(&0, 1, at(HOUR)).is_err());
}

#[test]
fn flood_of_windows() {
    let hour = Duration::from_nanos(HOUR);
    flood(
        move |_| SlidingWindow::with_clock(10, hour, ManualClock::new()).expect("fits"),
        &SIZES,
    );
}

#[test]
fn flood_of_combinations() {
    let hour = Duration::from_nanos(HOUR);
    flood(
        move |_| {
            let window = SlidingWindow::with_clock(10, hour, ManualClock::new()).expect("fits");
            Combined::builder()
                .limit("bucket", bucket(Quota::per_hour(20)))
                .limit("window", window)
                .build()
        },
        &SIZES,
    );
}

#[test]
fn flood_of_api_limiters() {
    let config = RateLimitConfig {
        requests_per_minute: 10,
        burst_size: 10,
        ..RateLimitConfig::default()
    };
    flood(
        move |_| ApiRateLimiter::with_clock(config, ManualClock::new()).expect("valid"),
        &[2, 40],
    );
}

/// While time passes, known keys keep what they have spent, and new keys find room as soon as
/// another key is unused. So the policy is never needed.
#[test]
fn slow_flood_finds_room() {
    const MAX_KEYS: u64 = 50;
    let keyed = Keyed::builder(|_: &u64| bucket(Quota::per_second(1).burst(10)))
        .max_keys(50)
        .overflow(Overflow::Refuse)
        .build();
    let mut now = HOUR;
    for round in 0..20 {
        keyed.try_acquire_at(&SPENT, 10, at(now)).expect("full");
        // 9 seconds: other keys are unused after 1, the spent one after 10.
        for step in 0..9 {
            for other in 0..MAX_KEYS - 1 {
                let key = (round * 9 + step) * MAX_KEYS + other;
                assert_eq!(keyed.try_acquire_at(&key, 1, at(now)), Ok(()), "{key}");
            }
            let left = keyed.available_at(&SPENT, at(now));
            assert_eq!(left, step, "round {round}");
            now += 1_000_000_000;
        }
        now += 1_000_000_000;
    }
    assert_eq!(keyed.stats().overflowed, 0);
    assert!(keyed.len() <= 50);
}

/// A set has 15 entries. Once they are in use, the policy decides.
#[test]
fn full_set_follows_policy() {
    for policy in POLICIES {
        let quota = Quota::per_hour(10);
        let table = FixedKeyed::with_clock_and_hasher(quota, 8, ManualClock::new(), OneSpot)
            .overflow(policy);
        let now = at(HOUR);
        table.try_acquire_at(&SPENT, 10, now).expect("new");
        table.try_acquire_at(&HALF, 5, now).expect("new");
        let admitted = (0..300_u64).filter(|key| table.try_acquire_at(key, 1, now).is_ok());
        let expected = match policy {
            Overflow::Share => 13 + 10,
            Overflow::Refuse => 13,
            _ => 300,
        };
        assert_eq!(admitted.count(), expected, "{policy:?}");
        let stats = table.stats_at(now);
        assert_eq!((stats.overflowed, stats.active), (300 - 13, 15));
        assert!(table.try_acquire_at(&SPENT, 1, now).is_err());
        assert_eq!(table.try_acquire_at(&HALF, 5, now), Ok(()));
        assert!(table.try_acquire_at(&HALF, 1, now).is_err());
        assert_eq!(table.stats_at(now).overflowed, 287, "calls of known keys");
    }
}

/// Hardly any key of as many as the capacity finds no entry, and a flood beyond that grants no
/// fresh burst.
#[test]
fn table_holds_its_capacity() {
    const KEYS: u64 = 20_000;
    let quota = Quota::per_hour(10);
    let table = FixedKeyed::with_clock_and_hasher(quota, 20_000, ManualClock::new(), hasher())
        .overflow(Overflow::Refuse);
    let now = at(HOUR);
    let kept: Vec<u64> = (0..KEYS)
        .filter(|key| table.try_acquire_at(key, 10, now).is_ok())
        .collect();
    let without_entry = KEYS - kept.len() as u64;
    assert_eq!(table.stats_at(now).overflowed, without_entry);
    assert!(without_entry <= KEYS / 300, "{without_entry} of {KEYS}");
    assert_eq!(table.stats_at(now).active, kept.len() as u64);
    for other in KEYS..KEYS * (TIMES + 1) {
        let _ = table.try_acquire_at(&other, 1, now);
    }
    for key in &kept {
        assert!(
            table.try_acquire_at(key, 1, now).is_err(),
            "a fresh burst for {key}"
        );
    }
    // An hour later all buckets are full, and all entries are available.
    let later = at(2 * HOUR + 1);
    assert_eq!(table.stats_at(later).active, 0);
    let again = (0..KEYS).filter(|key| table.try_acquire_at(key, 10, later).is_ok());
    assert_eq!(again.count(), kept.len());
}
