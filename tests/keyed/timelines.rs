//! Random keys, quotas and timelines against an exact bucket for every key, while other keys are
//! added and unused keys are evicted: the bound, no false refusals, and exact hints.

use core::time::Duration;

use proptest::prelude::*;
use tidegate::{Denied, FixedKeyed, Keyed, ManualClock, Overflow, Quota, Timestamp, TokenBucket};

use crate::oracle::{self, IdealBucket, assert_bound};
use crate::script::{Amount, DAY, Step, any_amount, any_quota, any_step};
use crate::{OneSpot, at, bucket};

/// The operations that both tables of buckets have.
trait Table {
    fn try_acquire(&self, key: u64, n: u64, now: Timestamp) -> Result<(), Denied>;
    fn peek(&self, key: u64, n: u64, now: Timestamp) -> Result<(), Denied>;
    fn available(&self, key: u64, now: Timestamp) -> u64;
    fn wait_time(&self, key: u64, n: u64, now: Timestamp) -> Option<Duration>;
    /// Evicts unused keys.
    fn evict(&self, now: Timestamp);
    /// Returns how many calls the policy has decided.
    fn overflowed(&self) -> u64;
}

/// All keys are in one part, so that every new key evicts among the others.
type Map = Keyed<u64, TokenBucket<ManualClock>, OneSpot>;

impl Table for Map {
    fn try_acquire(&self, key: u64, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(&key, n, now)
    }

    fn peek(&self, key: u64, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.peek_at(&key, n, now)
    }

    fn available(&self, key: u64, now: Timestamp) -> u64 {
        self.available_at(&key, now)
    }

    fn wait_time(&self, key: u64, n: u64, now: Timestamp) -> Option<Duration> {
        self.wait_time_at(&key, n, now)
    }

    fn evict(&self, now: Timestamp) {
        self.evict_unused_at(now);
    }

    fn overflowed(&self) -> u64 {
        self.stats().overflowed
    }
}

impl Table for FixedKeyed<ManualClock, OneSpot> {
    fn try_acquire(&self, key: u64, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(&key, n, now)
    }

    fn peek(&self, key: u64, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.peek_at(&key, n, now)
    }

    fn available(&self, key: u64, now: Timestamp) -> u64 {
        self.available_at(&key, now)
    }

    fn wait_time(&self, key: u64, n: u64, now: Timestamp) -> Option<Duration> {
        self.wait_time_at(&key, n, now)
    }

    /// Only new keys evict, so this adds as many as there are entries.
    fn evict(&self, now: Timestamp) {
        for new in 0..15 {
            let _ = self.try_acquire_at(&(OTHERS - 1 - new), 1, now);
        }
    }

    fn overflowed(&self) -> u64 {
        self.stats().overflowed
    }
}

/// Keys from here on are used once, keys below again and again.
const OTHERS: u64 = 1_000;
const KNOWN: u64 = 4;

fn map(quotas: Vec<Quota>) -> Map {
    Keyed::builder(move |key: &u64| bucket(quota_of(&quotas, *key)))
        .hasher(OneSpot)
        .overflow(Overflow::Refuse)
        .build()
}

fn table(quota: Quota) -> FixedKeyed<ManualClock, OneSpot> {
    FixedKeyed::with_clock_and_hasher(quota, 8, ManualClock::new(), OneSpot)
        .overflow(Overflow::Refuse)
}

fn quota_of(quotas: &[Quota], key: u64) -> Quota {
    let index = usize::try_from(key).expect("64 bits") % quotas.len();
    quotas[index]
}

/// Returns how many nanoseconds late a bucket of this quota may be, as a word or as a
/// `TokenBucket`.
fn lateness(quota: Quota) -> u64 {
    const YEAR: u128 = 31_557_600_000_000_000;
    let (rate, period) = (u128::from(quota.rate()), quota.period().as_nanos());
    let refill = u128::from(quota.capacity()) * period / rate;
    let half_nanos = 2 * period % rate == 0;
    let word = if half_nanos && refill <= 18 * YEAR {
        0
    } else if refill <= 9 * YEAR {
        2
    } else {
        170
    };
    oracle::lateness(quota).max(word)
}

/// Returns the instant until which words are promised to last.
fn end_of_time(quota: Quota) -> u64 {
    const CENTURY: u128 = 109 * 365 * DAY as u128;
    let (rate, period) = (u128::from(quota.rate()), quota.period().as_nanos());
    let end = if rate > 2 * period {
        CENTURY * 2 * period / rate
    } else {
        CENTURY
    };
    u64::try_from(end).expect("109 years")
}

