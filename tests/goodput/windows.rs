//! Sliding windows under random loads.
//!
//! Permits come back when the slot in which they were taken has aged out: after the window and at
//! most one slot, so with 64 slots at most 64/65 of the limit can be used in the long run. That is
//! what the tests demand, exactly.

use core::time::Duration;

use proptest::prelude::*;
use tidegate::{ManualClock, SlidingWindow};

use crate::buckets::{any_lateness, config};
use crate::load::{Call, Load, Patience, any_load};
use crate::oracle;
use crate::record::Record;
use crate::scenario::Scenario;
use crate::timer::Lateness;
use crate::{NANOS, SLACK, TICK};

/// Longer than 64 times the most that a timer is late, so that it is late by less than a slot.
pub(crate) fn any_length() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(NANOS / 2),
        Just(NANOS),
        Just(60 * NANOS),
        NANOS / 2..3_600 * NANOS
    ]
}

pub(crate) fn window(limit: u64, length: u64, clock: &ManualClock) -> SlidingWindow<ManualClock> {
    let length = Duration::from_nanos(length);
    let window = SlidingWindow::with_clock(limit, length, clock.clone()).expect("valid");
    assert_eq!(window.slot_count(), 64);
    window
}

/// After this time, permits are back.
pub(crate) const fn cycle(length: u64) -> u64 {
    length + length.div_ceil(64)
}

/// Asserts that the first call in line does not wait any longer once there is room for it. There
/// is, if few enough were admitted within a window and a slot.
pub(crate) fn check_head(record: &Record<'_>, now: u64, (limit, length): (u64, u64), late: u64) {
    let Some(head) = record.head() else { return };
    let then = now.saturating_sub(late);
    if head.since <= then && then > cycle(length) {
        let services = record.services.borrow();
        let in_window = oracle::admitted_after(&services, then - cycle(length));
        assert!(
            in_window + head.n > limit,
            "{head:?} waits at {now}: {in_window} of {limit}"
        );
    }
}

/// Calls that together use up a window for some cycles: load, and patient ones that see to it that
/// there is demand at any time.
fn crowd(load: Load, limit: u64, length: u64) -> Vec<Call> {
    let rate = (limit * NANOS / length).max(1);
    let mut calls = load.of_ones().calls(rate, limit, 300);
    let patient = Call {
        at: 0,
        n: 1,
        patience: Patience::Endless,
    };
    calls.retain(|call| call.n == 1);
    calls.extend((0..4 * limit).map(|_| patient));
    calls
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn window_gives_all_it_has_in_order(
        limit in prop_oneof![1_u64..10, 10_u64..200],
        length in any_length(),
        load in any_load(),
        lateness in any_lateness(),
    ) {
        let clock = ManualClock::new();
        let window = window(limit, length, &clock);
        let rate = (limit * NANOS / length).max(1);
        let scenario = Scenario {
            calls: load.calls(rate, limit, 300),
            lateness,
            slack: SLACK,
            seed: load.seed,
        };
        let record = scenario.run(&window, &clock, |record, now| {
            check_head(record, now, (limit, length), lateness.most());
        });
        oracle::check_window(&record.services.borrow(), limit, length);
        prop_assert_eq!(window.waiting(), 0);
    }

    /// While there is demand, each cycle of a window and a slot admits the limit.
    #[test]
    fn window_uses_its_limit_in_every_cycle(
        limit in prop_oneof![1_u64..10, 10_u64..100],
        length in any_length(),
        load in any_load(),
        lateness in any_lateness(),
    ) {
        let clock = ManualClock::new();
        let window = window(limit, length, &clock);
        let scenario = Scenario {
            calls: crowd(load, limit, length),
            lateness,
            slack: SLACK,
            seed: load.seed,
        };
        let record = scenario.run(&window, &clock, |_, _| ());
        let services = record.services.borrow();
        oracle::check_window(&services, limit, length);
        for cycles in 1..=3 {
            let end = cycles * cycle(length) + 2 * TICK;
            let in_time = services.iter().filter(|service| service.at <= end);
            let admitted: u64 = in_time.map(|service| service.n).sum();
            prop_assert!(admitted >= (cycles + 1) * limit, "{} after {} cycles", admitted, cycles);
            // Nearly all of the quota.
            let after_burst = u128::from(admitted - limit) * u128::from(length);
            let quota = u128::from(limit) * u128::from(end);
            prop_assert!(after_burst * 100 >= quota * 98);
        }
    }

    #[test]
    fn window_holds_its_limit_when_the_process_stalls(
        limit in 1_u64..100,
        length in any_length(),
        load in any_load(),
    ) {
        let clock = ManualClock::new();
        let window = window(limit, length, &clock);
        let rate = (limit * NANOS / length).max(1);
        let scenario = Scenario {
            calls: load.calls(rate, limit, 300),
            lateness: Lateness::Stalls,
            slack: SLACK,
            seed: load.seed,
        };
        let record = scenario.run(&window, &clock, |_, _| ());
        oracle::check_window(&record.services.borrow(), limit, length);
    }
}
