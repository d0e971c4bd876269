//! Compares each call of the script with a model: its reply, its writes, and the key's expiry.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::action::{Action, Case, ClockStep, Cost, END_US, Operation, cases};
use super::exact_model::ExactModel;
use super::process_model::ProcessModel;
use super::quotas::{all_quotas, exact_quotas};
use crate::scaled_quota::ScaledQuota;
use crate::script_calls::{BucketCharge, ScriptCall, ScriptReply, TakeReply, scaled};
use crate::script_harness::{Scripts, StoredKey, check_property, fresh_key};

/// An implementation of the buckets in this process.
pub(crate) trait Model {
    fn available(&self, index: usize, now_us: u64) -> u64;
    fn wait_us(&self, index: usize, cost: u64, now_us: u64) -> Option<u64>;
    fn take(&mut self, index: usize, cost: u64, now_us: u64);
    fn debit(&mut self, index: usize, cost: u64, now_us: u64);
    fn credit(&mut self, index: usize, cost: u64, now_us: u64);
    fn level(&mut self, index: usize, level: u64, now_us: u64);
    /// Debits what was admitted without the server, at most until the bucket is empty.
    fn report(&mut self, index: usize, cost: u64, now_us: u64);
    fn reset(&mut self, index: usize, now_us: u64);
    /// Rewrites the bucket if the clock has stepped back; returns whether it has.
    fn observe_clock(&mut self, index: usize, now_us: u64) -> bool;
    /// When the bucket is full, rounded up.
    fn full_us(&self, index: usize, now_us: u64) -> u64;
}

/// What a call should return.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    /// The bucket with the longest wait, counted from 1, and its wait.
    denial: Option<(usize, u64)>,
    available: Vec<u64>,
}

/// What a call should do.
struct Expected {
    charges: Vec<BucketCharge>,
    outcome: Outcome,
    /// For each bucket: whether the call writes it.
    writes: Vec<bool>,
    /// For each bucket: when it is full.
    full_us: Vec<u64>,
}

/// Applies a call to the model.
fn apply(
    model: &mut dyn Model,
    operation: Operation,
    costs: &[u64],
    unreported: u64,
    now_us: u64,
) -> Expected {
    let buckets = 0..costs.len();
    let debit_unreported = |index| {
        let rewritten = model.observe_clock(index, now_us);
        if unreported > 0 {
            model.report(index, unreported, now_us);
        }
        rewritten || unreported > 0
    };
    let mut writes: Vec<bool> = buckets.clone().map(debit_unreported).collect();
    let mut denial = None;
    if matches!(operation, Operation::Take | Operation::Peek) {
        for (index, &cost) in costs.iter().enumerate() {
            if let Some(wait) = model.wait_us(index, cost, now_us)
                && denial.is_none_or(|(_, longest)| wait > longest)
            {
                denial = Some((index + 1, wait));
            }
        }
    }
    for (index, &cost) in costs.iter().enumerate() {
        match operation {
            Operation::Take if denial.is_none() && cost > 0 => model.take(index, cost, now_us),
            Operation::Debit if cost > 0 => model.debit(index, cost, now_us),
            Operation::Credit if cost > 0 => model.credit(index, cost, now_us),
            Operation::Level => model.level(index, cost, now_us),
            Operation::Reset => model.reset(index, now_us),
            _ => continue,
        }
        writes[index] = true;
    }
    let available = buckets.clone().map(|index| model.available(index, now_us));
    Expected {
        charges: Vec::new(),
        outcome: Outcome {
            denial,
            available: available.collect(),
        },
        writes,
        full_us: buckets.map(|index| model.full_us(index, now_us)).collect(),
    }
}

pub(crate) fn permits(cost: Cost, capacity: u64, available: impl FnOnce() -> u64) -> u64 {
    match cost {
        Cost::Permits(permits) => permits,
        Cost::OfCapacity(thousandths) => {
            let part = u128::from(capacity) * u128::from(thousandths) / 1_000;
            u64::try_from(part).unwrap()
        }
        Cost::OverAvailable(more) => available().saturating_add(more),
    }
}

