//! Nodes that share one leased bucket, and in some scenarios limits for many keys.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate::Quota;
use tidegate_redis::{LeaseOptions, LeasedTokenBucket, RedisKeyed, RedisStore, RedisTokenBucket};

use crate::bound::Bound;
use crate::clock::{Ticks, nanos, now, simulate};
use crate::figures::{jain, least, percent, poisson};
use crate::network::{Link, Network};
use crate::server::Load;
use crate::shards;

/// The name of the leased bucket.
pub const BUCKET: &str = "fleet";
/// The name of the table.
const TABLE: &str = "user";
/// Nodes start at random instants of this time, and calls begin when it is over.
const START: Duration = Duration::from_secs(1);
/// How long a bar of a picture is.
pub const BIN: Duration = Duration::from_millis(100);

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// For people.
    pub name: &'static str,
    /// All random choices follow from it.
    pub seed: u64,
    /// Calls per second of each node, on average.
    pub demand: Vec<f64>,
    /// The quota of the bucket.
    pub quota: Quota,
    /// How the nodes reach the servers.
    pub link: Link,
    /// How long a call waits for a server.
    pub timeout: Duration,
    /// How the nodes lease tokens.
    pub lease: LeaseOptions,
    /// One is a server, several are a cluster.
    pub shards: usize,
    /// What goes wrong.
    pub fault: Option<Fault>,
    /// Calls for keys besides those of the bucket.
    pub keyed: Option<KeyedTraffic>,
    /// How long calls are made before the results count, so that the first burst is used up.
    pub warm_up: Duration,
    /// How long the results count.
    pub measured: Duration,
}

/// What goes wrong, in a time after the start of the calls.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The last so many nodes die at once. Their callers go to the others.
    Deaths {
        /// When.
        at: Duration,
        /// How many.
        nodes: usize,
    },
    /// The shard of the bucket cannot be reached.
    Outage {
        /// From when.
        at: Duration,
        /// For how long.
        lasts: Duration,
    },
}

/// Calls for keys, each as often as any other, at any node.
#[derive(Clone, Copy, Debug)]
pub struct KeyedTraffic {
    /// How many keys there are.
    pub keys: u64,
    /// Calls per second of all nodes together.
    pub calls: f64,
    /// The quota of each key.
    pub quota: Quota,
}

/// Calls, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calls {
    /// Calls made.
    pub offered: u64,
    /// Calls admitted.
    pub admitted: u64,
    /// Calls refused because no server answered.
    pub unavailable: u64,
}

/// The results.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// All calls of the bucket that count.
    pub calls: Calls,
    /// Those of quiet nodes, to which fairness does not apply.
    pub quiet: Calls,
    /// Admissions, in percent of the quota or of the demand, whichever is less.
    pub goodput: f64,
    /// Whether no interval held more than the bound, from the first call on.
    pub bound_holds: bool,
    /// How near the admissions came to the bound, in percent of the capacity.
    pub percent_of_capacity: f64,
    /// Jain's index of what the nodes were admitted, in proportion to their demand. A node of less
    /// than 50 calls is quiet, and does not count.
    pub jain: f64,
    /// What the node that got least was admitted, divided by the mean, in proportion to demand.
    pub least: f64,
    /// What each shard did while the results counted.
    pub loads: Vec<Load>,
    /// How busy the busiest shard was, in percent.
    pub busiest: f64,
    /// Refills per second.
    pub refills: f64,
    /// Calls of nodes that timed out, and outages that they noticed.
    pub timeouts: u64,
    /// See `timeouts`.
    pub outages: u64,
    /// Calls of the bucket in each [`BIN`], from the first call on.
    pub bins: Vec<Calls>,
    /// Calls for keys of each shard, in each bin.
    pub keyed: Vec<Vec<Calls>>,
    /// Which shard has the bucket.
    pub shard_of_bucket: usize,
    /// The number of events, and their digest.
    pub trace: (u64, u64),
}

/// One simulated machine of the fleet.
struct Node {
    store: RedisStore,
    lease: LeasedTokenBucket,
    /// Calls per tick.
    demand: f64,
    calls: Calls,
}

/// Simulates a scenario.
///
/// # Panics
///
/// If the client does.
pub fn run(scenario: &Scenario) -> Outcome {
    simulate(scenario.seed, Run::simulated(scenario, false)).0
}

/// Simulates a scenario, and returns the network as well, with all calls that servers served.
///
/// # Panics
///
/// If the client does.
pub fn run_and_log(scenario: &Scenario) -> (Outcome, Network) {
    simulate(scenario.seed, Run::simulated(scenario, true))
}

