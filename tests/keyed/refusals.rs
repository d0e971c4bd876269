//! `Overflow::Refuse`: what a newcomer is told is true, to the nanosecond, if nobody else comes.

use core::hash::BuildHasher;
use core::time::Duration;

use proptest::prelude::*;
use tidegate::{
    ApiRateLimiter, Combined, Denied, FixedKeyed, Keyed, Limiter, ManualClock, Overflow, Quota,
    RateLimitConfig, SlidingWindow,
};

use crate::{NANO, OneSpot, at, bucket, hasher};

const SECOND: u64 = 1_000_000_000;
const NEWCOMER: u64 = 1 << 30;

/// Fills a map with keys that have spent what is said at the time that is said, and lets a newcomer wait.
fn wait_for_room<L: Limiter + 'static>(
    limiter: impl Fn(&u64) -> L + Send + Sync + 'static,
    calls: &[(u64, u64)],
    refusals: usize,
) -> Result<(), TestCaseError> {
    let keyed = Keyed::builder(limiter)
        .max_keys(calls.len())
        .overflow(Overflow::Refuse)
        .hasher(hasher())
        .build();
    let mut now = at(0);
    for (key, &(nanos, n)) in (0..).zip(calls) {
        now = now + Duration::from_nanos(nanos);
        // Nobody is unused before all are there.
        keyed.try_acquire_at(&key, n, now).expect("full");
    }
    // Others ask as well, and change nothing.
    for stranger in 0..refusals as u64 {
        let _ = keyed.try_acquire_at(&(NEWCOMER + 1 + stranger), 1, now);
    }
    let Err(Denied::NotYet { retry_after }) = keyed.try_acquire_at(&NEWCOMER, 1, now) else {
        return Err(TestCaseError::fail("there is no room"));
    };
    let then = now + retry_after;
    let before = at(then.as_nanos() - 1);
    let early = keyed.try_acquire_at(&NEWCOMER, 1, before);
    prop_assert_eq!(
        early,
        Err(Denied::NotYet { retry_after: NANO }),
        "of {:?}",
        retry_after
    );
    prop_assert_eq!(
        keyed.try_acquire_at(&NEWCOMER, 1, then),
        Ok(()),
        "{:?}",
        retry_after
    );
    prop_assert!(keyed.len() <= calls.len());
    prop_assert_eq!(keyed.stats().overflowed, refusals as u64 + 2);
    Ok(())
}

/// So many keys that all are in one part, of which a newcomer sees all.
fn any_calls(most: u64) -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0..SECOND / 100, 1..=most), 1..64)
}

/// A newcomer is admitted as soon as somebody is unused, however many asked in vain before, in parts of any size and whatever
/// was dropped meanwhile.
fn ask_often(
    hasher: impl BuildHasher,
    keys: u64,
    due: &[u64],
    script: &[(u64, u8)],
) -> Result<(), TestCaseError> {
    let limiter = |key: &u64| bucket(Quota::per_second(1 + key % 2).burst(100));
    let keyed = Keyed::builder(limiter)
        .max_keys(usize::try_from(keys).expect("few"))
        .overflow(Overflow::Refuse)
        .hasher(hasher)
        .build();
    let mut now = at(0);
    for (key, &n) in (0..keys).zip(due) {
        keyed.try_acquire_at(&key, n, now).expect("room");
    }
    let mut newcomer = NEWCOMER;
    for &(key, what) in script {
        newcomer += 1;
        match what {
            0 => now = now + Duration::from_nanos(SECOND / 7),
            1 => {
                let _ = keyed.try_acquire_at(&newcomer, 1 + key % 40, now);
            }
            // More than there ever are: room is looked for, and nobody is added.
            _ => {
                let _ = keyed.try_acquire_at(&newcomer, 101, now);
            }
        }
    }
    // Enough to look at every place again and again.
    let looks = 2 * NEWCOMER..2 * NEWCOMER + keys / 4 + 100;
    for newcomer in looks {
        if keyed.try_acquire_at(&newcomer, 1, now).is_ok() {
            return Ok(());
        }
    }
    prop_assert_eq!(keyed.evict_unused_at(now), 0, "somebody was unused");
    Ok(())
}

