//! Waiters that leave.

use alloc::collections::VecDeque;
use core::time::Duration;

use tidegate::{Clock, ManualClock, Timestamp};

use crate::random::Random;
use crate::waiters::{Table, Waiters};
use crate::{Counts, SECOND, on_each_table};

/// Nothing is charged for a waiter that leaves, at any position, and those behind it move up.
#[test]
fn leaving_costs_nothing() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        table.spend(1, 3);
        let joined: Vec<usize> = (0..6).map(|_| waiters.join(1, 2)).collect();
        for leaver in [0, 2, 5] {
            waiters.leave(joined[leaver]);
        }
        waiters.poll_woken();
        assert_eq!(table.waiting_for(1), 3);
        waiters.finish();
        assert_eq!(waiters.admitted(), [1, 3, 4]);
        assert_eq!(clock.now(), Timestamp::ZERO + 6 * SECOND);
        assert_eq!(table.available(1), 0);
    }
    on_each_table!(check, 3);
}

/// A head that is due and dropped before it is polled leaves its permits to the next.
#[test]
fn due_head_that_leaves_passes_its_turn_on() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        table.spend(1, 1);
        let (head, next) = (waiters.join(1, 1), waiters.join(1, 1));
        waiters.timer.advance(SECOND);
        waiters.leave(head);
        waiters.poll_woken();
        assert_eq!(waiters.admitted(), [next]);
        assert_eq!((table.available(1), table.waiting()), (0, 0));
    }
    on_each_table!(check, 1);
}

/// A key gets 1 permit per second; two callers per second give up after 10 s. Another key is not
/// touched, and a key without leavers gets the same rate.
#[test]
fn leavers_take_no_part_of_the_rate() {
    const SECONDS: usize = 200;
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        let mut present = VecDeque::new();
        for half_second in 0..2 * SECONDS {
            present.push_back((half_second, waiters.join(1, 1)));
            waiters.advance(SECOND / 2);
            let waiting = waiters.waiting();
            while let Some(&(joined, number)) = present.front() {
                if joined + 20 > half_second {
                    break;
                }
                present.pop_front();
                if waiting.contains(&number) {
                    waiters.leave(number);
                }
            }
            waiters.poll_woken();
        }
        let served = waiters.admitted().len();
        assert!(served >= SECONDS, "{served} in {SECONDS} s");
        assert_eq!(table.available(2), 1);
    }
    on_each_table!(check, 1);
}

/// Waits that are canceled lose nothing and leave nothing.
#[test]
fn canceled_waits_leave_nothing() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        let mut random = Random(9);
        for key in 0..8 {
            table.spend(key, 1);
        }
        let mut present = Vec::new();
        for _ in 0..20_000 {
            present.push(waiters.join(random.below(8), 1));
            if present.len() > 100 {
                waiters.leave(random.take(&mut present));
            }
        }
        for number in present {
            waiters.leave(number);
        }
        waiters.poll_woken();
        assert_eq!((table.waiting(), waiters.timer.pending()), (0, 0));
        waiters.advance(SECOND);
        for key in 0..8 {
            assert_eq!((table.available(key), table.waiting_for(key)), (1, 0));
            waiters.join_for(key, 1, Duration::ZERO);
        }
        assert_eq!(waiters.admitted().len(), 8);
    }
    on_each_table!(check, 1);
}
