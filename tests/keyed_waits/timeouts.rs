//! Timeouts that cannot be met are refused before sleeping, with the whole wait.

use core::time::Duration;

use tidegate::{Clock, Denied, FixedKeyed, Keyed, ManualClock, Quota, Timestamp};

use crate::waiters::{Table, Waiters};
use crate::{Counts, MILLISECOND, NANOSECOND, SECOND, bucket, on_each_table};

fn not_yet(retry_after: Duration) -> Result<(), Denied> {
    Err(Denied::NotYet {
        retry_after: retry_after.into(),
    })
}

#[test]
fn whole_wait_of_the_own_key() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        table.spend(1, 3);
        for _ in 0..5 {
            waiters.join(1, 2);
        }
        // Ten are ahead, and two more.
        let wait = 12 * SECOND;
        waiters.join_for(1, 2, wait.saturating_sub(NANOSECOND));
        assert_eq!(waiters.outcome(), not_yet(wait));
        assert_eq!(table.waiting(), 5);
        let last = waiters.join_for(1, 2, wait);
        assert!(waiters.waiting().contains(&last));
        // Another key is not behind them, and neither is what is admitted at once.
        waiters.join_for(2, 3, Duration::ZERO);
        assert_eq!(waiters.outcome(), Ok(()));
        waiters.join_for(2, 3, Duration::ZERO);
        assert_eq!(waiters.outcome(), not_yet(3 * SECOND));
        waiters.finish();
        assert!(waiters.admitted().into_iter().eq([0, 1, 2, 3, 4, last]));
    }
    on_each_table!(check, 3);
}

#[test]
fn more_than_the_capacity_is_refused_at_once() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        let never = Err(Denied::Never { capacity: 3 });
        waiters.join(1, 4);
        assert_eq!(waiters.outcome(), never);
        table.spend(1, 3);
        waiters.join(1, 4);
        assert_eq!(waiters.outcome(), never);
        waiters.join(1, 1);
        waiters.join(1, 4);
        assert_eq!(waiters.outcome(), never);
        waiters.join(1, u64::MAX);
        assert_eq!(waiters.outcome(), never);
        assert_eq!(table.waiting(), 1);
    }
    on_each_table!(check, 3);
}

/// With permits there, a caller that may not wait is refused if others are ahead.
#[test]
fn busy_while_others_are_ahead() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        table.spend(1, 2);
        waiters.join(1, 3);
        waiters.timer.advance(2 * SECOND);
        waiters.join_for(1, 1, Duration::ZERO);
        assert_eq!(waiters.outcome(), not_yet(SECOND));
        waiters.poll_woken();
        assert_eq!(waiters.outcome(), Ok(()));
    }
    on_each_table!(check, 3);
}

/// Other calls overtake, so a deadline that could have been met passes.
#[test]
fn deadline_that_other_calls_make_impossible() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        table.spend(1, 1);
        let head = waiters.join(1, 1);
        let behind = waiters.join_for(1, 1, 2 * SECOND);
        for _ in 0..2 {
            waiters.timer.advance(SECOND);
            table.spend(1, 1);
            waiters.poll_woken();
        }
        assert_eq!(waiters.waiting(), [head, behind]);
        // As late as a head may be decided, with the wait of the head and its own.
        waiters.advance(Duration::from_nanos(1_999_999));
        assert_eq!(waiters.waiting(), [head, behind]);
        waiters.advance(NANOSECOND);
        assert_eq!(waiters.outcome(), not_yet(1_998 * MILLISECOND));
        assert_eq!((table.waiting(), table.waiting_for(1)), (1, 1));
        waiters.finish();
        assert_eq!(waiters.admitted(), [head]);
        assert_eq!(clock.now(), Timestamp::ZERO + 3 * SECOND);
    }
    on_each_table!(check, 1);
}

/// Rates that a word must round: the hint behind others is that of one call for all of it.
#[test]
fn hints_of_rounded_rates_are_those_of_one_larger_call() {
    for rate in [3, 7, 999_999_937] {
        let quota = Quota::per_second(rate).burst(10);
        let clock = ManualClock::new();
        let fixed = FixedKeyed::with_clock(quota, 100, clock.clone());
        let time = clock.clone();
        let keyed: Keyed<u64, _> = Keyed::new(move |_| bucket(quota, &time));
        for key in [1, 2] {
            fixed.try_acquire(&key, 10).unwrap();
            keyed.try_acquire(&key, 10).unwrap();
        }
        let (mut at_fixed, mut at_keyed) =
            (Waiters::at(&fixed, &clock), Waiters::at(&keyed, &clock));
        at_fixed.join(1, 6);
        at_keyed.join(1, 6);
        at_fixed.join_for(1, 4, Duration::ZERO);
        at_keyed.join_for(1, 4, Duration::ZERO);
        assert_eq!(at_fixed.outcome(), fixed.peek(&2, 10));
        assert_eq!(at_keyed.outcome(), keyed.peek(&2, 10));
    }
}

/// The first waiter is decided as of when it was due, although its timer is late. So those behind
/// it are due as if the timer had been in time.
#[test]
fn whole_wait_behind_a_waiter_whose_timer_is_late() {
    fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
        let mut waiters = Waiters::at(table, clock);
        table.spend(1, 1);
        let first = waiters.join(1, 1);
        clock.advance(SECOND + MILLISECOND);
        let wait = SECOND.saturating_sub(MILLISECOND);
        waiters.join_for(1, 1, wait.saturating_sub(NANOSECOND));
        assert_eq!(waiters.outcome(), not_yet(wait));
        let second = waiters.join_for(1, 1, wait);
        assert!(waiters.waiting().contains(&second));
        waiters.finish();
        assert!(waiters.admitted().into_iter().eq([first, second]));
    }
    on_each_table!(check, 1);
}
