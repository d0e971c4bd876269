//! Leases whose times to live differ so much that they cannot all end in bins of their own.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tidegate::Quota;

use super::history::{Demand, Event, History};
use super::node::LeaseNode;
use super::simulation::Simulation;
use crate::script_harness::{START_US, Scripts, check_property};

/// Each node takes a token for its own time, in microseconds, and neither spends it nor returns.
pub(crate) fn times_to_live() -> impl Strategy<Value = Vec<u64>> {
    let ttl =
        (13_u32..31, 0_u64..1_000).prop_map(|(bits, more)| (1 << bits) * (1_000 + more) / 1_000);
    prop::collection::vec(ttl, 1..40)
}

pub(crate) fn check_times_to_live(scripts: &mut Scripts, ttls: &[u64]) -> TestCaseResult {
    const CAPACITY: u64 = 100;
    // Refills within 100 us, so only what is held is not available.
    let quota = Quota::per_second(1_000_000).burst(CAPACITY);
    let histories: Vec<_> = ttls
        .iter()
        .map(|&ttl_us| History::new(quota, ttl_us, Vec::new()))
        .collect();
    let mut simulation = Simulation::new(scripts, &histories[0]);
    let one = Demand::Batch {
        permits: 1,
        needed: 0,
    };
    for history in &histories {
        simulation.history = history;
        simulation.apply(Event::Refill(0, one))?;
        prop_assert_eq!(simulation.nodes[0].held, 1);
        simulation.apply(Event::Crash(0))?;
    }
    let held = |later: u64, ttls: &[u64]| {
        let held = ttls.iter().filter(|&&ttl| ttl > later).count();
        u64::try_from(held).unwrap()
    };
    let mut ends = ttls.to_vec();
    ends.sort_unstable();
    for end_us in ends {
        simulation.now_us = START_US + end_us - 1;
        let (_, available) = simulation.call("peek", 0)?;
        let most = CAPACITY - held(end_us - 1, ttls);
        prop_assert!(available <= most, "{available} instead of {most}");
    }
    // All have ended, and the last of them has refilled.
    simulation.now_us += 1 << 31;
    prop_assert_eq!(simulation.call("peek", 0)?.1, CAPACITY);
    Ok(())
}

/// What one of many nodes does next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    node: usize,
    ttl_us: u64,
    /// What it takes; it gives all back if that is 0.
    tokens: u64,
    pause_us: u64,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ttl =
        (13_u32..27, 0_u64..1_000).prop_map(|(bits, more)| (1 << bits) * (1_000 + more) / 1_000);
    let pause = prop_oneof![3 => Just(0), 2 => 0_u64..5_000, 1 => 0_u64..2_000_000];
    let step = (0_usize..24, ttl, 0_u64..4, pause);
    let step = step.prop_map(|(node, ttl_us, tokens, pause_us)| Step {
        node,
        ttl_us,
        tokens,
        pause_us,
    });
    prop::collection::vec(step, 1..120)
}

/// Nodes take and give back, so that bins are merged, end, and are made again.
pub(crate) fn check_steps(scripts: &mut Scripts, steps: &[Step]) -> TestCaseResult {
    const CAPACITY: u64 = 200;
    let quota = Quota::per_second(1_000_000).burst(CAPACITY);
    let history = |ttl_us| History::new(quota, ttl_us, Vec::new());
    let histories: Vec<_> = steps.iter().map(|step| history(step.ttl_us)).collect();
    let mut simulation = Simulation::new(scripts, &histories[0]);
    // Apart from the names of those that take their places.
    simulation.nodes = (1_000..1_024).map(LeaseNode::new).collect();
    for (step, history) in steps.iter().zip(&histories) {
        simulation.history = history;
        simulation.now_us += step.pause_us;
        let demand = match step.tokens {
            0 => Demand::Close,
            permits => Demand::Batch { permits, needed: 0 },
        };
        simulation.apply(Event::Refill(step.node, demand))?;
        let now_us = simulation.now_us;
        let spendable = simulation.nodes.iter();
        let spendable = spendable.filter(|node| now_us < node.deadline_us);
        let most = CAPACITY - spendable.map(|node| node.held).sum::<u64>();
        let (_, available) = simulation.call("peek", 0)?;
        prop_assert!(available <= most, "{available} instead of {most}");
    }
    simulation.now_us += 1 << 28;
    prop_assert_eq!(simulation.call("peek", 0)?.1, CAPACITY);
    Ok(())
}

#[test]
fn leases_that_come_and_go_stay_apart() {
    check_property(4, &steps(), |scripts, steps| check_steps(scripts, steps));
}

#[test]
fn leases_last_at_least_as_long_as_they_should() {
    check_property(4, &times_to_live(), |scripts, ttls| {
        check_times_to_live(scripts, ttls)
    });
}
