//! Timers that tick once per millisecond cost no part of a key's rate.

use tidegate::{FixedKeyed, Keyed, ManualClock, Quota, TokenBucket};

use crate::waiters::{Table, Waiters};
use crate::{MILLISECOND, bucket};

const KEYS: usize = 4;
const RATE: u64 = 10_000;
const TICKS: u64 = 200;

/// Tasks per key, more than are served in a tick. Each waits again and again.
const TASKS: u64 = 32;

fn check<T: Table>(table: &T, clock: &ManualClock) {
    let mut waiters = Waiters::at(table, clock);
    let mut served = [0_u64; KEYS];
    for key in 0..KEYS as u64 {
        for _ in 0..TASKS {
            waiters.join(key, 1);
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
                served[usize::try_from(ended.key).expect("small")] += 1;
                waiters.join(ended.key, 1);
            }
        }
    }
    let due = RATE * TICKS / 1_000;
    for served in served {
        assert!(served * 100 >= due * 98, "{served} of {due}");
        // The burst, and what flows in.
        assert!(served <= due + 1, "{served} of {due}");
    }
}

const QUOTA: Quota = Quota::per_second(RATE).burst(1);

#[test]
fn of_a_table_of_fixed_size() {
    let clock = ManualClock::new();
    check(&FixedKeyed::with_clock(QUOTA, 100, clock.clone()), &clock);
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