/// Makes a call, and compares it with the key's ideal bucket, which is charged for it if it is
/// admitted.
fn check_call(
    table: &impl Table,
    quota: Quota,
    ideal: &mut IdealBucket,
    (key, n, now): (u64, u64, u64),
) -> Result<Outcome, TestCaseError> {
    let instant = at(now);
    let available = table.available(key, instant);
    let peeked = table.peek(key, n, instant);
    let wait = table.wait_time(key, n, instant);
    prop_assert_eq!(peeked.is_ok(), n == 0 || n <= available);

    let overflowed = table.overflowed();
    let outcome = table.try_acquire(key, n, instant);
    prop_assert_eq!(outcome, peeked);
    let without_room = table.overflowed() > overflowed;
    let lasts = now < end_of_time(quota);
    match outcome {
        Ok(()) => {
            prop_assert!(!without_room);
            prop_assert_eq!(wait, Some(Duration::ZERO));
            if n > 0 {
                prop_assert!(ideal.admits(n, now), "early: {} at {}", n, now);
                ideal.charge(n, now);
            }
            Ok(Outcome::Admitted)
        }
        Err(Denied::Never { capacity }) => {
            prop_assert_eq!((capacity, wait), (quota.capacity(), None));
            prop_assert!(n > capacity);
            Ok(Outcome::Never)
        }
        Err(denied) => {
            let retry_after = denied.retry_after().expect("not Denied::Never");
            prop_assert!(n <= quota.capacity());
            prop_assert_eq!(wait, Some(retry_after));
            if let Some(earlier) = now.checked_sub(lateness(quota)) {
                let there = ideal.admits(n, earlier);
                prop_assert!(without_room || !lasts || !there, "late: {} at {}", n, now);
            }
            if without_room {
                let is_busy = matches!(denied, Denied::Busy { .. });
                prop_assert!(is_busy, "{:?}", denied);
            } else {
                check_hint(table, quota, (key, n, now), retry_after)?;
            }
            Ok(Outcome::Refused(retry_after))
        }
    }
}

enum Outcome {
    Admitted,
    Never,
    Refused(Duration),
}

/// Checks that the hint is exact.
fn check_hint(
    table: &impl Table,
    quota: Quota,
    (key, n, now): (u64, u64, u64),
    retry_after: Duration,
) -> Result<(), TestCaseError> {
    prop_assert!(!retry_after.is_zero());
    let after = u64::try_from(retry_after.as_nanos()).ok();
    if let Some(then) = after.and_then(|after| now.checked_add(after)) {
        prop_assert!(table.peek(key, n, at(then - 1)).is_err(), "hint too long");
        if then < end_of_time(quota) {
            prop_assert!(table.peek(key, n, at(then)).is_ok(), "hint too short");
        }
    }
    Ok(())
}

/// A call for one of the keys, and what happens before.
#[derive(Clone, Copy, Debug)]
struct Turn {
    step: Step,
    /// Number of keys that are used once, for a token each.
    others: u8,
    evict: bool,
    key: u64,
    amount: Amount,
}

fn any_turn() -> impl Strategy<Value = Turn> {
    (
        any_step(),
        prop_oneof![3 => Just(0_u8), 1 => 1..20_u8],
        prop::bool::weighted(0.1),
        0..KNOWN,
        any_amount(),
    )
        .prop_map(|(step, others, evict, key, amount)| Turn {
            step,
            others,
            evict,
            key,
            amount,
        })
}

/// Does what happens before a call.
fn use_others(table: &impl Table, turn: Turn, number: usize, now: Timestamp) {
    if turn.evict {
        table.evict(now);
    }
    for other in 0..u64::from(turn.others) {
        let key = OTHERS + 100 * number as u64 + other;
        let _ = table.try_acquire(key, 1, now);
    }
}

fn any_start() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => Just(0),
        2 => 0..100 * 365 * DAY,
        1 => Just(109 * 365 * DAY),
        1 => Just(1 << 63),
        1 => Just(u64::MAX - DAY),
    ]
}

fn check_timeline(
    table: &impl Table,
    quotas: &[Quota],
    start: u64,
    script: &[Turn],
) -> Result<(), TestCaseError> {
    let mut ideals: Vec<_> = (0..KNOWN)
        .map(|key| IdealBucket::new(quota_of(quotas, key)))
        .collect();
    let mut histories = vec![Vec::new(); ideals.len()];
    let (mut now, mut hint) = (start, Duration::ZERO);
    for (number, &turn) in script.iter().enumerate() {
        let quota = quota_of(quotas, turn.key);
        now = now.saturating_add(turn.step.nanos(quota, hint));
        use_others(table, turn, number, at(now));
        let n = turn.amount.tokens(quota);
        let key = usize::try_from(turn.key).expect("few");
        match check_call(table, quota, &mut ideals[key], (turn.key, n, now))? {
            Outcome::Refused(retry_after) => hint = retry_after,
            Outcome::Admitted => histories[key].push((now, n)),
            Outcome::Never => {}
        }
    }
    for (key, history) in histories.iter().enumerate() {
        assert_bound(quota_of(quotas, key as u64), history);
    }
    Ok(())
}

