//! A key of a map whose unused keys are evicted all the time is decided like a single limiter of
//! any kind.

use core::time::Duration;

use proptest::prelude::*;
use tidegate::{
    ApiRateLimiter, Combined, FixedKeyed, Keyed, Limiter, ManualClock, Quota, RateLimitConfig,
    SlidingWindow, Timestamp,
};

use crate::{OneSpot, at, bucket};

const SECOND: u64 = 1_000_000_000;
const KEYS: u64 = 4;

#[derive(Clone, Copy, Debug)]
struct Turn {
    nanos: u64,
    key: u64,
    n: u64,
    evict: bool,
}

fn any_turn() -> impl Strategy<Value = Turn> {
    let nanos = prop_oneof![
        3 => 0..SECOND / 10,
        2 => 0..3 * SECOND,
        1 => Just(SECOND),
        1 => 0..4_000 * SECOND,
    ];
    (nanos, 0..KEYS, 0..8_u64, prop::bool::weighted(0.3)).prop_map(|(nanos, key, n, evict)| Turn {
        nanos,
        key,
        n,
        evict,
    })
}

fn decided_alike<L: Limiter + 'static>(
    limiter: impl Fn() -> L + Clone + Send + Sync + 'static,
    script: &[Turn],
) -> Result<(), TestCaseError> {
    let new = limiter.clone();
    let keyed = Keyed::builder(move |_: &u64| new()).hasher(OneSpot).build();
    let alone: Vec<L> = (0..KEYS).map(|_| limiter()).collect();
    let mut now = 0;
    for &Turn {
        nanos,
        key,
        n,
        evict,
    } in script
    {
        now += nanos;
        let (now, own) = (at(now), &alone[usize::try_from(key).expect("few")]);
        if evict {
            keyed.evict_unused_at(now);
        }
        prop_assert_eq!(keyed.available_at(&key, now), own.available_at(now));
        prop_assert_eq!(keyed.peek_at(&key, n, now), own.peek_at(n, now));
        prop_assert_eq!(keyed.wait_time_at(&key, n, now), own.wait_time_at(n, now));
        let (decided, expected) = (
            keyed.try_acquire_at(&key, n, now),
            own.try_acquire_at(n, now),
        );
        prop_assert_eq!(decided, expected, "{} for key {} at {:?}", n, key, now);
        let unused = own.is_unused_at(now);
        prop_assert!(keyed.contains(&key) || unused, "evicted in use");
    }
    // All unused keys are evicted, and no others.
    let now = at(now);
    keyed.evict_unused_at(now);
    for (key, own) in (0..).zip(&alone) {
        prop_assert_eq!(keyed.contains(&key), !own.is_unused_at(now));
    }
    Ok(())
}

fn window(limit: u64, length: Duration) -> SlidingWindow<ManualClock> {
    SlidingWindow::with_clock(limit, length, ManualClock::new()).expect("fits")
}

proptest! {
    #[test]
    fn buckets_are_decided_alike(script in prop::collection::vec(any_turn(), 1..60)) {
        decided_alike(|| bucket(Quota::per_second(4).burst(7)), &script)?;
    }

    #[test]
    fn windows_are_decided_alike(script in prop::collection::vec(any_turn(), 1..60)) {
        decided_alike(|| window(6, Duration::from_secs(1)), &script)?;
    }

    #[test]
    fn combinations_are_decided_alike(script in prop::collection::vec(any_turn(), 1..60)) {
        let combined = || {
            Combined::builder()
                .limit("burst", bucket(Quota::per_second(2).burst(5)))
                .limit("minute", window(20, Duration::from_secs(60)))
                .build()
        };
        decided_alike(combined, &script)?;
    }
}

proptest! {
    // Each limiter has hundreds of slots.
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn api_limiters_are_decided_alike(script in prop::collection::vec(any_turn(), 1..60), enable_backoff in any::<bool>()) {
        let config = RateLimitConfig {
            requests_per_minute: 10,
            requests_per_hour: 100,
            burst_size: 6,
            enable_backoff,
            ..RateLimitConfig::default()
        };
        let api = move || ApiRateLimiter::with_clock(config, ManualClock::new()).expect("valid");
        decided_alike(api, &script)?;
    }
}

/// A caller with an older reading gains nothing from an eviction: it is decided as of the eviction.
#[test]
fn evicted_key_of_map_comes_back_to_clamped_clock() {
    let keyed = Keyed::builder(|_: &u64| bucket(Quota::per_second(1).burst(5)))
        .hasher(OneSpot)
        .build();
    let seconds = |seconds| Timestamp::from_nanos(seconds * SECOND);
    keyed.try_acquire_at(&1, 5, seconds(10)).expect("full");
    assert_eq!(keyed.evict_unused_at(seconds(15)), 1);
    // Its reading is older than the eviction, but its tokens are taken as of the eviction.
    keyed
        .try_acquire_at(&1, 5, seconds(11))
        .expect("full as of the eviction");
    for now in 11..=15 {
        assert!(
            keyed.try_acquire_at(&1, 1, seconds(now)).is_err(),
            "at {now} s"
        );
    }
    assert!(keyed.try_acquire_at(&1, 1, seconds(16)).is_ok());
}

/// The same in a fixed table, which evicts a key when its entry is needed.
#[test]
fn evicted_key_of_table_comes_back_to_clamped_clock() {
    let quota = Quota::per_second(1).burst(5);
    let table = FixedKeyed::with_clock_and_hasher(quota, 8, ManualClock::new(), OneSpot);
    let seconds = |seconds| Timestamp::from_nanos(seconds * SECOND);
    for key in 0..15_u64 {
        table.try_acquire_at(&key, 5, seconds(10)).expect("full");
    }
    // All buckets are full again before 16 s, so these keys take their entries.
    for key in 15..30_u64 {
        table
            .try_acquire_at(&key, 1, seconds(16))
            .expect("an entry");
    }
    let later = seconds(18);
    // Its reading is older: it is decided as of its eviction at 16 s, and so is what it takes.
    table.try_acquire_at(&40_u64, 1, later).expect("an entry");
    table
        .try_acquire_at(&1_u64, 5, seconds(11))
        .expect("full as of the eviction");
    for now in 11..=16 {
        assert!(
            table.try_acquire_at(&1_u64, 1, seconds(now)).is_err(),
            "at {now} s"
        );
    }
    assert_eq!(table.stats_at(later).overflowed, 0);
}
