//! Charges that other scripts take back.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::cases::{LimitCase, windows};
use super::limit_calls::{LimitCharge, LimitState, call, outcome};
use super::window_model::WindowModel;
use crate::scaled_window::ScaledWindow;
use crate::script_calls::{ScriptCall, number, numbers, unsigned};
use crate::script_harness::{START_US, Scripts, check_property, fresh_key};

/// Before each step the clock moves on, or back, by so many thousandths of a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UndoStep {
    thousandths: i64,
    /// Takes back a part of the last charge, or of one so many before, instead of making another.
    undoes: Option<usize>,
    permits: u64,
}

pub(crate) fn undos() -> impl Strategy<Value = (ScaledWindow, Vec<UndoStep>)> {
    let step = (-1_200_i64..2_500, prop::option::of(0_usize..3), 0_u64..4);
    let step = step.prop_map(|(thousandths, undoes, permits)| UndoStep {
        thousandths,
        undoes,
        permits,
    });
    (windows(), prop::collection::vec(step, 1..30))
}

pub(crate) fn check_undos(
    scripts: &mut Scripts,
    (window, steps): &(ScaledWindow, Vec<UndoStep>),
) -> TestCaseResult {
    let (key, mut model) = (fresh_key(), WindowModel::new(*window));
    let (mut now_us, mut charged) = (i128::from(START_US), Vec::new());
    for step in steps {
        now_us += i128::from(window.slot()) * i128::from(step.thousandths) / 1_000;
        now_us = now_us.max(1_000_000);
        let now = u64::try_from(now_us).unwrap();
        let stepped_back = model.observe_clock(now);
        if let Some(back) = step.undoes {
            let chosen = charged.iter().rev().nth(back);
            let (slot, permits) = chosen.copied().unwrap_or((model.slot_at(now), 1));
            let permits = permits.min(step.permits);
            let arguments = [window.limit(), window.slot(), window.reach(), slot, permits];
            let (reply, _) = scripts.undo(ScriptCall {
                keys: vec![key.clone()],
                arguments: arguments.map(number).to_vec(),
                now_us: now,
            });
            let back = model.undo(slot, permits, now);
            if stepped_back {
                // Written once, after the undo.
                model.write(now);
            }
            let expected = [
                i64::try_from(model.slot_at(now)).unwrap(),
                i64::try_from(back).unwrap(),
            ];
            prop_assert_eq!(numbers(&reply)?, expected, "{:?}", step);
            let counted = unsigned(expected[1])?;
            prop_assert!(counted <= permits);
        } else {
            let cost = step.permits.min(window.limit());
            let each = [LimitCharge {
                limit: LimitCase::Window(*window),
                cost,
                unreported: 0,
            }];
            let call = call("take", core::slice::from_ref(&key), &each, 0, now);
            let outcome = outcome("take", &each, &scripts.take(call).0)?;
            let wait = model.wait_us(cost, now);
            prop_assert_eq!(outcome.denial.map(|(_, wait)| wait), wait, "{:?}", step);
            if wait.is_none() && model.charge(cost, window.limit(), now) {
                charged.push((model.slot_at(now), cost));
            }
            prop_assert_eq!(outcome.states[0], LimitState::Window(model.counted(now)));
        }
    }
    Ok(())
}

#[test]
fn only_what_the_current_slot_holds_comes_back() {
    check_property(4, &undos(), check_undos);
}