/// Runs the case on the model, then on the server.
fn compare(scripts: &mut Scripts, case: &Case, model: &mut dyn Model) -> TestCaseResult {
    let scales: Vec<ScaledQuota> = case.quotas.iter().map(|quota| scaled(*quota)).collect();
    let keys: Vec<String> = scales.iter().map(|_| fresh_key()).collect();
    let (mut now_us, mut hint_us) = (case.start_us, 0);
    let (mut calls, mut expected) = (Vec::new(), Vec::new());
    for action in &case.actions {
        let &Action {
            step,
            operation,
            costs,
            unreported,
        } = action;
        now_us = match step {
            ClockStep::ForwardUs(us) => now_us + us,
            ClockStep::Refill(thousandths) => now_us + scales[0].full().us / 1_000 * thousandths,
            ClockStep::Retry { early } => {
                now_us.max((now_us + hint_us).saturating_sub(early.into()))
            }
            ClockStep::BackUs(us) => now_us.saturating_sub(us).max(case.start_us / 2),
        };
        now_us = now_us.min(END_US);
        let cost = |index: usize| {
            let capacity = case.quotas[index].capacity();
            let cost = permits(costs[index], capacity, || model.available(index, now_us));
            if operation == Operation::Debit {
                cost
            } else {
                cost.min(capacity)
            }
        };
        let costs: Vec<u64> = (0..scales.len()).map(cost).collect();
        let charges = scales
            .iter()
            .zip(&costs)
            .map(|(&scaled, &cost)| BucketCharge {
                unreported,
                ..BucketCharge::new(scaled, cost)
            });
        let charges: Vec<_> = charges.collect();
        let call = ScriptCall::take(operation.name(), &keys, &charges, 0, now_us);
        calls.push(call);
        let mut applied = apply(model, operation, &costs, unreported, now_us);
        applied.charges = charges;
        hint_us = applied.outcome.denial.map_or(0, |(_, wait)| wait);
        expected.push(applied);
    }
    let mut writes = vec![0; keys.len()];
    let replies = scripts.take_all(&calls);
    for ((call, expected), (reply, stored)) in calls.iter().zip(&expected).zip(&replies) {
        let outcome = outcome(&expected.charges, reply)?;
        prop_assert_eq!(&outcome, &expected.outcome, "{:?}", call);
        for (index, stored) in stored.iter().enumerate() {
            writes[index] += u64::from(expected.writes[index]);
            prop_assert_eq!(stored.writes, writes[index], "writes of {:?}", call);
            if expected.writes[index] {
                check_expiry(stored, call.now_us, expected.full_us[index])?;
            }
        }
    }
    Ok(())
}

fn outcome(charges: &[BucketCharge], reply: &ScriptReply) -> Result<Outcome, TestCaseError> {
    let reply = TakeReply::parse(reply, charges)?;
    let available = charges.iter().zip(&reply.ahead).map(|(charge, &ahead)| {
        let scaled = charge.scaled;
        prop_assert!(ahead.num < scaled.den(), "{ahead:?} is no proper fraction");
        Ok(scaled.available(ahead))
    });
    Ok(Outcome {
        denial: (!reply.admitted).then_some((reply.denied_by, reply.wait_us)),
        available: available.collect::<Result<_, _>>()?,
    })
}

/// The key must exist until the bucket is full, and its expiry must be at most 3 ms later.
fn check_expiry(stored: &StoredKey, now_us: u64, full_us: u64) -> TestCaseResult {
    let last_ms = stored.last_ms.unwrap();
    let gone_us = (last_ms + 1) * 1_000;
    prop_assert!(gone_us >= full_us, "gone at {gone_us}, full at {full_us}");
    let kept_us = (last_ms - now_us / 1_000) * 1_000;
    prop_assert!(
        now_us + kept_us <= full_us + 3_000,
        "kept for {kept_us} us from {now_us}, full at {full_us}"
    );
    Ok(())
}

pub(crate) fn agrees_with_exact_fractions(scripts: &mut Scripts, case: &Case) -> TestCaseResult {
    compare(scripts, case, &mut ExactModel::new(case))
}

#[test]
fn script_agrees_with_exact_fractions() {
    let cases = cases(all_quotas().boxed(), true, u64::MAX);
    check_property(4, &cases, agrees_with_exact_fractions);
}

#[test]
fn script_agrees_with_the_in_process_bucket() {
    // Debts this small never reach the limit at which the in-process bucket forgets debt.
    let cases = cases(exact_quotas().boxed(), false, 0);
    check_property(4, &cases, |scripts, case| {
        compare(scripts, case, &mut ProcessModel::new(case))
    });
}
