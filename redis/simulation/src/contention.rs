//! The benchmark `server_time` of tidegate-redis, simulated, to compare with what it measured.
//!
//! Nodes contend for leases of one bucket of 10 000 tokens per second. Each has a caller that waits
//! at any time. The last two of three seconds count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tidegate::Quota;
use tidegate_redis::{LeaseOptions, RedisStore, RedisTokenBucket};

use crate::clock::{Ticks, nanos, now, simulate};
use crate::figures::percent;
use crate::network::{Link, Network};
use crate::server::Load;

const RATE: u64 = 10_000;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(2);

/// The results.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Refills per second.
    pub refills: f64,
    /// How busy the server was, in percent.
    pub busy: f64,
    /// Calls admitted in three seconds, of 30 000 and a burst of 5 000.
    pub admitted: u64,
}

/// Simulates so many nodes.
///
/// # Panics
///
/// If the client does.
pub fn run(nodes: usize) -> Outcome {
    simulate(1, simulated(nodes))
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
async fn simulated(nodes: usize) -> Outcome {
    let network = Network::new(1, nodes, 1, Link::DATA_CENTER);
    let admitted = Arc::new(AtomicU64::new(0));
    for node in 0..nodes {
        let store = RedisStore::builder().connection(network.connection(node));
        let quota = Quota::per_second(RATE).burst(RATE / 2);
        let bucket = RedisTokenBucket::new(&store, "contention", quota);
        let bucket = bucket.expect("the scripts support the quota");
        let admitted = Arc::clone(&admitted);
        tokio::spawn(async move {
            let lease = bucket.lease(LeaseOptions::new()).await;
            loop {
                let is_ok = lease.acquire(1).await.is_ok();
                // Relaxed: a counter, in a simulation of one thread.
                admitted.fetch_add(u64::from(is_ok), Relaxed);
            }
        });
    }
    let mut before = Load::default();
    let mut ticks = Ticks::new();
    while now() < nanos(WARM_UP + MEASURED) {
        let at = ticks.next().await;
        network.deliver(at);
        if at == nanos(WARM_UP) {
            before = network.loads()[0];
        }
    }
    let load = network.loads()[0].since(before);
    Outcome {
        refills: load.refills as f64 / MEASURED.as_secs_f64(),
        busy: percent(load.busy as f64, nanos(MEASURED) as f64),
        // Relaxed: as above.
        admitted: admitted.load(Relaxed),
    }
}
