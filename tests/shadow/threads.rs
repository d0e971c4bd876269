//! Many threads at once: totals are exact, and the live limit admits what it would admit alone.

use tidegate::{FixedKeyed, KeyedShadow, Limiter, ManualClock, Quota, Shadow};

use crate::parallel::in_parallel;
use crate::{bucket, counts};

const THREADS: usize = 4;
const CALLS: u64 = 5_000;
const ALL: u64 = CALLS * THREADS as u64;

#[test]
fn totals_are_exact() {
    for is_replacement in [false, true] {
        let clock = ManualClock::new();
        let shadow = if is_replacement {
            Shadow::instead
        } else {
            Shadow::beside
        };
        let limit = shadow(bucket(3_000, &clock), bucket(1_000, &clock));
        let admitted = in_parallel(THREADS, |_| {
            (0..CALLS).filter(|_| limit.try_acquire(1).is_ok()).count() as u64
        });
        assert_eq!(admitted.iter().sum::<u64>(), 3_000);
        let stats = limit.stats();
        assert_eq!((stats.admitted(), stats.calls()), (3_000, ALL));
        if is_replacement {
            // It admits its own 1000, some of them maybe of calls that the live limit refused.
            assert_eq!(stats.candidate_admitted(), 1_000);
        } else {
            // No order of the two charges lets it refuse while it has any left.
            assert_eq!(counts(stats)[..2], [1_000, 2_000]);
            assert_eq!(stats.refused(), ALL - 3_000);
        }
    }
}

#[test]
fn undone_calls_leave_no_count() {
    let clock = ManualClock::new();
    let limit = Shadow::beside(bucket(u64::from(u32::MAX), &clock), bucket(10, &clock));
    let kept = in_parallel(THREADS, |_| {
        let now = limit.now();
        let mut kept = 0;
        for n in 0..CALLS {
            let charge = limit.charge_at(1, now).expect("there are enough");
            if n % 2 == 0 {
                limit.undo(charge);
            } else {
                kept += 1;
            }
        }
        kept
    });
    let stats = limit.stats();
    assert_eq!(stats.admitted(), kept.iter().sum::<u64>());
    assert_eq!(stats.calls(), ALL / 2);
    assert!(stats.both_admitted <= 10, "{stats:?}");
}

#[test]
fn totals_of_tables_are_exact() {
    let clock = ManualClock::new();
    let table =
        |burst| FixedKeyed::with_clock(Quota::per_second(1).burst(burst), 1_000, clock.clone());
    let users = KeyedShadow::beside(table(100), table(30));
    let admitted = in_parallel(THREADS, |_| {
        let calls = 0..CALLS;
        calls
            .filter(|n| users.try_acquire(&(n % 10), 1).is_ok())
            .count() as u64
    });
    assert_eq!(admitted.iter().sum::<u64>(), 1_000);
    assert_eq!(counts(users.stats())[..2], [300, 700]);
    assert_eq!(users.stats().calls(), ALL);
}
