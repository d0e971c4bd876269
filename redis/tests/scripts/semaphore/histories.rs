//! Random histories: no node's account may contradict another's.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::semaphore_node::{Asks, Semaphore, SemaphoreNode, deliver, in_use};
use crate::script_harness::{START_US, Scripts, check_property, fresh_key};

const NODES: usize = 4;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    AnswerLost,
    RequestLost,
    /// Arrives after this many more steps; its answer comes too late.
    Late(usize),
}

#[derive(Clone, Debug)]
struct Step {
    node: usize,
    pause_us: u64,
    /// How far the server's clock steps back.
    back_us: u64,
    /// How many of its permits the node gives back, at most.
    drops: u64,
    asks: Asks,
    fate: Fate,
    /// The server loses its data.
    loses: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct History {
    limit: u64,
    ttl_us: u64,
    /// An absent semaphore counts as used up for a time to live.
    starts_empty: bool,
    steps: Vec<Step>,
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        6 => Just(Fate::Answered),
        2 => Just(Fate::AnswerLost),
        1 => Just(Fate::RequestLost),
        2 => (0_usize..6).prop_map(Fate::Late),
    ];
    let back = prop_oneof![9 => Just(0), 1 => 0_u64..2_000_000];
    let asks = prop::collection::vec((1_u64..4, any::<bool>()), 0..4);
    let pause = prop_oneof![3 => 0_u64..1_000, 2 => 0_u64..300_000, 1 => 0_u64..1_500_000];
    let loses = prop_oneof![30 => Just(false), 1 => Just(true)];
    let all = (0..NODES, pause, back, 0_u64..4, asks, fate, loses);
    all.prop_map(|(node, pause_us, back_us, drops, asks, fate, loses)| Step {
        node,
        pause_us,
        back_us,
        drops,
        asks,
        fate,
        loses,
    })
}

pub(crate) fn semaphore_histories() -> impl Strategy<Value = History> {
    let steps = prop::collection::vec(step(), 1..60);
    let all = (1_u64..8, 1_000_u64..1_000_000, any::<bool>(), steps);
    all.prop_map(|(limit, ttl_us, starts_empty, steps)| History {
        limit,
        ttl_us,
        starts_empty,
        steps,
    })
}

/// Checks that the nodes together never hold more than the limit, by their own accounts. While the
/// server loses nothing, or counts what it does not know as out. That a refusal has a reason. And
/// that all permits are back in the end.
pub(crate) fn check_semaphore_history(scripts: &mut Scripts, history: &History) -> TestCaseResult {
    let semaphore = Semaphore {
        key: fresh_key(),
        limit: history.limit,
        ttl_us: history.ttl_us,
        waits_for_us: history.ttl_us / 4,
        empty_for_us: if history.starts_empty {
            history.ttl_us
        } else {
            0
        },
    };
    let mut nodes: Vec<_> = (1..).take(NODES).map(SemaphoreNode::new).collect();
    let (mut real_us, mut offset_us) = (START_US, 0);
    // Requests on their way, with the step at which they arrive.
    let mut late: Vec<(usize, Vec<Vec<u8>>)> = Vec::new();
    // Until when a node may keep its turn.
    let mut waits_until = [0; NODES];
    for (number, step) in history.steps.iter().enumerate() {
        real_us += step.pause_us;
        offset_us += step.back_us;
        // The clock starts so late that steps back do not reach 0.
        let server_us = real_us - offset_us;
        if step.loses && history.starts_empty {
            scripts.lose(&semaphore.key);
        }
        let (due, rest): (Vec<_>, Vec<_>) = late.into_iter().partition(|(at, _)| *at <= number);
        late = rest;
        for (_, arguments) in due {
            deliver(scripts, &semaphore, arguments, server_us)?;
            // Its node may wait in the server's view.
            waits_until = [u64::MAX; NODES];
        }
        let node = &mut nodes[step.node];
        node.held -= node.held.min(step.drops);
        let asks: Asks = step
            .asks
            .iter()
            .map(|&(permits, waits)| (permits.min(history.limit), waits))
            .collect();
        let arguments = node.request(&semaphore, &asks, real_us);
        match step.fate {
            Fate::RequestLost => {}
            Fate::Late(steps) => late.push((number + 1 + steps, arguments)),
            Fate::AnswerLost => {
                deliver(scripts, &semaphore, arguments, server_us)?;
                waits_until[step.node] = u64::MAX;
            }
            Fate::Answered => {
                let grant = deliver(scripts, &semaphore, arguments, server_us)?;
                let grant = grant.expect("a later request than any before");
                node.answered(&semaphore, &asks, &grant, real_us);
                let waits = asks.get(grant.decided);
                prop_assert!(waits.is_none_or(|(_, waits)| *waits), "decided: {grant:?}");
                let until_us = real_us + semaphore.waits_for_us + offset_us;
                waits_until[step.node] = if waits.is_some() { until_us } else { 0 };
                // More is out than was when an earlier call was refused.
                let last = grant.refused.last().map(|place| &asks[*place]);
                let granted_later = grant
                    .refused
                    .last()
                    .is_some_and(|place| place + 1 < grant.decided);
                let refused = waits.or(last.filter(|_| !granted_later));
                let others = (0..NODES).filter(|other| *other != step.node);
                let is_free = others.into_iter().all(|other| waits_until[other] < real_us);
                if let (Some((permits, _)), true) = (refused, is_free && offset_us == 0) {
                    let needed = grant.out + permits;
                    prop_assert!(needed > history.limit, "refused {permits}: {grant:?}");
                }
                prop_assert!(grant.out >= node.held, "{grant:?}");
            }
        }
        let held: u64 = nodes.iter().map(|node| node.surely_held(real_us)).sum();
        prop_assert!(held <= history.limit, "{held} after step {number}");
    }
    // Each node gives its permits back, in a request that is answered.
    let server_us = real_us - offset_us;
    for node in &mut nodes {
        node.held = 0;
        let arguments = node.request(&semaphore, &[], real_us);
        let grant = deliver(scripts, &semaphore, arguments, server_us)?;
        node.answered(&semaphore, &[], &grant.expect("the last one"), real_us);
    }
    let left = in_use(scripts, &semaphore, server_us)?;
    // What the server does not know may be out.
    prop_assert!(left == 0 || history.starts_empty, "{left} are left");
    for (_, arguments) in late {
        let grant = deliver(scripts, &semaphore, arguments, server_us)?;
        prop_assert_eq!(grant, None, "an earlier request");
    }
    prop_assert!(in_use(scripts, &semaphore, server_us)? <= left);
    // The lease of a node that holds nothing ends, too.
    let later_us = server_us + 2 * history.ttl_us;
    prop_assert_eq!(
        in_use(scripts, &semaphore, later_us)?,
        semaphore_at_rest(&semaphore, scripts)
    );
    Ok(())
}

/// A key that has expired is absent, which counts as used up if the semaphore starts so.
fn semaphore_at_rest(semaphore: &Semaphore, scripts: &mut Scripts) -> u64 {
    let exists: u64 = scripts.query(&["EXISTS", &semaphore.key]);
    if semaphore.empty_for_us > 0 && exists == 0 {
        semaphore.limit
    } else {
        0
    }
}

#[test]
fn nodes_never_hold_more_than_the_limit() {
    check_property(2, &semaphore_histories(), check_semaphore_history);
}
