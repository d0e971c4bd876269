//! A grant that comes back unspent, or never arrives, must leave no trace in the bucket, except
//! that what is held is rounded up to a microsecond.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tidegate::Quota;

use super::histories::quotas;
use super::history::{Demand, Event, History};
use super::simulation::Simulation;
use crate::scaled_quota::Amount;
use crate::script_calls::BucketCharge;
use crate::script_harness::{Scripts, check_property, fresh_key};

/// Two buckets get the same calls, but only one of them grants leases for a while.
#[derive(Clone, Debug)]
pub(crate) struct ReturnedGrants {
    quota: Quota,
    /// Pauses, and costs of the calls after them.
    takes: Vec<(u64, u64)>,
    /// The batch of each node, and whether the grant arrives.
    grants: Vec<(u64, bool)>,
    debits: Vec<(u64, u64)>,
}

pub(crate) fn returned_grants() -> impl Strategy<Value = ReturnedGrants> {
    let pause = || prop_oneof![0_u64..1_000, 0_u64..300_000];
    let takes = prop::collection::vec((pause(), 1_u64..60), 0..4);
    let grants = prop::collection::vec((1_u64..30, any::<bool>()), 1..4);
    let debits = prop::collection::vec((pause(), 0_u64..40), 0..4);
    (quotas(1_000_000), takes, grants, debits).prop_map(|(quota, takes, grants, debits)| {
        ReturnedGrants {
            quota,
            takes,
            grants,
            debits,
        }
    })
}

pub(crate) fn check_returned(scripts: &mut Scripts, case: &ReturnedGrants) -> TestCaseResult {
    let history = History::new(case.quota, 5_000_000, Vec::new());
    let mut simulation = Simulation::new(scripts, &history);
    let keys = [simulation.key.clone(), fresh_key()];
    // Returns how far the TAT of each bucket is ahead.
    let call_both = |simulation: &mut Simulation<'_>, op: &str, pause_us: u64, cost: u64| {
        simulation.now_us += pause_us;
        let charge = BucketCharge::new(simulation.scaled, cost);
        let [leased, other] = keys.each_ref().map(|key| {
            let scripts = &mut *simulation.scripts;
            let reply = scripts.take_one(op, key, charge, 0, simulation.now_us)?;
            Ok::<_, TestCaseError>(reply.ahead[0])
        });
        Ok::<_, TestCaseError>((leased?, other?))
    };
    for &(pause_us, cost) in &case.takes {
        call_both(&mut simulation, "take", pause_us, cost)?;
    }
    for (node, &(permits, arrives)) in case.grants.iter().enumerate() {
        let demand = Demand::Batch { permits, needed: 0 };
        simulation.apply(Event::Send(node, demand))?;
        simulation.apply(Event::Arrive(0))?;
        simulation.apply(if arrives {
            Event::Receive(node)
        } else {
            Event::GiveUp(node)
        })?;
    }
    for &(pause_us, cost) in &case.debits {
        call_both(&mut simulation, "debit", pause_us, cost)?;
    }
    let held = simulation.held();
    for node in 0..case.grants.len() {
        simulation.apply(Event::Send(node, Demand::Close))?;
        simulation.apply(Event::Arrive(0))?;
    }
    let (leased, other) = call_both(&mut simulation, "peek", 0, 0)?;
    let parts = |amount: Amount| amount.us * simulation.scaled.den() + amount.num;
    let (leased, other) = (parts(leased), parts(other));
    // None if a token takes whole microseconds.
    let fractions = (simulation.scaled.den() - 1) * u64::try_from(case.grants.len()).unwrap();
    prop_assert!(
        (other..=other + fractions).contains(&leased),
        "{leased} instead of {other} after {held} permits came back"
    );
    Ok(())
}

#[test]
fn returned_grants_leave_no_trace() {
    check_property(4, &returned_grants(), check_returned);
}
