//! Timers that tick once per millisecond cost no part of a key's rate.

use core::time::Duration;

use tidegate::{FixedKeyed, Keyed, ManualClock, Overflow, Quota, TokenBucket};

use crate::waiters::{Table, Waiters};
use crate::{MILLISECOND, bucket};

/// The first key that is waited for.
const FIRST: u64 = 1_000;
const KEYS: usize = 4;
const RATE: u64 = 10_000;
const TICKS: u64 = 200;
/// What flows in.
const DUE: u64 = RATE * TICKS / 1_000;
/// Tasks per key, more than are served in a tick. Each waits again and again.
const TASKS: u64 = 32;

/// Returns how many permits each of the keys got.
fn serve<T: Table>(table: &T, clock: &ManualClock) -> [u64; KEYS] {
    let mut waiters = Waiters::at(table, clock);
    let mut served = [0; KEYS];
    for key in 0..KEYS as u64 {
        for _ in 0..TASKS {
            waiters.join(FIRST + key, 1);
        }
    }
    for _ in 0..TICKS {
        waiters.timer.advance(MILLISECOND);
        loop {
            waiters.poll_woken();
            let ended = waiters.ended();
            if ended.is_empty() {
                break;
            }
            for ended in ended {
                assert_eq!(ended.outcome, Ok(()));
                served[usize::try_from(ended.key - FIRST).expect("small")] += 1;
                waiters.join(ended.key, 1);
            }
        }
    }
    served
}

fn check<T: Table>(table: &T, clock: &ManualClock) {
    for served in serve(table, clock) {
        assert!(served * 100 >= DUE * 98, "{served} of {DUE}");
        // The burst, and what flows in.
        assert!(served <= DUE + 1, "{served} of {DUE}");
    }
}

const QUOTA: Quota = Quota::per_second(RATE).burst(1);

#[test]
fn of_a_table_of_fixed_size() {
    let clock = ManualClock::new();
    check(
        &FixedKeyed::with_clock(QUOTA, 10_000, clock.clone()),
        &clock,
    );
}

#[test]
fn of_words() {
    let clock = ManualClock::new();
    let time = clock.clone();
    let table: Keyed<u64, _> = Keyed::new(move |_| bucket(QUOTA, &time));
    check(&table, &clock);
}

#[test]
fn of_whole_limiters() {
    let clock = ManualClock::new();
    let time = clock.clone();
    let table: Keyed<u64, alloc::sync::Arc<TokenBucket<_>>> =
        Keyed::new(move |_| alloc::sync::Arc::new(bucket(QUOTA, &time)));
    check(&table, &clock);
}

/// Keys without room share one limiter, and together they get all of its rate.
#[test]
fn of_the_shared_limiter() {
    let clock = ManualClock::new();
    let time = clock.clone();
    let table: Keyed<u64, _> = Keyed::builder(move |key| match key {
        0 => bucket(Quota::per_hour(1), &time),
        _ => bucket(QUOTA, &time),
    })
    .max_keys(1)
    .overflow(Overflow::Share)
    .build();
    table.try_acquire(&0, 1).expect("the first key");
    let served: u64 = serve(&table, &clock).iter().sum();
    assert!(served * 100 >= DUE * 98, "{served} of {DUE}");
    assert!(served <= DUE + 1, "{served} of {DUE}");
}

/// Without slack, a waiter is decided as of the moment at which it wakes up: one per tick.
#[test]
fn without_slack() {
    let clock = ManualClock::new();
    let fixed = FixedKeyed::with_clock(QUOTA, 10_000, clock.clone()).wait_slack(Duration::ZERO);
    let time = clock.clone();
    let keyed: Keyed<u64, _> = Keyed::builder(move |_| bucket(QUOTA, &time))
        .wait_slack(Duration::ZERO)
        .build();
    let most = TICKS + 1;
    assert!(serve(&fixed, &clock).iter().all(|served| *served <= most));
    assert!(serve(&keyed, &clock).iter().all(|served| *served <= most));
}
