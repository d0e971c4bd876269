//! Single scenes.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::semaphore_node::{Semaphore, SemaphoreNode, deliver, in_use};
use crate::script_harness::{START_US, Scripts, fresh_key};

fn semaphore(limit: u64) -> Semaphore {
    Semaphore {
        key: fresh_key(),
        limit,
        ttl_us: 10_000_000,
        waits_for_us: 200_000,
        empty_for_us: 0,
    }
}

/// Asks for permits one by one, without waiting. Returns how many were granted, and whether the
/// node keeps what it held.
fn ask(
    scripts: &mut Scripts,
    semaphore: &Semaphore,
    node: &mut SemaphoreNode,
    permits: usize,
    now_us: u64,
) -> Result<(usize, bool), TestCaseError> {
    let asks = vec![(1, false); permits];
    let arguments = node.request(semaphore, &asks, now_us);
    let grant = deliver(scripts, semaphore, arguments, now_us)?;
    let grant = grant.expect("in order");
    node.answered(semaphore, &asks, &grant, now_us);
    Ok((grant.granted(), grant.kept))
}

pub(crate) fn check_dead_node(scripts: &mut Scripts) -> TestCaseResult {
    let semaphore = semaphore(3);
    let [mut dead, mut other] = [1, 2].map(SemaphoreNode::new);
    prop_assert_eq!(ask(scripts, &semaphore, &mut dead, 3, START_US)?, (3, true));
    let end_us = START_US + semaphore.ttl_us;
    prop_assert_eq!(
        ask(scripts, &semaphore, &mut other, 1, end_us - 1)?,
        (0, true)
    );
    prop_assert_eq!(in_use(scripts, &semaphore, end_us - 1)?, 3);
    prop_assert_eq!(ask(scripts, &semaphore, &mut other, 5, end_us)?, (3, true));
    // It lives after all, with a clock that is too slow, and is told what it has lost.
    dead.until_us = u64::MAX;
    prop_assert_eq!(ask(scripts, &semaphore, &mut dead, 1, end_us)?, (0, false));
    prop_assert_eq!(in_use(scripts, &semaphore, end_us)?, 3);
    Ok(())
}

#[test]
fn permits_of_a_dead_node_come_back_after_its_time_to_live_and_not_before() {
    check_dead_node(&mut Scripts::start()).unwrap();
}

/// Calls that do not wait get what is there, whatever those before them ask for.
pub(crate) fn check_refusals(scripts: &mut Scripts) -> TestCaseResult {
    let semaphore = semaphore(4);
    let mut node = SemaphoreNode::new(1);
    for (asks, decided, refused) in [
        (vec![(3, false), (2, false), (1, true)], 3, vec![1]),
        (vec![(2, false), (3, true), (1, false)], 1, vec![]),
    ] {
        node.held = 0;
        let arguments = node.request(&semaphore, &asks, START_US);
        let grant = deliver(scripts, &semaphore, arguments, START_US)?.expect("in order");
        prop_assert_eq!((grant.decided, &grant.refused), (decided, &refused));
        node.answered(&semaphore, &asks, &grant, START_US);
    }
    Ok(())
}

#[test]
fn a_call_that_does_not_wait_keeps_none_behind_it_waiting() {
    check_refusals(&mut Scripts::start()).unwrap();
}

/// A node that holds nothing leaves no record, unless a request of it had no answer.
pub(crate) fn check_records(scripts: &mut Scripts) -> TestCaseResult {
    let semaphore = semaphore(1);
    let [mut holder, mut silent] = [1, 2].map(SemaphoreNode::new);
    prop_assert_eq!(ask(scripts, &semaphore, &mut holder, 1, START_US)?.0, 1);
    for name in 3..9 {
        let mut node = SemaphoreNode::new(name);
        prop_assert_eq!(ask(scripts, &semaphore, &mut node, 1, START_US)?.0, 0);
    }
    let records = |scripts: &mut Scripts| {
        let length: u64 = scripts.query(&["STRLEN", &semaphore.key]);
        length.saturating_sub(22) / 58
    };
    prop_assert_eq!(records(scripts), 1);
    let late = silent.request(&semaphore, &[(1, false)], START_US);
    prop_assert_eq!(ask(scripts, &semaphore, &mut silent, 0, START_US)?.0, 0);
    prop_assert_eq!(records(scripts), 2);
    holder.held = 0;
    prop_assert_eq!(ask(scripts, &semaphore, &mut holder, 0, START_US)?.0, 0);
    prop_assert_eq!(records(scripts), 1);
    prop_assert_eq!(deliver(scripts, &semaphore, late, START_US)?, None);
    // A node that waits is not forgotten.
    let mut waits = SemaphoreNode::new(3);
    prop_assert_eq!(ask(scripts, &semaphore, &mut holder, 1, START_US)?.0, 1);
    let asks = [(1, true)];
    let arguments = waits.request(&semaphore, &asks, START_US);
    let grant = deliver(scripts, &semaphore, arguments, START_US)?.expect("in order");
    waits.answered(&semaphore, &asks, &grant, START_US);
    prop_assert_eq!(records(scripts), 3);
    Ok(())
}