proptest! {
    #[test]
    fn for_a_bucket(calls in any_calls(10), refusals in 0..5_usize) {
        wait_for_room(|_| bucket(Quota::per_second(1).burst(10)), &calls, refusals)?;
    }

    #[test]
    fn for_a_bucket_of_an_awkward_rate(calls in any_calls(10), refusals in 0..5_usize) {
        let quota = Quota::new(3, Duration::from_nanos(3_333_333_337)).expect("valid").burst(10);
        wait_for_room(move |_| bucket(quota), &calls, refusals)?;
    }

    #[test]
    fn for_a_bucket_of_some_tier(calls in any_calls(10), refusals in 0..5_usize) {
        let quota = |key: &u64| Quota::per_minute(50 + key % 4).burst(10);
        wait_for_room(move |key| bucket(quota(key)), &calls, refusals)?;
    }

    #[test]
    fn for_a_window(calls in any_calls(10), refusals in 0..5_usize) {
        let second = Duration::from_secs(1);
        let window = move |_: &u64| SlidingWindow::with_clock(10, second, ManualClock::new()).expect("fits");
        wait_for_room(window, &calls, refusals)?;
    }

    #[test]
    fn for_a_combination(calls in any_calls(10), refusals in 0..5_usize) {
        let second = Duration::from_secs(1);
        let combined = move |_: &u64| {
            let window = SlidingWindow::with_clock(10, second, ManualClock::new()).expect("fits");
            Combined::builder()
                .limit("window", window)
                .limit("bucket", bucket(Quota::per_second(2).burst(20)))
                .build()
        };
        wait_for_room(combined, &calls, refusals)?;
    }

    #[test]
    fn for_an_api(calls in prop::collection::vec((0..SECOND / 100, 1..=5_u64), 1..8), refusals in 0..5_usize) {
        let config = RateLimitConfig::default();
        let api = move |_: &u64| ApiRateLimiter::with_clock(config, ManualClock::new()).expect("valid");
        wait_for_room(api, &calls, refusals)?;
    }

    #[test]
    fn who_asks_often_enough_gets_what_there_is(
        keys in 1..700_u64,
        due in prop::collection::vec(1..50_u64, 700),
        script in prop::collection::vec((0..300_u64, 0..3_u8), 0..200),
    ) {
        ask_often(OneSpot, keys, &due, &script)?;
        ask_often(hasher(), keys, &due, &script)?;
    }

    #[test]
    fn for_a_place_in_a_table(
        calls in prop::collection::vec((0..SECOND / 100, 1..=10_u64), 15),
        awkward in any::<bool>(),
    ) {
        let quota = if awkward {
            Quota::new(3, Duration::from_nanos(3_333_333_337)).expect("valid").burst(10)
        } else {
            Quota::per_second(1).burst(10)
        };
        let table = FixedKeyed::with_clock_and_hasher(quota, 8, ManualClock::new(), OneSpot)
            .overflow(Overflow::Refuse);
        let mut now = at(0);
        for (key, &(nanos, n)) in (0_u64..).zip(&calls) {
            now = now + Duration::from_nanos(nanos);
            table.try_acquire_at(&key, n, now).expect("full");
        }
        let Err(Denied::NotYet { retry_after }) = table.try_acquire_at(&NEWCOMER, 1, now) else {
            return Err(TestCaseError::fail("there is no place"));
        };
        prop_assert_eq!(table.wait_time_at(&NEWCOMER, 1, now), Some(retry_after));
        let then = now + retry_after;
        let early = table.try_acquire_at(&NEWCOMER, 1, at(then.as_nanos() - 1));
        prop_assert_eq!(early, Err(Denied::NotYet { retry_after: NANO }));
        prop_assert_eq!(table.try_acquire_at(&NEWCOMER, 1, then), Ok(()));
    }
}

/// Whichever key is unused first, and wherever it is, it is found then, although all were looked at in vain before.
#[test]
fn nobody_is_overlooked() {
    for keys in [30, 60, 90, 110, 200, 300] {
        for early in 0..keys {
            let keyed = Keyed::builder(|_: &u64| bucket(Quota::per_second(1).burst(10)))
                .max_keys(usize::try_from(keys).expect("few"))
                .overflow(Overflow::Refuse)
                .hasher(OneSpot)
                .build();
            for key in 0..keys {
                let n = if key == early { 1 } else { 10 };
                keyed.try_acquire_at(&key, n, at(0)).expect("room");
            }
            let calls = NEWCOMER..NEWCOMER + keys / 16 + 4;
            for newcomer in calls.clone() {
                assert!(keyed.try_acquire_at(&newcomer, 1, at(0)).is_err());
            }
            let mut calls = calls;
            let found =
                calls.any(|newcomer| keyed.try_acquire_at(&newcomer, 1, at(SECOND)).is_ok());
            assert!(found, "key {early} of {keys}");
        }
    }
}

/// In many parts of many places, where room is found in one part for a key of another and hands stop anywhere: as long as
/// enough newcomers come, nobody stays who is unused.
#[test]
fn in_many_parts_nobody_is_overlooked() {
    let keyed = Keyed::builder(|_: &u64| bucket(Quota::per_second(1).burst(10)))
        .max_keys(8_000)
        .overflow(Overflow::Refuse)
        .hasher(hasher())
        .build();
    for key in 0..8_000 {
        let n = if key % 7 == 0 { 1 + key % 10 } else { 10 };
        keyed.try_acquire_at(&key, n, at(0)).expect("room");
    }
    let mut newcomer = NEWCOMER;
    for second in 1..30 {
        let now = at(second * SECOND);
        // Some ask for more than there ever is: room is looked for, and left.
        for turn in 0..3_000 {
            newcomer += 1;
            let n = if turn < 1_000 && turn % 3 == 0 {
                11
            } else {
                1 + newcomer % 10
            };
            let _ = keyed.try_acquire_at(&newcomer, n, now);
        }
        let mut unused = 0;
        keyed.for_each(|key, _| unused += u64::from(keyed.available_at(key, now) == 10));
        assert!(
            unused == 0 || keyed.len() < 8_000,
            "{unused} after {second} s"
        );
    }
}

