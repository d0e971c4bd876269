//! The numbers of waiters, in all and per key.

use tidegate::{Denied, FixedKeyed, Keyed, ManualClock};

use crate::waiters::{Table, Waiters};
use crate::{Counts, SECOND, bucket, per_second};

fn fixed(most: usize, per_key: usize, clock: &ManualClock) -> FixedKeyed<ManualClock> {
    FixedKeyed::with_clock(per_second(1), 1_000, clock.clone())
        .max_waiters(most)
        .max_waiters_per_key(per_key)
}

fn keyed(
    most: usize,
    per_key: usize,
    clock: &ManualClock,
) -> Keyed<u64, tidegate::TokenBucket<ManualClock>> {
    let time = clock.clone();
    Keyed::builder(move |_: &u64| bucket(per_second(1), &time))
        .max_waiters(most)
        .max_waiters_per_key(per_key)
        .build()
}

/// Calls `check(&table, &clock)` with a table of each kind and these bounds.
macro_rules! with_bounds {
    ($check:ident, $most:expr, $per_key:expr) => {
        let clock = ManualClock::new();
        $check(&fixed($most, $per_key, &clock), &clock);
        let clock = ManualClock::new();
        $check(&keyed($most, $per_key, &clock), &clock);
    };
}

#[test]
fn most_in_all() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        for key in 0..10 {
            table.spend(key, 1);
        }
        let first = waiters.join(0, 1);
        for key in 1..3 {
            waiters.join(key, 1);
        }
        assert_eq!(table.waiting(), 3);
        // With those that wait for the same key.
        for (key, retry_after) in [(0, 2 * SECOND), (5, SECOND)] {
            waiters.join(key, 1);
            assert_eq!(
                waiters.outcome(),
                Err(Denied::NotYet {
                    retry_after: retry_after.into()
                })
            );
        }
        // A call that need not wait is admitted.
        waiters.join(20, 1);
        assert_eq!(waiters.outcome(), Ok(()));
        assert_eq!(table.waiting(), 3);
        waiters.leave(first);
        let other = waiters.join(5, 1);
        assert_eq!((table.waiting(), waiters.waiting()), (3, vec![1, 2, other]));
        waiters.finish();
        assert_eq!(waiters.admitted(), [1, 2, other]);
    }
    with_bounds!(check, 3, usize::MAX);
}

#[test]
fn most_per_key() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        table.spend(1, 1);
        table.spend(2, 1);
        waiters.join(1, 1);
        waiters.join(1, 1);
        waiters.join(1, 1);
        // With those ahead.
        let retry_after = 3 * SECOND;
        assert_eq!(
            waiters.outcome(),
            Err(Denied::NotYet {
                retry_after: retry_after.into()
            })
        );
        assert_eq!((table.waiting(), table.waiting_for(1)), (2, 2));
        waiters.join(2, 1);
        assert_eq!((table.waiting(), table.waiting_for(2)), (3, 1));
        waiters.finish();
        // The queue is gone; the bound is not.
        for key in [1, 1, 1] {
            waiters.join(key, 1);
        }
        assert_eq!(table.waiting_for(1), 2);
    }
    with_bounds!(check, usize::MAX, 2);
}

#[test]
fn no_waiters_at_all() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        waiters.join(1, 1);
        assert_eq!(waiters.outcome(), Ok(()));
        waiters.join(1, 1);
        assert!(waiters.outcome().is_err());
        assert_eq!((table.waiting(), waiters.timer.started()), (0, 0));
    }
    with_bounds!(check, 0, usize::MAX);
    with_bounds!(check, usize::MAX, 0);
}

/// A flood of keys that are all exhausted: no more than the bound wait.
#[test]
fn flood_of_keys_that_wait() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        for key in 0..400 {
            table.spend(key, 1);
            for _ in 0..10 {
                waiters.join(key, 1);
            }
        }
        assert_eq!((table.waiting(), waiters.waiting().len()), (500, 500));
        let refused = waiters.ended();
        assert_eq!(refused.len(), 3_500);
        assert!(refused.iter().all(|ended| ended.outcome.is_err()));
        waiters.finish();
        assert_eq!((waiters.admitted().len(), table.waiting()), (500, 0));
    }
    with_bounds!(check, 500, 2);
}
