//! A node whose call asks for much is served although others ask for little, and more often.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tidegate::Quota;

use super::history::{Demand, Event, History, NODES};
use super::simulation::Simulation;
use crate::script_harness::{Scripts, check_property};

/// Node 0 waits for a large request. The others take what they can get.
#[derive(Clone, Debug)]
pub(crate) struct Contention {
    /// Of a quota of one token per millisecond.
    capacity: u64,
    large: u64,
    /// Which of the other nodes asks next, for how much, and after which pause in microseconds.
    others: Vec<(usize, u64, u64)>,
    /// After how many of these node 0 asks again.
    every: usize,
}

/// The most that a call of another node asks for.
const SMALL: u64 = 3;

const TOKEN_US: u64 = 1_000;

/// Longer than node 0 takes to ask again.
const TTL_US: u64 = 80_000;

pub(crate) fn contentions() -> impl Strategy<Value = Contention> {
    let pause = prop_oneof![Just(0), 0..2 * TOKEN_US];
    let other = (1..NODES, 1..=SMALL, pause);
    let others = prop::collection::vec(other, 1..60);
    (6_u64..40, others, 1_usize..20).prop_flat_map(|(capacity, others, every)| {
        (1..=capacity / 2).prop_map(move |large| Contention {
            capacity,
            large,
            others: others.clone(),
            every,
        })
    })
}

/// Checks the bound that the crate states: a call for `n` tokens, at most half of the capacity, waits
/// for a quarter of a time to live, and then until `n` tokens have refilled, and what one call of
/// every other node asks for.
pub(crate) fn check_contention(scripts: &mut Scripts, case: &Contention) -> TestCaseResult {
    let quota = Quota::per_second(1_000).burst(case.capacity);
    let history = History::new(quota, TTL_US, Vec::new());
    let mut simulation = Simulation::new(scripts, &history);
    simulation.apply(Event::TakeAll)?;
    let start_us = simulation.now_us;
    let ask = |simulation: &mut Simulation<'_>, node, needed| {
        let demand = Demand::Batch {
            permits: u64::MAX,
            needed,
        };
        simulation.apply(Event::Refill(node, demand))?;
        let served = simulation.nodes[node].held >= needed;
        simulation.apply(Event::SpendAll(node))?;
        Ok::<_, TestCaseError>(served)
    };
    let others = u64::try_from(NODES - 1).unwrap();
    let refilled_us = TTL_US / 4 + (case.large + others * SMALL) * TOKEN_US;
    for (count, &(node, needed, pause_us)) in case.others.iter().cycle().enumerate() {
        if count % case.every == 0 {
            let late = simulation.now_us - start_us >= refilled_us;
            if ask(&mut simulation, 0, case.large)? {
                return Ok(());
            }
            prop_assert!(!late, "refused although {refilled_us} us have passed");
        }
        // At least a little, so that the case ends.
        simulation.now_us += pause_us + 10;
        ask(&mut simulation, node, needed)?;
    }
    unreachable!("it cycles")
}

#[test]
fn large_request_is_served_beside_small_ones() {
    check_property(4, &contentions(), check_contention);
}
