//! What a quota allows in a while.

use std::time::Duration;

use tidegate::Quota;

use crate::gateway::NODES;

/// Capacity + rate · time, rounded down: what no limiter may exceed, over whatever nodes.
pub(crate) fn most(quota: Quota, time: Duration) -> u64 {
    quota.capacity().saturating_add(refill(quota, time))
}

/// What the shares of all gateways admit without the server: each has a bucket of its own, which holds at least 1.
pub(crate) fn most_by_shares(quota: Quota, time: Duration) -> u64 {
    let nodes = u64::from(NODES.get());
    let bursts = (quota.capacity() / nodes).max(1).saturating_mul(nodes);
    bursts.saturating_add(refill(quota, time))
}

fn refill(quota: Quota, time: Duration) -> u64 {
    let refill = u128::from(quota.rate()).saturating_mul(time.as_nanos());
    u64::try_from(refill / quota.period().as_nanos()).unwrap_or(u64::MAX)
}
