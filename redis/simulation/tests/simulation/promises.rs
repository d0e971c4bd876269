//! What tidegate-redis promises holds in the scenarios of the record, made smaller.

use tidegate_simulation::fleet::run;
use tidegate_simulation::scenarios::{
    Effort, deaths, failures, hot_node, lossy, lossy_and_unordered, shard_down, sizes,
};

use crate::everything;

#[test]
fn fleets_keep_the_bound_and_use_the_quota() {
    let mut cases = sizes(Effort::Quick);
    let others = [hot_node, deaths, lossy, lossy_and_unordered, shard_down];
    cases.extend(others.map(|case| case(Effort::Quick)));
    for case in cases {
        let (name, nodes) = (case.scenario.name, case.scenario.demand.len());
        let outcome = run(&case.scenario);
        let failures = failures(&case, &outcome);
        assert!(failures.is_empty(), "{name}, {nodes} nodes: {failures:?}");
        assert!(
            outcome.calls.offered > 1_000 && outcome.refills > 1.0,
            "{name}"
        );
    }
}

/// The fleet comes near the bound, and replies are lost.
#[test]
fn bound_is_kept_where_everything_happens() {
    for seed in 1..=5 {
        let outcome = run(&everything(seed));
        let used = outcome.percent_of_capacity;
        assert!(outcome.bound_holds && used > 50.0, "seed {seed}: {used} %");
        assert!(outcome.timeouts > 0, "seed {seed}");
    }
}
