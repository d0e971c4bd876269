//! Limiters of any kind: a key in a map whose unused keys are dropped all the time, and a limiter that is kept for ever, answer
//! alike.

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
    sweep: bool,
}

fn any_turn() -> impl Strategy<Value = Turn> {
    let nanos = prop_oneof![
        3 => 0..SECOND / 10,
        2 => 0..3 * SECOND,
        1 => Just(SECOND),
        1 => 0..4_000 * SECOND,
    ];
    (nanos, 0..KEYS, 0..8_u64, prop::bool::weighted(0.3)).prop_map(|(nanos, key, n, sweep)| Turn {
        nanos,
        key,
        n,
        sweep,
    })
}

fn same<L: Limiter + 'static>(
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
        sweep,
    } in script
    {
        now += nanos;
        let (now, own) = (at(now), &alone[usize::try_from(key).expect("few")]);
        if sweep {
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
        prop_assert!(keyed.contains(&key) || unused, "dropped in use");
    }
    // What can be dropped is, and nothing else.
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
    fn buckets(script in prop::collection::vec(any_turn(), 1..60)) {
        same(|| bucket(Quota::per_second(4).burst(7)), &script)?;
    }

    #[test]
    fn windows(script in prop::collection::vec(any_turn(), 1..60)) {
        same(|| window(6, Duration::from_secs(1)), &script)?;
    }

    #[test]
    fn combinations(script in prop::collection::vec(any_turn(), 1..60)) {
        let combined = || {
            Combined::builder()
                .limit("burst", bucket(Quota::per_second(2).burst(5)))
                .limit("minute", window(20, Duration::from_secs(60)))
                .build()
        };
        same(combined, &script)?;
    }
}

proptest! {
    // Each has hundreds of slots.
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn limits_of_an_api(script in prop::collection::vec(any_turn(), 1..60), enable_backoff in any::<bool>()) {
        let config = RateLimitConfig {
            requests_per_minute: 10,
            requests_per_hour: 100,
            burst_size: 6,
            enable_backoff,
            ..RateLimitConfig::default()
        };
        let api = move || ApiRateLimiter::with_clock(config, ManualClock::new()).expect("valid");
        same(api, &script)?;
    }
}

/// A caller with an older reading cannot use that a key was dropped: it is decided as of the drop.
#[test]
fn a_dropped_key_comes_back_to_a_clock_that_stands_still() {
    let keyed = Keyed::builder(|_: &u64| bucket(Quota::per_second(1).burst(5)))
        .hasher(OneSpot)
        .build();
    let seconds = |seconds| Timestamp::from_nanos(seconds * SECOND);
    keyed.try_acquire_at(&1, 5, seconds(10)).expect("full");
    assert_eq!(keyed.evict_unused_at(seconds(15)), 1);
    // Its reading is from before the drop: what it takes is gone at the time of the drop, not earlier.
    keyed
        .try_acquire_at(&1, 5, seconds(11))
        .expect("full as of the drop");
    for now in 11..=15 {
        assert!(
            keyed.try_acquire_at(&1, 1, seconds(now)).is_err(),
            "at {now} s"
        );
    }
    assert!(keyed.try_acquire_at(&1, 1, seconds(16)).is_ok());
}

/// The same in a table, where a key is forgotten when its place is needed.
#[test]
fn a_forgotten_key_comes_back_to_a_clock_that_stands_still() {
    let quota = Quota::per_second(1).burst(5);
    let table = FixedKeyed::with_clock_and_hasher(quota, 8, ManualClock::new(), OneSpot);
    let seconds = |seconds| Timestamp::from_nanos(seconds * SECOND);
    for key in 0..15_u64 {
        table.try_acquire_at(&key, 5, seconds(10)).expect("full");
    }
    // All are full again before 16 s, so these take their places.
    for key in 15..30_u64 {
        table.try_acquire_at(&key, 1, seconds(16)).expect("a place");
    }
    let later = seconds(18);
    // Its reading is from before: it is judged as of 16 s, when it was forgotten, and so is what it has taken.
    table.try_acquire_at(&40_u64, 1, later).expect("a place");
    table
        .try_acquire_at(&1_u64, 5, seconds(11))
        .expect("full when it was forgotten");
    for now in 11..=16 {
        assert!(
            table.try_acquire_at(&1_u64, 1, seconds(now)).is_err(),
            "at {now} s"
        );
    }
    assert_eq!(table.stats_at(later).overflowed, 0);
}