#[test]
fn a_node_that_holds_nothing_leaves_no_record() {
    check_records(&mut Scripts::start()).unwrap();
}

pub(crate) fn check_lost_data(scripts: &mut Scripts) -> TestCaseResult {
    for empty_for_us in [0, 20_000_000] {
        let semaphore = Semaphore {
            empty_for_us,
            ..semaphore(5)
        };
        let [mut one, mut two] = [1, 2].map(SemaphoreNode::new);
        let mut now_us = START_US;
        if empty_for_us > 0 {
            prop_assert_eq!(ask(scripts, &semaphore, &mut two, 1, now_us)?.0, 0);
            now_us += empty_for_us;
        }
        prop_assert_eq!(ask(scripts, &semaphore, &mut one, 3, now_us)?.0, 3);
        scripts.lose(&semaphore.key);
        // Two are there, or none before it is sure that nothing else is out.
        let granted = ask(scripts, &semaphore, &mut one, 5, now_us + 1)?;
        let expected = if empty_for_us > 0 { 0 } else { 2 };
        prop_assert_eq!(granted, (expected, true));
        prop_assert_eq!(in_use(scripts, &semaphore, now_us + 1)?, 5);
        one.until_us = u64::MAX;
        let later_us = now_us + 1 + empty_for_us;
        prop_assert_eq!(ask(scripts, &semaphore, &mut one, 0, later_us)?, (0, true));
        let granted = ask(scripts, &semaphore, &mut two, 5, later_us)?.0;
        prop_assert_eq!(u64::try_from(granted).unwrap(), 5 - one.held);
    }
    Ok(())
}

#[test]
fn a_server_without_data_learns_what_nodes_hold() {
    check_lost_data(&mut Scripts::start()).unwrap();
}

/// What nodes admitted without the server counts, beyond the limit if need be.
#[test]
fn permits_that_were_not_asked_for_count() {
    let mut scripts = Scripts::start();
    let semaphore = semaphore(3);
    let [mut one, mut two] = [1, 2].map(SemaphoreNode::new);
    let mut ask = |node: &mut _, permits| {
        let asked = ask(&mut scripts, &semaphore, node, permits, START_US);
        (
            asked.unwrap().0,
            in_use(&mut scripts, &semaphore, START_US).unwrap(),
        )
    };
    assert_eq!(ask(&mut one, 2), (2, 2));
    (two.held, two.unasked) = (4, 4);
    assert_eq!(ask(&mut two, 1), (0, 6));
    assert_eq!(two.held, 4);
    (two.held, two.unasked) = (0, 0);
    assert_eq!(ask(&mut two, 2), (1, 3));
}

#[test]
fn foreign_values_are_errors() {
    let mut scripts = Scripts::start();
    let semaphore = semaphore(3);
    let values = ["", "S", "hello", "S twenty-two byte long", "twelve bytes"];
    for value in values {
        let () = scripts.query(&["SET", &semaphore.key, value]);
        let arguments = SemaphoreNode::new(1).request(&semaphore, &[(1, true)], START_US);
        let error = deliver(&mut scripts, &semaphore, arguments, START_US).unwrap_err();
        assert!(error.to_string().contains("user_script"), "{error}");
        let stored: String = scripts.query(&["GET", &semaphore.key]);
        assert_eq!(stored, value);
    }
}
