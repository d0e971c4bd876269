//! Nodes that all wait are served in turns.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::semaphore_node::{Semaphore, SemaphoreNode, deliver};
use crate::script_harness::{START_US, Scripts, check_property, fresh_key};

const NODES: usize = 4;

/// The nodes poll in this order. Each wants a number of its own, again and again, and gives back
/// what it has after some of its polls.
#[derive(Clone, Debug)]
pub(crate) struct Polls {
    limit: u64,
    wants: [u64; NODES],
    uses: [usize; NODES],
    order: Vec<usize>,
}

pub(crate) fn polls() -> impl Strategy<Value = Polls> {
    let order = prop::collection::vec(0..NODES, 10..120);
    let all = (
        1_u64..6,
        prop::array::uniform4(1_u64..6),
        prop::array::uniform4(1_usize..4),
        order,
    );
    all.prop_map(|(limit, wants, uses, order)| Polls {
        limit,
        wants: wants.map(|want| want.min(limit)),
        uses,
        order,
    })
}

/// The nodes stand in one line. What those before a node wait for is kept from it, and once it is
/// served, what all others wait for.
pub(crate) fn check_turns(scripts: &mut Scripts, polls: &Polls) -> TestCaseResult {
    let semaphore = Semaphore {
        key: fresh_key(),
        limit: polls.limit,
        ttl_us: 1_000_000_000,
        waits_for_us: 500_000_000,
        empty_for_us: 0,
    };
    let mut nodes: Vec<_> = (1..).take(NODES).map(SemaphoreNode::new).collect();
    let mut left_uses = [0; NODES];
    let mut line: Vec<usize> = Vec::new();
    for (number, &index) in (0..).zip(&polls.order) {
        let now_us = START_US + number * 1_000;
        if nodes[index].held > 0 && left_uses[index] > 1 {
            left_uses[index] -= 1;
            continue;
        }
        nodes[index].held = 0;
        let want = polls.wants[index];
        let waiting = |nodes: &[usize]| -> u64 {
            let others = nodes.iter().filter(|node| **node != index);
            others.map(|node| polls.wants[*node]).sum()
        };
        let place = line.iter().position(|node| *node == index);
        let before = waiting(&line[..place.unwrap_or(line.len())]);
        let held: u64 = nodes.iter().map(|node| node.held).sum();
        let free = polls.limit - held;
        // Two calls that wait: the second one must not take what other nodes wait for.
        let expected = if want + before > free {
            0
        } else if 2 * want + waiting(&line) > free {
            1
        } else {
            2
        };
        let asks = vec![(want, true); 2];
        let node = &mut nodes[index];
        let arguments = node.request(&semaphore, &asks, now_us);
        let grant = deliver(scripts, &semaphore, arguments, now_us)?;
        let grant = grant.expect("in order");
        node.answered(&semaphore, &asks, &grant, now_us);
        prop_assert_eq!(grant.decided, expected, "{} of {:?}", index, line);
        if grant.decided > 0 {
            left_uses[index] = polls.uses[index];
            line.retain(|node| *node != index);
        }
        if grant.decided < 2 && !line.contains(&index) {
            line.push(index);
        }
    }
    Ok(())
}

#[test]
fn nodes_that_wait_are_served_in_turns() {
    check_property(4, &polls(), check_turns);
}
