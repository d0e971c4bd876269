//! The order of service, and that keys do not delay each other.

use core::time::Duration;

use tidegate::{Clock, ManualClock, Timestamp};

use crate::random::Random;
use crate::waiters::{Table, Waiters};
use crate::{Counts, SECOND, on_each_table};

/// 200 tasks wait for one key: 200 waits, in order, and no task asks in vain.
#[test]
fn tasks_that_wait_for_one_key_wait_once_each() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        table.spend(7, 1);
        for number in 0..200 {
            assert_eq!(waiters.join(7, 1), number);
        }
        assert_eq!((table.waiting(), table.waiting_for(7)), (200, 200));
        assert_eq!(table.waiting_for(8), 0);
        // The other waiters have no timer.
        assert_eq!((waiters.timer.pending(), waiters.timer.started()), (1, 1));
        for number in 0..200 {
            waiters.advance(SECOND);
            assert_eq!(waiters.admitted(), [number]);
        }
        assert_eq!(waiters.timer.started(), 200);
        assert_eq!((table.waiting(), table.waiting_for(7)), (0, 0));
    }
    on_each_table!(check, 1);
}

/// Each waiter is admitted at the instant at which it would be if its key were alone.
#[test]
fn keys_do_not_delay_each_other() {
    const KEYS: usize = 10;
    const BURST: u64 = 5;
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        let mut random = Random(3);
        let mut asked = [0; KEYS];
        let mut expected: Vec<(u64, Timestamp)> = Vec::new();
        for _ in 0..500 {
            let (key, n) = (random.below(KEYS as u64), 1 + random.below(BURST));
            let sum = &mut asked[usize::try_from(key).expect("small")];
            *sum += n;
            let wait = Duration::from_secs(u64::saturating_sub(*sum, BURST));
            expected.push((key, Timestamp::ZERO + wait));
            waiters.join(key, n);
        }
        waiters.finish();
        let ended = waiters.ended();
        assert_eq!(ended.len(), expected.len());
        for key in 0..KEYS as u64 {
            let of_key = ended.iter().filter(|ended| ended.key == key);
            let numbers: Vec<usize> = of_key.map(|ended| ended.number).collect();
            assert!(numbers.is_sorted(), "{numbers:?}");
        }
        for ended in ended {
            let (key, at) = expected[ended.number];
            assert_eq!((ended.key, ended.outcome), (key, Ok(())));
            assert_eq!(ended.at, at, "waiter {} of key {key}", ended.number);
        }
        assert_eq!(table.waiting(), 0);
    }
    on_each_table!(check, BURST);
}

/// Later and smaller waiters of a key do not overtake, although their permits are available.
#[test]
fn large_waiters_are_not_starved() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        table.spend(1, 1);
        let large = waiters.join(1, 5);
        let small = waiters.join(1, 1);
        assert_eq!(waiters.waiting(), [large, small]);
        // Another key is not behind them.
        let other = waiters.join(2, 1);
        assert_eq!(waiters.admitted(), [other]);
        waiters.finish();
        assert_eq!(waiters.admitted(), [large, small]);
        assert_eq!(clock.now(), Timestamp::ZERO + 2 * SECOND);
    }
    on_each_table!(check, 5);
}

#[test]
fn nothing_is_free_and_waits_for_none() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        table.spend(1, 1);
        waiters.join(1, 1);
        let free = waiters.join(1, 0);
        assert_eq!(waiters.admitted(), [free]);
        waiters.join(2, 0);
        assert_eq!((table.waiting(), table.available(2)), (1, 1));
    }
    on_each_table!(check, 1);
}
