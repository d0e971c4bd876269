//! Equal seeds give equal events.

use tidegate_simulation::fleet::run;

use crate::everything;

#[test]
fn equal_seeds_give_equal_traces() {
    let first = run(&everything(1));
    assert!(first.trace.0 > 1_000, "{first:?}");
    assert_eq!(first, run(&everything(1)));
    assert_ne!(first.trace, run(&everything(2)).trace);
    // A cluster chooses servers by key.
    let cluster = || {
        let mut scenario = everything(1);
        scenario.shards = 5;
        run(&scenario)
    };
    assert_eq!(cluster(), cluster());
}
