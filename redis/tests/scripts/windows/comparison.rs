//! Compares each call with an exact model: its reply, its writes, and the key's expiry. And checks
//! the bound of each window in the time that has really passed.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::cases::{LimitCase, WindowsCase, cases, length_us};
use super::limit_calls::{LimitCharge, Outcome, call, outcome};
use super::limit_model::LimitModel;
use crate::arithmetic::action::{Action, ClockStep, END_US, Operation};
use crate::arithmetic::comparison::permits;
use crate::scaled_window::ScaledWindow;
use crate::script_calls::ScriptCall;
use crate::script_harness::{Scripts, check_property, fresh_key};

/// What a call should do.
struct Expected {
    operation: Operation,
    charges: Vec<LimitCharge>,
    outcome: Outcome,
    /// For each limit: whether the call writes it, and when a window's key ends.
    writes: Vec<(bool, Option<u64>)>,
    /// The time that has passed, without steps back of the clock.
    passed_us: u64,
}

/// Applies a call to the models, whose clock has been observed.
fn apply(
    models: &mut [LimitModel],
    operation: Operation,
    costs: &[u64],
    mut writes: Vec<bool>,
    now_us: u64,
) -> (Outcome, Vec<(bool, Option<u64>)>) {
    let mut denial = None;
    if matches!(operation, Operation::Take | Operation::Peek) {
        for (index, (model, &cost)) in models.iter().zip(costs).enumerate() {
            if let Some(wait) = model.wait_us(cost, now_us)
                && denial.is_none_or(|(_, longest)| wait > longest)
            {
                denial = Some((index + 1, wait));
            }
        }
    }
    for ((model, &cost), writes) in models.iter_mut().zip(costs).zip(&mut writes) {
        match operation {
            Operation::Take if denial.is_none() && cost > 0 => {
                model.take(cost, now_us);
                *writes = true;
            }
            Operation::Debit if cost > 0 => *writes |= model.debit(cost, now_us),
            Operation::Reset => {
                model.reset(now_us);
                *writes = true;
            }
            _ => {}
        }
    }
    let states = models.iter().map(|model| model.state(now_us)).collect();
    let ends = models.iter().map(LimitModel::last_ms);
    let writes = writes.into_iter().zip(ends).collect();
    (Outcome { denial, states }, writes)
}

/// Runs the case on the models. Returns the calls, and what they should do.
fn expect(case: &WindowsCase, keys: &[String]) -> (Vec<ScriptCall>, Vec<Expected>) {
    let mut models: Vec<_> = case
        .limits
        .iter()
        .map(|limit| LimitModel::new(*limit))
        .collect();
    let (mut now_us, mut hint_us, mut passed_us) = (case.start_us, 0, 0);
    let (mut calls, mut expected) = (Vec::new(), Vec::new());
    for action in &case.actions {
        let &Action {
            step,
            operation,
            costs,
            unreported,
        } = action;
        let before_us = now_us;
        let period_us = case.limits[0].period_us();
        now_us = match step {
            ClockStep::ForwardUs(us) => now_us + us,
            ClockStep::Refill(thousandths) => {
                now_us
                    + u64::try_from(u128::from(period_us) * u128::from(thousandths) / 1_000)
                        .unwrap()
            }
            ClockStep::Retry { early } => {
                now_us.max((now_us + hint_us).saturating_sub(early.into()))
            }
            ClockStep::BackUs(us) => now_us.saturating_sub(us).max(case.start_us / 2),
        };
        now_us = now_us.min(END_US);
        passed_us += now_us.saturating_sub(before_us);
        let writes: Vec<bool> = models
            .iter_mut()
            .map(|model| model.begin(unreported, now_us))
            .collect();
        let cost = |index: usize| {
            let capacity = case.limits[index].capacity();
            let cost = permits(costs[index], capacity, || models[index].available(now_us));
            if operation == Operation::Debit {
                cost
            } else {
                cost.min(capacity)
            }
        };
        let costs: Vec<u64> = (0..models.len()).map(cost).collect();
        let charges: Vec<_> = case
            .limits
            .iter()
            .zip(&costs)
            .map(|(&limit, &cost)| LimitCharge {
                limit,
                cost,
                unreported,
            })
            .collect();
        calls.push(call(operation.name(), keys, &charges, 0, now_us));
        let (outcome, writes) = apply(&mut models, operation, &costs, writes, now_us);
        hint_us = outcome.denial.map_or(0, |(_, wait)| wait);
        expected.push(Expected {
            operation,
            charges,
            outcome,
            writes,
            passed_us,
        });
    }
    (calls, expected)
}

pub(crate) fn agrees_with_exact_windows(
    scripts: &mut Scripts,
    case: &WindowsCase,
) -> TestCaseResult {
    let keys: Vec<String> = case.limits.iter().map(|_| fresh_key()).collect();
    let (calls, expected) = expect(case, &keys);
    let mut writes = vec![0; keys.len()];
    let replies = scripts.take_all(&calls);
    let mut admitted: Vec<Vec<(u64, u64)>> = vec![Vec::new(); keys.len()];
    for ((call, expected), (reply, stored)) in calls.iter().zip(&expected).zip(&replies) {
        let Expected {
            operation, charges, ..
        } = expected;
        let outcome = outcome(operation.name(), charges, reply)?;
        prop_assert_eq!(&outcome, &expected.outcome, "{:?}", call);
        for (index, stored) in stored.iter().enumerate() {
            let (is_written, last_ms) = expected.writes[index];
            writes[index] += u64::from(is_written);
            prop_assert_eq!(stored.writes, writes[index], "writes of {:?}", call);
            if is_written && last_ms.is_some() {
                prop_assert_eq!(stored.last_ms, last_ms, "expiry of {:?}", call);
            }
            match operation {
                Operation::Take if outcome.denial.is_none() => {
                    admitted[index].push((expected.passed_us, charges[index].cost));
                }
                // What was forgotten on demand does not count.
                Operation::Reset => admitted[index].clear(),
                _ => {}
            }
        }
    }
    for (limit, admitted) in case.limits.iter().zip(&admitted) {
        if let LimitCase::Window(window) = limit {
            check_bound(*window, admitted)?;
        }
    }
    Ok(())
}

/// No interval of the window's length holds more than the limit. `admitted` are times and permits.
pub(crate) fn check_bound(window: ScaledWindow, admitted: &[(u64, u64)]) -> TestCaseResult {
    for (index, &(from_us, _)) in admitted.iter().enumerate() {
        let later = admitted[index..].iter();
        let within = later.take_while(|(at_us, _)| at_us - from_us <= length_us(window));
        let sum: u64 = within.map(|(_, permits)| permits).sum();
        prop_assert!(sum <= window.limit(), "{sum} from {from_us} in {window:?}");
    }
    Ok(())
}

#[test]
fn script_agrees_with_exact_windows() {
    check_property(2, &cases(), agrees_with_exact_windows);
}
