//! Nodes that use different quotas for one bucket.

use core::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tidegate::Quota;

use super::action::Cost;
use crate::scaled_quota::Amount;
use crate::script_calls::{BucketCharge, scaled};
use crate::script_harness::{START_US, Scripts, check_property, fresh_key};
use crate::support::admission::Admission;
use crate::support::bound::Bound;

#[derive(Clone, Debug)]
pub(crate) struct QuotaChanges {
    quotas: Vec<Quota>,
    calls: Vec<QuotaCall>,
}

#[derive(Clone, Copy, Debug)]
struct QuotaCall {
    /// Index of the caller's quota.
    quota: usize,
    /// Time since the previous call; `None` waits as long as that call's hint says.
    pause_us: Option<u64>,
    cost: Cost,
}

/// The longest denominator of [`common_quotas`], and a multiple of all others.
const DENOMINATOR: u64 = 3 * 7 * 11 * 13;

fn changes(quotas: impl Strategy<Value = Quota>) -> impl Strategy<Value = QuotaChanges> {
    let cost = prop_oneof![
        1 => (1_u64..5).prop_map(Cost::Permits),
        2 => (0_u64..2).prop_map(Cost::OverAvailable),
    ];
    let pause = prop_oneof![
        2 => Just(None),
        2 => (0_u64..10).prop_map(Some),
        1 => (0_u64..1_000_000).prop_map(Some),
    ];
    let call = (0_usize..3, pause, cost).prop_map(|(quota, pause_us, cost)| QuotaCall {
        quota,
        pause_us,
        cost,
    });
    let calls = prop::collection::vec(call, 1..40);
    (prop::collection::vec(quotas, 3), calls)
        .prop_map(|(quotas, calls)| QuotaChanges { quotas, calls })
}

/// Quotas that all refill in a second, with tokens of whole parts of a microsecond.
pub(crate) fn common_quotas() -> impl Strategy<Value = QuotaChanges> {
    let rates = vec![1_u64, 3, 7, 11, 13, 21, 33, 77, 91, DENOMINATOR];
    changes(prop::sample::select(rates).prop_map(Quota::per_second))
}

pub(crate) fn any_quotas() -> impl Strategy<Value = QuotaChanges> {
    // The 40 calls of a case may move the clock by a few periods each.
    let parts = (1_u64..2_000, 1_000_u64..100_000_000_000, 1_u64..100);
    changes(parts.prop_map(|(rate, nanos, capacity)| {
        let quota = Quota::new(rate, Duration::from_nanos(nanos)).unwrap();
        quota.burst(capacity)
    }))
}

/// Checks three things. While one quota is in use, nothing exceeds its bound, whatever callers with
/// other quotas left behind. Each hint is long enough. Over all quotas, permits cost no more time
/// than has passed; fractions of a microsecond count only if the quotas are `common`.
pub(crate) fn check_changes(
    scripts: &mut Scripts,
    changes: &QuotaChanges,
    common: bool,
) -> TestCaseResult {
    let key = fresh_key();
    let (mut now_us, mut hint_us) = (START_US, 0);
    let mut previous = 0;
    // Admissions in permits while one quota is in use, and in parts of a microsecond over all.
    let (mut by_quota, mut times) = (Vec::new(), Vec::new());
    for &QuotaCall {
        quota: index,
        pause_us,
        cost,
    } in &changes.calls
    {
        let quota = changes.quotas[index];
        let scaled = scaled(quota);
        now_us += pause_us.unwrap_or(hint_us);
        let mut call = |op, cost, now_us| {
            scripts.take_one(op, &key, BucketCharge::new(scaled, cost), 0, now_us)
        };
        if index != previous {
            Bound::new(changes.quotas[previous]).check(&by_quota)?;
            by_quota.clear();
            previous = index;
        }
        let cost = match cost {
            Cost::Permits(permits) => permits,
            Cost::OverAvailable(more) => scaled.available(call("peek", 0, now_us)?.ahead[0]) + more,
            Cost::OfCapacity(_) => unreachable!("not generated"),
        };
        let cost = cost.min(quota.capacity());
        let reply = call("take", cost, now_us)?;
        hint_us = reply.wait_us;
        if reply.admitted {
            let at_ns = (now_us - START_US) * 1_000;
            by_quota.push(Admission::at(at_ns, cost));
            let Amount { us, num } = scaled.cost(cost);
            let fraction = if common {
                num * (DENOMINATOR / scaled.den())
            } else {
                0
            };
            times.push(Admission::at(at_ns, us * DENOMINATOR + fraction));
        } else {
            let retried = call("peek", cost, now_us + hint_us)?;
            prop_assert!(
                retried.admitted,
                "{cost} should be available after {hint_us} us"
            );
        }
    }
    Bound::new(changes.quotas[previous]).check(&by_quota)?;
    let full = changes.quotas.iter().map(|quota| scaled(*quota).full());
    let longest = full.map(|full| full.us + u64::from(full.num > 0)).max();
    let time = Bound {
        capacity: longest.unwrap() * DENOMINATOR,
        tokens: DENOMINATOR,
        period_ns: 1_000,
    };
    time.check(&times)
}

#[test]
fn changing_the_quota_creates_no_time() {
    check_property(8, &common_quotas(), |scripts, changes| {
        check_changes(scripts, changes, true)
    });
}

#[test]
fn each_quota_keeps_its_bound_while_in_use() {
    check_property(8, &any_quotas(), |scripts, changes| {
        check_changes(scripts, changes, false)
    });
}
