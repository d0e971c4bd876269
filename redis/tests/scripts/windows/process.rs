//! Windows on the server beside the window of one process.

use proptest::prelude::*;
use tidegate::{Denied, ManualClock, SlidingWindow, Timestamp};

use super::cases::{LimitCase, length_us, window};
use super::limit_calls::{LimitCharge, LimitState, call, outcome};
use crate::arithmetic::action::{Action, ClockStep, Operation, window_action};
use crate::scaled_window::ScaledWindow;
use crate::script_harness::{START_US, Scripts, check_property, fresh_key};

const fn at(us: u64) -> Timestamp {
    Timestamp::from_nanos(us * 1_000)
}

fn in_process(window: ScaledWindow) -> SlidingWindow<ManualClock> {
    SlidingWindow::with_clock(window.limit(), window.length(), ManualClock::new()).unwrap()
}

/// What one call returns: the wait in microseconds, and what is left.
fn on_server(
    scripts: &mut Scripts,
    op: &str,
    key: &str,
    (window, cost): (ScaledWindow, u64),
    now_us: u64,
) -> Result<(Option<u64>, u64), TestCaseError> {
    let charges = [LimitCharge {
        limit: LimitCase::Window(window),
        cost,
        unreported: 0,
    }];
    let call = call(op, &[key.to_owned()], &charges, 0, now_us);
    let outcome = outcome(op, &charges, &scripts.take(call).0)?;
    let LimitState::Window(counted) = outcome.states[0] else {
        unreachable!("a window");
    };
    Ok((
        outcome.denial.map(|(_, wait)| wait),
        window.available(counted),
    ))
}

fn wait_us(result: Result<(), Denied>) -> Option<u64> {
    match result {
        Ok(()) => None,
        Err(Denied::NotYet { retry_after }) => {
            Some(u64::try_from(retry_after.as_duration().as_micros()).unwrap())
        }
        Err(other) => panic!("{other}"),
    }
}

/// Slots of the same length begin at the same times.
#[test]
fn script_agrees_with_the_in_process_window() {
    let windows = (1_u64..10, 1_u64..2_000_000).prop_map(|(limit, slot)| window(limit, slot * 64));
    let actions = prop::collection::vec(window_action(false, 0), 1..40);
    check_property(4, &(windows, actions), |scripts, (window, actions)| {
        let (local, key) = (in_process(*window), fresh_key());
        prop_assert_eq!(local.slot_count(), 64);
        let (mut now_us, mut hint_us) = (START_US, 0);
        for Action {
            step,
            operation,
            costs,
            ..
        } in actions
        {
            now_us += match *step {
                ClockStep::ForwardUs(us) => us % (length_us(*window) * 2),
                ClockStep::Refill(thousandths) => length_us(*window) * thousandths / 1_000,
                ClockStep::Retry { early } => u64::saturating_sub(hint_us, early.into()),
                ClockStep::BackUs(_) => unreachable!("not generated"),
            };
            let available = || local.available_at(at(now_us));
            let cost = crate::arithmetic::comparison::permits(costs[0], window.limit(), available);
            let (op, wait) = match operation {
                Operation::Take => ("take", local.try_acquire_at(cost, at(now_us))),
                _ => ("peek", local.peek_at(cost, at(now_us))),
            };
            if cost > window.limit() {
                // Refused without a call.
                continue;
            }
            let expected = (wait_us(wait), local.available_at(at(now_us)));
            let outcome = on_server(scripts, op, &key, (*window, cost), now_us)?;
            prop_assert_eq!(outcome, expected, "{} {} at {}", op, cost, now_us);
            hint_us = expected.0.unwrap_or(0);
        }
        Ok(())
    });
}

/// One call after the other, each as soon as the hint of the last denial allows.
#[test]
fn under_demand_a_window_admits_what_64_slots_can_give() {
    let mut scripts = Scripts::start();
    for (limit, us) in [
        (50, 60_000_000),
        (20, 1_000_001),
        (7, 100_000),
        (30, 1_999),
        (3, 61),
    ] {
        let (window, key) = (window(limit, us), fresh_key());
        let local = in_process(window);
        let end_us = START_US + 20 * us;
        let (mut now_us, mut local_us) = (START_US, START_US);
        let (mut on_server_total, mut local_total) = (0_u64, 0_u64);
        while now_us < end_us {
            let taken = on_server(&mut scripts, "take", &key, (window, 1), now_us).unwrap();
            match taken.0 {
                None => on_server_total += 1,
                Some(wait_us) => now_us += wait_us,
            }
        }
        while local_us < end_us {
            match wait_us(local.try_acquire_at(1, at(local_us))) {
                None => local_total += 1,
                Some(wait) => local_us += wait.max(1),
            }
        }
        assert!(
            on_server_total * 100 >= local_total * 98,
            "{limit} in {us} us: {on_server_total} of {local_total}"
        );
    }
}
