//! A node whose call asks for much is served although others ask for little, and more often.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tidegate::Quota;

use super::history::{Demand, Event, History, NODES};
use super::simulation::Simulation;
use crate::script_harness::{Scripts, check_property};

/// Node 0 asks for much, several times. The others take what they can get, in turn.
#[derive(Clone, Debug)]
pub(crate) struct Contention {
    /// Of a quota of one token per millisecond.
    capacity: u64,
    large: u64,
    others: Vec<Ask>,
    /// After how many of these node 0 asks again.
    every: usize,
    /// The time to live of the other nodes' leases.
    others_ttl_us: u64,
}

#[derive(Clone, Copy, Debug)]
struct Ask {
    needed: u64,
    pause_us: u64,
    /// Whether a new node takes the place of the one that would ask.
    new: bool,
}

/// The most that a call of another node asks for.
const SMALL: u64 = 3;

const TOKEN_US: u64 = 1_000;

/// Longer than node 0 takes to ask again.
const TTL_US: u64 = 80_000;

pub(crate) fn contentions() -> impl Strategy<Value = Contention> {
    // At least a little, so that the case ends soon.
    let pause_us = prop_oneof![Just(200), 200..2 * TOKEN_US];
    let ask = (1..=SMALL, pause_us, prop::bool::weighted(0.1));
    let ask = ask.prop_map(|(needed, pause_us, new)| Ask {
        needed,
        pause_us,
        new,
    });
    let others = prop::collection::vec(ask, 1..60);
    let ttl = prop_oneof![Just(TTL_US), Just(TTL_US / 4)];
    let all = (6_u64..40, others, 1_usize..20, ttl);
    all.prop_flat_map(|(capacity, others, every, others_ttl_us)| {
        (1..=capacity / 2).prop_map(move |large| Contention {
            capacity,
            large,
            others: others.clone(),
            every,
            others_ttl_us,
        })
    })
}

/// Checks the bound that the crate states.
///
/// A call for `n` tokens, at most half of the capacity, waits for at most two rounds. A round takes
/// a quarter of a time to live, and the refill of `n` tokens and of what one call of every other
/// node asks for. Node 0 was not served before its first call, so that call waits for one round.
pub(crate) fn check_contention(scripts: &mut Scripts, case: &Contention) -> TestCaseResult {
    let quota = Quota::per_second(1_000).burst(case.capacity);
    let history = |ttl_us| History::new(quota, ttl_us, Vec::new());
    let (own, theirs) = (history(TTL_US), history(case.others_ttl_us));
    let mut simulation = Simulation::new(scripts, &own);
    simulation.apply(Event::TakeAll)?;
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
    let (mut rounds, mut served) = (1, 0);
    let mut start_us = simulation.now_us;
    let mut others = u64::try_from(NODES - 1).unwrap();
    for (count, asked) in case.others.iter().cycle().enumerate() {
        if count % case.every == 0 {
            // What nodes wait for is kept for them, but no more.
            let (_, available) = simulation.call("peek", 0)?;
            let kept = case.large + others * SMALL;
            // The last node to ask was refused, less than two milliseconds ago.
            prop_assert!(available < kept + SMALL + 2, "{available} are unused");
            let round_us = TTL_US / 4 + (case.large + others * SMALL) * TOKEN_US;
            // Others that wait come to ask within this time.
            let asking_us = (rounds - 1) * 3 * 2 * TOKEN_US;
            let late = simulation.now_us - start_us >= rounds * round_us + asking_us;
            simulation.history = &own;
            if ask(&mut simulation, 0, case.large)? {
                served += 1;
                if served == 3 {
                    return Ok(());
                }
                (rounds, start_us) = (2, simulation.now_us);
                others = u64::try_from(NODES - 1).unwrap();
            } else {
                prop_assert!(
                    !late,
                    "refused after {rounds} rounds, served {served} times"
                );
            }
        }
        simulation.history = &theirs;
        simulation.now_us += asked.pause_us;
        let node = 1 + count % (NODES - 1);
        // Without an end, new nodes could take everything.
        if asked.new && count < case.others.len() {
            simulation.apply(Event::Refill(node, Demand::Close))?;
            others += 1;
        }
        ask(&mut simulation, node, asked.needed)?;
    }
    unreachable!("it cycles")
}

#[test]
fn large_request_is_served_beside_small_ones() {
    check_property(4, &contentions(), check_contention);
}