/// A simulation in progress.
struct Run<'a> {
    scenario: &'a Scenario,
    network: Network,
    random: fastrand::Rng,
    nodes: Vec<Node>,
    /// The first so many are alive.
    alive: usize,
    bound: Bound,
    bins: Vec<Calls>,
    keyed: Arc<Mutex<Vec<Vec<Calls>>>>,
    tables: Vec<Arc<RedisKeyed>>,
}

impl<'a> Run<'a> {
    async fn simulated(scenario: &'a Scenario, log: bool) -> (Outcome, Network) {
        let mut run = Self::start(scenario, log).await;
        let outcome = run.calls().await;
        (outcome, run.network)
    }

    /// Starts all nodes.
    async fn start(scenario: &'a Scenario, log: bool) -> Self {
        let nodes = scenario.demand.len();
        let mut random = fastrand::Rng::with_seed(scenario.seed);
        let network = Network::new(random.u64(..), nodes, scenario.shards, scenario.link);
        if log {
            network.log_calls();
        }
        let mut tables = Vec::new();
        let mut starting = Vec::new();
        for node in 0..nodes {
            let store = RedisStore::builder().timeout(scenario.timeout);
            let store = store.connection(network.connection(node));
            let bucket = RedisTokenBucket::new(&store, BUCKET, scenario.quota);
            let bucket = bucket.expect("the scripts support the quota");
            if let Some(keyed) = scenario.keyed {
                let table = RedisKeyed::new(&store, TABLE, keyed.quota);
                tables.push(Arc::new(table.expect("the scripts support the quota")));
            }
            let (wait, options) = (START.mul_f64(0.5 * random.f64()), scenario.lease);
            starting.push(tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                (store, bucket.lease(options).await)
            }));
        }
        let mut ticks = Ticks::new();
        while now() < nanos(START) {
            network.deliver(ticks.next().await);
        }
        let mut started = Vec::new();
        for (starting, demand) in starting.into_iter().zip(&scenario.demand) {
            let (store, lease) = starting.await.expect("the client does not panic");
            started.push(Node {
                store,
                lease,
                demand: demand / 1_000.0,
                calls: Calls::default(),
            });
        }
        Self {
            scenario,
            network,
            random,
            alive: started.len(),
            nodes: started,
            bound: Bound::new(scenario.quota),
            bins: Vec::new(),
            keyed: Arc::new(Mutex::new(vec![Vec::new(); scenario.shards])),
            tables,
        }
    }

    /// Makes all calls.
    async fn calls(&mut self) -> Outcome {
        let scenario = self.scenario;
        let begin = now();
        let counts = begin + nanos(scenario.warm_up);
        let end = counts + nanos(scenario.measured);
        let mut before = self.network.loads();
        self.cut_off(begin);
        let mut ticks = Ticks::new();
        loop {
            let now = ticks.next().await;
            if now > end {
                break;
            }
            if now - nanos(crate::clock::TICK) < counts && now >= counts {
                before = self.network.loads();
                self.nodes
                    .iter_mut()
                    .for_each(|node| node.calls = Calls::default());
            }
            self.kill(now - begin);
            self.network.deliver(now);
            // The nodes take what has arrived before they get calls.
            tokio::task::yield_now().await;
            self.tick(now, begin);
        }
        self.outcome(&before)
    }

    /// Makes the server of the bucket unreachable, if the scenario says so.
    fn cut_off(&self, begin: u64) {
        if let Some(Fault::Outage { at, lasts }) = self.scenario.fault {
            let from = begin + nanos(at);
            let shard = shards::of_key(BUCKET.as_bytes(), self.scenario.shards);
            self.network.cut_off(shard, from..from + nanos(lasts));
        }
    }

    /// Kills nodes, if it is time. Their callers go to the others.
    fn kill(&mut self, elapsed: u64) {
        let Some(Fault::Deaths { at, nodes }) = self.scenario.fault else {
            return;
        };
        if elapsed < nanos(at) || self.alive < self.nodes.len() {
            return;
        }
        self.alive -= nodes;
        let lost: f64 = self.nodes[self.alive..]
            .iter()
            .map(|node| node.demand)
            .sum();
        for dead in self.alive..self.nodes.len() {
            self.network.kill(dead);
        }
        let left: f64 = self.nodes[..self.alive]
            .iter()
            .map(|node| node.demand)
            .sum();
        for node in &mut self.nodes[..self.alive] {
            node.demand *= 1.0 + lost / left;
        }
    }

    /// Makes the calls of one tick.
    fn tick(&mut self, now: u64, begin: u64) {
        let bin = usize::try_from((now - begin - 1) / nanos(BIN)).expect("few bins");
        self.bins.resize(bin + 1, Calls::default());
        let mut all = Calls::default();
        for (index, node) in self.nodes[..self.alive].iter_mut().enumerate() {
            let mut calls = Calls {
                offered: poisson(&mut self.random, node.demand),
                ..Calls::default()
            };
            for _ in 0..calls.offered {
                match node.lease.try_acquire(1) {
                    Ok(()) => calls.admitted += 1,
                    Err(error) => calls.unavailable += u64::from(error.is_unavailable()),
                }
            }
            if calls.admitted > 0 {
                self.network.note(b'c', calls.admitted, index);
            }
            node.calls.add(calls);
            all.add(calls);
        }
        self.bound.admit(now, all.admitted);
        self.bins[bin].add(all);
        self.call_keys(bin);
    }

    /// Makes the calls for keys, whose replies arrive later. They count where they began.
    fn call_keys(&mut self, bin: usize) {
        let Some(traffic) = self.scenario.keyed else {
            return;
        };
        for _ in 0..poisson(&mut self.random, traffic.calls / 1_000.0) {
            let key = self.random.u64(..traffic.keys).to_string();
            let table = Arc::clone(&self.tables[self.random.usize(..self.alive)]);
            let shard = shards::of_key(key.as_bytes(), self.scenario.shards);
            let keyed = Arc::clone(&self.keyed);
            let count = move |calls: Calls| {
                let bins = &mut keyed.lock().unwrap_or_else(PoisonError::into_inner)[shard];
                bins.resize(bins.len().max(bin + 1), Calls::default());
                bins[bin].add(calls);
            };
            count(Calls {
                offered: 1,
                ..Calls::default()
            });
            tokio::spawn(async move {
                let result = table.try_acquire(&key, 1).await;
                let is_unavailable = |error: tidegate_redis::AcquireError| error.is_unavailable();
                count(Calls {
                    offered: 0,
                    admitted: u64::from(result.is_ok()),
                    unavailable: u64::from(result.is_err_and(is_unavailable)),
                });
            });
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "for people")]
    fn outcome(&self, before: &[Load]) -> Outcome {
        let scenario = self.scenario;
        let mut calls = Calls::default();
        self.nodes.iter().for_each(|node| calls.add(node.calls));
        let seconds = scenario.measured.as_secs_f64();
        let quota = scenario.quota.rate() as f64 / scenario.quota.period().as_secs_f64();
        let alive = &self.nodes[..self.alive];
        // Few calls are no measure.
        let is_quiet = |node: &&Node| node.demand * 1_000.0 * seconds < 50.0;
        let mut quiet = Calls::default();
        let quiet_nodes = alive.iter().filter(is_quiet);
        quiet_nodes.for_each(|node| quiet.add(node.calls));
        let shares = alive.iter().filter(|node| !is_quiet(node));
        let shares: Vec<f64> = shares
            .map(|node| node.calls.admitted as f64 / node.demand)
            .collect();
        let loads: Vec<Load> = self.network.loads();
        let loads: Vec<Load> = loads
            .iter()
            .zip(before)
            .map(|(now, then)| now.since(*then))
            .collect();
        let busiest = loads.iter().map(|load| load.busy).max().unwrap_or(0);
        let refills: u64 = loads.iter().map(|load| load.refills).sum();
        let stats = || alive.iter().map(|node| node.store.stats());
        Outcome {
            goodput: percent(
                calls.admitted as f64,
                (calls.offered as f64).min(quota * seconds),
            ),
            calls,
            quiet,
            bound_holds: self.bound.holds(),
            percent_of_capacity: self.bound.percent_of_capacity(),
            jain: jain(&shares),
            least: least(&shares),
            busiest: percent(busiest as f64, nanos(scenario.measured) as f64),
            refills: refills as f64 / seconds,
            loads,
            timeouts: stats().map(|stats| stats.timeouts).sum(),
            outages: stats().map(|stats| stats.outages).sum(),
            bins: self.bins.clone(),
            keyed: self
                .keyed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            shard_of_bucket: shards::of_key(BUCKET.as_bytes(), scenario.shards),
            trace: self.network.digest(),
        }
    }
}

impl Calls {
    /// Adds other calls.
    pub fn add(&mut self, other: Self) {
        self.offered += other.offered;
        self.admitted += other.admitted;
        self.unavailable += other.unavailable;
    }
}