/// Who comes after all were looked at in vain, and will be unused before them, is seen.
#[test]
fn whoever_comes_later_counts() {
    let keyed = Keyed::builder(|_: &u64| bucket(Quota::per_second(1).burst(10)))
        .max_keys(2)
        .overflow(Overflow::Refuse)
        .build();
    for key in [1, 2] {
        keyed.try_acquire_at(&key, 10, at(0)).expect("room");
    }
    let told = |seconds| {
        let retry_after = Duration::from_secs(seconds);
        Err(Denied::NotYet { retry_after })
    };
    assert_eq!(keyed.try_acquire_at(&NEWCOMER, 1, at(0)), told(10));
    assert!(keyed.remove(&1));
    keyed.try_acquire_at(&3, 1, at(0)).expect("room");
    assert_eq!(keyed.try_acquire_at(&NEWCOMER, 1, at(0)), told(1));
    // Who is charged again is unused later, and everybody is told so at once.
    keyed.try_acquire_at(&3, 4, at(0)).expect("9 are there");
    assert_eq!(keyed.try_acquire_at(&NEWCOMER, 1, at(0)), told(5));
    keyed
        .try_acquire_at(&2, 5, at(8 * SECOND))
        .expect("8 are there");
    assert_eq!(keyed.try_acquire_at(&NEWCOMER, 1, at(SECOND)), told(4));
    assert_eq!(keyed.try_acquire_at(&NEWCOMER, 1, at(5 * SECOND)), Ok(()));
}

/// A combination is unused when its slowest limit is, whichever of them is the smallest.
#[test]
fn for_a_combination_of_slow_and_fast() {
    let combined = |_: &u64| {
        Combined::builder()
            .limit("fast", bucket(Quota::per_second(10).burst(10)))
            .limit("slow", bucket(Quota::per_minute(1).burst(100)))
            .build()
    };
    let keyed = Keyed::builder(combined)
        .max_keys(1)
        .overflow(Overflow::Refuse)
        .build();
    keyed.try_acquire_at(&1, 5, at(0)).expect("full");
    let told = keyed.try_acquire_at(&2, 1, at(0));
    let retry_after = Duration::from_secs(300);
    assert_eq!(told, Err(Denied::NotYet { retry_after }));
    assert!(keyed.try_acquire_at(&2, 1, at(300 * SECOND - 1)).is_err());
    assert_eq!(keyed.try_acquire_at(&2, 1, at(300 * SECOND)), Ok(()));
}

/// While a limiter is paused by a server, nobody can tell when it will be unused: then a second is told.
#[test]
fn what_cannot_be_told_is_a_second() {
    let pause = Duration::from_millis(2_500);
    let keyed = Keyed::builder(move |_: &u64| {
        let api = ApiRateLimiter::with_clock(RateLimitConfig::default(), ManualClock::new());
        let api = api.expect("valid");
        api.pause_for(pause);
        api
    })
    .max_keys(1)
    .overflow(Overflow::Refuse)
    .build();
    // Not paused any more when it is charged, but by then as if it were used.
    keyed
        .try_acquire_at(&1, 1, at(3 * SECOND))
        .expect("paused until 2.5 s");
    let told = keyed.try_acquire_at(&2, 1, at(2 * SECOND));
    let retry_after = Duration::from_secs(1);
    assert_eq!(told, Err(Denied::NotYet { retry_after }));
}

/// Keys are put in parts; a call sees only where its key would be, and some place else. It is told of what it will find again.
#[test]
fn in_many_parts_who_waits_as_told_gets_room() {
    let keyed = Keyed::builder(|_: &u64| bucket(Quota::per_second(1).burst(10)))
        .max_keys(1_000)
        .overflow(Overflow::Refuse)
        .hasher(hasher())
        .build();
    let mut now = at(0);
    for key in 0..1_000 {
        now = now + Duration::from_micros(10);
        keyed.try_acquire_at(&key, 1 + key % 10, now).expect("room");
    }
    for newcomer in NEWCOMER..NEWCOMER + 200 {
        let Err(Denied::NotYet { retry_after }) = keyed.try_acquire_at(&newcomer, 1, now) else {
            continue;
        };
        now = now + retry_after;
        assert_eq!(
            keyed.try_acquire_at(&newcomer, 1, now),
            Ok(()),
            "{retry_after:?}"
        );
    }
}
