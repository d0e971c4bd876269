//! A table of keys of which few get most of the calls, and what leases for these would save.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate::Quota;
use tidegate_redis::{LeaseOptions, LeasedTokenBucket, RedisKeyed, RedisStore};

use crate::bound::Bound;
use crate::clock::{Ticks, nanos, now, simulate};
use crate::figures::{jain, percent, poisson};
use crate::network::{Link, Network};
use crate::server::Load;
use crate::zipf::Zipf;

/// A node learns of a decision at most so much later: the network takes less than 2 ms, and the
/// node's clock ticks every millisecond. The rest is for requests that wait at the server.
const LATE: Duration = Duration::from_millis(10);
/// The time in which nodes take their first leases.
const START: Duration = Duration::from_secs(1);

/// What is simulated.
#[derive(Clone, Debug)]
pub struct HotKeys {
    /// All random choices follow from it.
    pub seed: u64,
    /// How many nodes share the table. A call comes to any of them.
    pub nodes: usize,
    /// How many keys there are.
    pub keys: usize,
    /// The exponent of their distribution.
    pub exponent: f64,
    /// Calls per second of all nodes together.
    pub calls: f64,
    /// The quota of each key.
    pub quota: Quota,
    /// How many of the hottest keys every node leases.
    pub leased: usize,
    /// How long calls are made before the results count.
    pub warm_up: Duration,
    /// How long the results count.
    pub measured: Duration,
}

/// The results.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Calls that count.
    pub offered: u64,
    /// Calls admitted.
    pub admitted: u64,
    /// Of the hottest key: calls that could be admitted, by its quota and its demand.
    pub hottest_could: f64,
    /// Of the hottest key: calls that were admitted.
    pub hottest_admitted: u64,
    /// Jain's index of what the nodes were admitted for the hottest key.
    pub hottest_jain: f64,
    /// Whether the hottest key kept its bound, by the instants at which nodes learned of it.
    pub hottest_bound_holds: bool,
    /// Round trips per 1 000 calls.
    pub round_trips: f64,
    /// Microseconds of the server per 1 000 calls.
    pub server_us: f64,
    /// How busy the server was, in percent.
    pub busy: f64,
    /// Keys on the server at the end, and the bytes of their names and values.
    pub size: (usize, usize),
    /// The number of events, and their digest.
    pub trace: (u64, u64),
}

#[derive(Default)]
struct Tally {
    offered: u64,
    admitted: u64,
    hottest_offered: u64,
    /// By node.
    hottest: Vec<u64>,
}

struct Node {
    table: Arc<RedisKeyed>,
    leases: Vec<LeasedTokenBucket>,
}

/// Simulates the table.
///
/// # Panics
///
/// If the client does.
pub fn run(setup: &HotKeys) -> Outcome {
    simulate(setup.seed, simulated(setup))
}

async fn start(setup: &HotKeys, network: &Network, random: &mut fastrand::Rng) -> Vec<Node> {
    let mut starting = Vec::new();
    for node in 0..setup.nodes {
        let store = RedisStore::builder().connection(network.connection(node));
        let table = RedisKeyed::new(&store, "user", setup.quota);
        let table = table.expect("the scripts support the quota");
        let buckets = (0..setup.leased).map(|key| table.bucket(name(key)));
        let buckets = buckets.collect::<Result<Vec<_>, _>>();
        let buckets = buckets.expect("the table has one limit");
        let wait = START.mul_f64(0.5 * random.f64());
        starting.push(tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let mut leases = Vec::new();
            for bucket in buckets {
                // At the same time: a fleet of many keys would wait for long.
                leases.push(tokio::spawn(bucket.lease(LeaseOptions::new())));
            }
            let mut taken = Vec::new();
            for lease in leases {
                taken.push(lease.await.expect("the client does not panic"));
            }
            let table = Arc::new(table);
            Node {
                table,
                leases: taken,
            }
        }));
    }
    let mut ticks = Ticks::new();
    while now() < nanos(START) {
        network.deliver(ticks.next().await);
    }
    let mut nodes = Vec::new();
    for node in starting {
        nodes.push(node.await.expect("the client does not panic"));
    }
    nodes
}

/// Returns the name of a key.
fn name(key: usize) -> String {
    format!("user-{key:06}")
}

async fn simulated(setup: &HotKeys) -> Outcome {
    let mut random = fastrand::Rng::with_seed(setup.seed);
    let network = Network::new(random.u64(..), setup.nodes, 1, Link::DATA_CENTER);
    let nodes = start(setup, &network, &mut random).await;
    let zipf = Zipf::new(setup.keys, setup.exponent);
    let new = || Tally {
        hottest: vec![0; setup.nodes],
        ..Tally::default()
    };
    let tally = Arc::new(Mutex::new(new()));
    let lock = || tally.lock().unwrap_or_else(PoisonError::into_inner);
    let counts = now() + nanos(setup.warm_up);
    let end = counts + nanos(setup.measured);
    let mut before = Load::default();
    let mut bound = Bound::of_late_news(setup.quota, LATE);
    let mut seen = 0;
    let mut ticks = Ticks::new();
    loop {
        let now = ticks.next().await;
        if now > end {
            break;
        }
        network.deliver(now);
        tokio::task::yield_now().await;
        // What nodes learned since the last tick, they learned now.
        let admitted: u64 = lock().hottest.iter().sum();
        bound.admit(now, admitted - seen);
        seen = admitted;
        if now >= counts && before == Load::default() {
            before = network.loads()[0];
            *lock() = new();
            seen = 0;
        }
        for _ in 0..poisson(&mut random, setup.calls / 1_000.0) {
            let (key, index) = (zipf.draw(&mut random), random.usize(..setup.nodes));
            let node = &nodes[index];
            let count = {
                let tally = Arc::clone(&tally);
                move |is_admitted: bool| {
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    tally.admitted += u64::from(is_admitted);
                    tally.hottest[index] += u64::from(is_admitted && key == 0);
                }
            };
            lock().offered += 1;
            lock().hottest_offered += u64::from(key == 0);
            if let Some(lease) = node.leases.get(key) {
                count(lease.try_acquire(1).is_ok());
            } else {
                let table = Arc::clone(&node.table);
                tokio::spawn(async move { count(table.try_acquire(name(key), 1).await.is_ok()) });
            }
        }
    }
    let load = network.loads()[0].since(before);
    let tally = lock();
    outcome(setup, &tally, load, &bound, &network)
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn outcome(
    setup: &HotKeys,
    tally: &Tally,
    load: Load,
    bound: &Bound,
    network: &Network,
) -> Outcome {
    let calls = tally.offered as f64;
    let trips = load.takes + load.refills + load.others;
    let rate = setup.quota.rate() as f64 / setup.quota.period().as_secs_f64();
    let shares: Vec<f64> = tally
        .hottest
        .iter()
        .map(|&admitted| admitted as f64)
        .collect();
    Outcome {
        offered: tally.offered,
        admitted: tally.admitted,
        hottest_could: (tally.hottest_offered as f64).min(rate * setup.measured.as_secs_f64()),
        hottest_admitted: tally.hottest.iter().sum(),
        hottest_jain: jain(&shares),
        hottest_bound_holds: bound.holds(),
        round_trips: 1_000.0 * trips as f64 / calls,
        server_us: load.busy as f64 / calls,
        busy: percent(load.busy as f64, nanos(setup.measured) as f64),
        size: network.size(now()),
        trace: network.digest(),
    }
}