/// Makes calls at times in any order, as of callers with older readings. None is admitted that the
/// ideal bucket refuses at the latest time.
fn check_unordered(
    table: &impl Table,
    quotas: &[Quota],
    script: &[(Turn, bool)],
) -> Result<(), TestCaseError> {
    let mut ideals: Vec<_> = (0..KNOWN)
        .map(|key| IdealBucket::new(quota_of(quotas, key)))
        .collect();
    let (mut now, mut latest, mut hint) = (0_u64, 0_u64, Duration::ZERO);
    for (number, &(turn, back)) in script.iter().enumerate() {
        let quota = quota_of(quotas, turn.key);
        let nanos = turn.step.nanos(quota, hint);
        now = if back {
            now.saturating_sub(nanos)
        } else {
            now.saturating_add(nanos)
        };
        latest = latest.max(now);
        use_others(table, turn, number, at(now));
        let n = turn.amount.tokens(quota);
        let ideal = &mut ideals[usize::try_from(turn.key).expect("few")];
        match table.try_acquire(turn.key, n, at(now)) {
            Ok(()) if n > 0 => {
                prop_assert!(ideal.admits(n, latest), "{} at {} of {}", n, now, latest);
                ideal.charge(n, now);
            }
            Err(Denied::NotYet { retry_after }) => hint = retry_after.into(),
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_key_of_map_agrees_with_ideal_bucket(
        quotas in prop::collection::vec(any_quota(), 1..4),
        start in any_start(),
        script in prop::collection::vec(any_turn(), 1..40),
    ) {
        check_timeline(&map(quotas.clone()), &quotas, start, &script)?;
    }

    #[test]
    fn every_key_of_table_agrees_with_ideal_bucket(
        quota in any_quota(),
        start in any_start(),
        script in prop::collection::vec(any_turn(), 1..40),
    ) {
        check_timeline(&table(quota), &[quota], start, &script)?;
    }

    #[test]
    fn older_readings_gain_nothing_from_map(
        quotas in prop::collection::vec(any_quota(), 1..4),
        script in prop::collection::vec((any_turn(), any::<bool>()), 1..40),
    ) {
        check_unordered(&map(quotas.clone()), &quotas, &script)?;
    }

    #[test]
    fn older_readings_gain_nothing_from_table(
        quota in any_quota(),
        script in prop::collection::vec((any_turn(), any::<bool>()), 1..40),
    ) {
        check_unordered(&table(quota), &[quota], &script)?;
    }
}

/// The most extreme quotas, at the most extreme times.
#[test]
fn extreme_quotas_at_extreme_times() {
    let ten_years = Duration::from_secs(10 * 31_557_600);
    let quotas = [
        Quota::per_second(1_000_000_000_000),
        Quota::per_second(1_000_000_000_000).burst(1 << 40),
        Quota::per_second(600_000_000).burst(1 << 40),
        Quota::new(1, ten_years).expect("representable"),
        Quota::new(7, ten_years).expect("representable").burst(1),
    ];
    let times = [
        0,
        1,
        end_of_time(quotas[2]),
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ];
    for quota in quotas {
        let capacity = quota.capacity();
        for start in times {
            let tables: [Box<dyn Table>; 2] = [Box::new(map(vec![quota])), Box::new(table(quota))];
            for table in tables {
                let now = at(start);
                assert_eq!(table.available(0, now), capacity, "{quota} at {start}");
                assert_eq!(table.try_acquire(0, 0, now), Ok(()));
                for n in [capacity + 1, u64::MAX] {
                    let never = Err(Denied::Never { capacity });
                    assert_eq!(table.peek(0, n, now), never);
                    assert_eq!(table.try_acquire(0, n, now), never);
                }
                assert_eq!(
                    table.try_acquire(0, capacity, now),
                    Ok(()),
                    "{quota} at {start}"
                );
                assert_eq!(table.available(0, now), 0);
                assert!(table.try_acquire(0, 1, now).is_err(), "{quota} at {start}");
                // At an older reading, no token has come back.
                assert!(
                    table.try_acquire(0, 1, at(0)).is_err(),
                    "{quota} at {start}"
                );
                assert_eq!(table.available(0, at(0)), 0);
            }
        }
    }
}

/// A bucket whose word would end within months is kept whole, and lasts.
#[test]
fn map_of_fast_buckets_lasts() {
    let quota = Quota::per_second(1_000_000_000_000);
    let map = map(vec![quota]);
    let century = at(100 * 365 * DAY);
    for seconds in 0..3 {
        let now = century + Duration::from_secs(seconds);
        assert_eq!(map.try_acquire_at(&0, quota.capacity(), now), Ok(()));
        assert!(map.try_acquire_at(&0, 1, now).is_err());
    }
}
