//! Keys without room, under each policy.

use core::time::Duration;

use tidegate::{
    Clock, Denied, FixedKeyed, Keyed, ManualClock, Overflow, RetryAfter, Timestamp, TokenBucket,
};

use crate::waiters::{Table, Waiters};
use crate::{Counts, SECOND, bucket, per_second};

const BUSY: Denied = Denied::Busy {
    retry_after: RetryAfter::from_nanos(1_000_000_000),
};
/// Has room.
const KNOWN: u64 = 0;

/// A table whose only key has spent all but one of two tokens.
fn keyed(overflow: Overflow, clock: &ManualClock) -> Keyed<u64, TokenBucket<ManualClock>> {
    let time = clock.clone();
    let table = Keyed::builder(move |_: &u64| bucket(per_second(2), &time))
        .max_keys(1)
        .overflow(overflow)
        .build();
    table.spend(KNOWN, 1);
    table
}

/// The same, with 15 keys.
fn fixed(overflow: Overflow, clock: &ManualClock) -> FixedKeyed<ManualClock> {
    let table = FixedKeyed::with_clock(per_second(2), 1, clock.clone()).overflow(overflow);
    for key in 0..15 {
        table.spend(key, 1);
    }
    assert_eq!(table.stats().overflowed, 0);
    table
}

/// Calls `check(&table, &clock)` with a table of each kind that is full until a second from now.
macro_rules! on_full_tables {
    ($check:ident, $overflow:expr) => {
        let clock = ManualClock::new();
        $check(&fixed($overflow, &clock), &clock);
        let clock = ManualClock::new();
        $check(&keyed($overflow, &clock), &clock);
    };
}

/// Waiters ask again after the estimate. They are served in order, once there is room.
#[test]
fn refused_keys_wait_for_room() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        waiters.join_for(100, 1, SECOND / 2);
        assert_eq!(waiters.outcome(), Err(BUSY));
        assert_eq!(table.waiting(), 0);
        let first = waiters.join(100, 2);
        let second = waiters.join(100, 1);
        // Keys with room are decided as always.
        let known = waiters.join(KNOWN, 1);
        assert_eq!(waiters.admitted(), [known]);
        waiters.advance(SECOND);
        waiters.finish();
        assert_eq!(waiters.admitted(), [first, second]);
        assert_eq!((table.waiting(), table.available(100)), (0, 0));
    }
    on_full_tables!(check, Overflow::Refuse);
}

/// With the others in use all the time, a waiter asks once per estimate, until its timeout.
#[test]
fn refused_keys_ask_again_once_per_estimate() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        waiters.join_for(100, 1, 5 * SECOND);
        for second in 0..5 {
            assert_eq!(waiters.timer.started(), second + 1);
            waiters.timer.advance(SECOND);
            for key in 0..15 {
                // Not every one has room, and none refuses.
                if table.available(key) > 0 && key == KNOWN {
                    table.spend(key, 1);
                }
            }
            waiters.poll_woken();
        }
        assert_eq!(waiters.outcome(), Err(BUSY));
        assert_eq!(table.waiting(), 0);
    }
    let clock = ManualClock::new();
    check(&keyed(Overflow::Refuse, &clock), &clock);
}

/// Keys without room wait at the shared limiter, each in a queue of its own. Together they get what
/// one key gets.
#[test]
fn shared_limiter_serves_waiters_of_all_keys() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        let mut first = [0; 3];
        for (index, key) in [100, 101, 102].into_iter().enumerate() {
            first[index] = waiters.join(key, 1);
        }
        assert_eq!(waiters.admitted(), first[..2]);
        // No wait is longer than the shared limiter's.
        waiters.join_for(100, 1, Duration::ZERO);
        let retry_after = SECOND;
        assert_eq!(
            waiters.outcome(),
            Err(Denied::NotYet {
                retry_after: retry_after.into()
            })
        );
        // With those that wait for the same key.
        waiters.join_for(102, 1, Duration::ZERO);
        let retry_after = 2 * SECOND;
        assert_eq!(
            waiters.outcome(),
            Err(Denied::NotYet {
                retry_after: retry_after.into()
            })
        );
        waiters.advance(SECOND / 2);
        assert_eq!(waiters.admitted(), []);
        assert_eq!(clock.now(), Timestamp::ZERO + SECOND / 2);
        waiters.finish();
        assert_eq!(waiters.admitted(), [first[2]]);
        assert_eq!(clock.now(), Timestamp::ZERO + SECOND);
    }
    on_full_tables!(check, Overflow::Share);
}

#[test]
fn admitted_keys_need_not_wait() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        for _ in 0..100 {
            waiters.join(100, 2);
        }
        assert_eq!(waiters.admitted().len(), 100);
        waiters.join(100, 3);
        assert_eq!(waiters.outcome(), Err(Denied::Never { capacity: 2 }));
        assert_eq!((table.waiting(), waiters.timer.started()), (0, 0));
    }
    on_full_tables!(check, Overflow::Admit);
}

/// Where no key ever finds room, no wait helps.
#[test]
fn table_for_no_keys() {
    let clock = ManualClock::new();
    let time = clock.clone();
    let table = Keyed::builder(move |_: &u64| bucket(per_second(2), &time))
        .max_keys(0)
        .overflow(Overflow::Refuse)
        .build();
    let mut waiters = Waiters::at(&table, &clock);
    waiters.join(1, 1);
    assert_eq!(waiters.outcome(), Err(Denied::Never { capacity: 0 }));
}

#[test]
fn attempts_without_room_are_counted() {
    let clock = ManualClock::new();
    for overflow in [Overflow::Share, Overflow::Refuse, Overflow::Admit] {
        let table = keyed(overflow, &clock);
        let mut waiters = Waiters::at(&table, &clock);
        waiters.join_for(100, 1, Duration::ZERO);
        assert_eq!(table.stats().overflowed, 1, "{overflow:?}");
    }
}
