//! Ten thousand waiters: what each of them costs.

use core::time::Duration;

use tidegate::{Acquire, Awaitable, Combined, ManualClock, Quota, SlidingWindow, TokenBucket};

use crate::NANOS;
use crate::load::{Call, Patience};
use crate::record::Record;
use crate::simulation::Simulation;
use crate::timer::Lateness;

const WAITERS: u64 = 10_000;

/// Lets all wait at once until they are served. Returns polls and sleeps for each of them, in
/// thousandths.
fn cost<L: Awaitable>(limiter: &L, clock: &ManualClock, patience: Patience) -> (u64, u64) {
    let record = Record::new(clock, 0);
    let mut simulation = Simulation::new(clock, Lateness::Ticks, 1);
    let timer = simulation.timer.clone();
    for _ in 0..WAITERS {
        let call = Call {
            at: 0,
            n: 1,
            patience,
        };
        let acquire = Acquire::new(limiter, 1).timeout(call.timeout());
        let acquire = record.watch(call, acquire.timer(timer.clone()));
        simulation.spawn(async move { acquire.await.expect("patient") });
    }
    simulation.run(|_| ());
    drop(simulation);
    assert_eq!(record.admitted.get(), WAITERS);
    let thousandths = |all: u64| (all * 1_000).div_ceil(WAITERS);
    (
        thousandths(record.polls.get()),
        thousandths(timer.started()),
    )
}

fn bucket(rate: u64, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(Quota::per_second(rate).burst(1), clock.clone())
}

/// A poll to join, one to be told that it is the head, and one at the end of its sleep.
#[test]
fn waiter_is_polled_three_times_and_sleeps_once() {
    for rate in [100, 900, 1_000, 20_000] {
        let clock = ManualClock::new();
        let cost = cost(&bucket(rate, &clock), &clock, Patience::Endless);
        assert!(cost.0 <= 3_000 && cost.1 <= 1_000, "{cost:?} at {rate}/s");
    }
}

/// One tick serves all who were due in it: they are told that they are the head, and go at once.
#[test]
fn waiters_that_are_due_in_one_tick_share_a_sleep() {
    let clock = ManualClock::new();
    let cost = cost(&bucket(20_000, &clock), &clock, Patience::Endless);
    // Twenty are due in a tick.
    assert!(cost.0 <= 2_100 && cost.1 <= 60, "{cost:?}");
}

/// A timeout costs a waiter one more sleep, and no poll before it is the head.
#[test]
fn waiter_with_timeout_sleeps_twice() {
    for rate in [100, 1_000, 20_000] {
        let clock = ManualClock::new();
        let hour = Patience::Timeout(3_600 * NANOS);
        let cost = cost(&bucket(rate, &clock), &clock, hour);
        assert!(cost.0 <= 3_000 && cost.1 <= 2_000, "{cost:?} at {rate}/s");
    }
}

#[test]
fn waiter_at_window_and_combination_costs_as_much() {
    let second = Duration::from_secs(1);
    let window = |clock: &ManualClock| {
        SlidingWindow::with_clock(1_000, second, clock.clone()).expect("valid")
    };
    let clock = ManualClock::new();
    let at_window = cost(&window(&clock), &clock, Patience::Endless);
    let clock = ManualClock::new();
    let both = Combined::builder()
        .limit("window", window(&clock))
        .limit("bucket", bucket(2_000, &clock))
        .build();
    let at_both = cost(&both, &clock, Patience::Endless);
    assert!(at_window.0 <= 2_100 && at_window.1 <= 100, "{at_window:?}");
    assert!(at_both.0 <= 3_000 && at_both.1 <= 1_000, "{at_both:?}");
}
