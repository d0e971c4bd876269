//! What a fault may cost, and for how long.

use std::time::Duration;

use tidegate::Quota;
use tidegate_simulation::fleet::{BIN, Fault, run};
use tidegate_simulation::scenarios::{Effort, goodput_of_bins, shard_down};

fn bins(time: Duration) -> usize {
    usize::try_from(time.as_millis() / BIN.as_millis()).unwrap()
}

/// A shard that cannot be reached stops its own limits only, and these are back at the full rate
/// within a second.
///
/// The bucket is full by then. No node may take so much of it that the others get next to nothing.
#[test]
fn limits_are_back_at_full_rate_after_an_outage() {
    let (at, lasts) = (Duration::from_secs(1), Duration::from_secs(2));
    let mut scenario = shard_down(Effort::Quick).scenario;
    scenario.fault = Some(Fault::Outage { at, lasts });
    scenario.demand = vec![450.0; 40];
    scenario.quota = Quota::per_second(12_000);
    scenario.warm_up = Duration::from_millis(500);
    scenario.measured = Duration::from_secs(5);
    let outcome = run(&scenario);
    for (shard, calls) in outcome.keyed.iter().enumerate() {
        let unavailable: u64 = calls.iter().map(|calls| calls.unavailable).sum();
        let admitted: u64 = calls.iter().map(|calls| calls.admitted).sum();
        assert!(admitted > 100, "shard {shard}: {admitted} admitted");
        assert_eq!(
            unavailable > 0,
            shard == outcome.shard_of_bucket,
            "shard {shard}"
        );
    }
    let goodput = goodput_of_bins(&scenario, &outcome);
    // Nodes go on with what they hold.
    let down = &goodput[bins(at) + 3..bins(at + lasts)];
    assert!(down.iter().all(|&goodput| goodput < 5.0), "{goodput:.0?}");
    let after = &goodput[bins(at + lasts) + 10..];
    assert!(
        after.len() > 10 && after.iter().all(|&goodput| goodput > 95.0),
        "{goodput:.0?}"
    );
}
