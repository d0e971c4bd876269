//! A table of keys of which few get most of the calls, on a real server: all keys by calls of the
//! server, and the hottest ones by leases.
//!
//! `cargo bench -p tidegate-redis --bench hot_keys -- FOLDER` starts its own server on a Unix
//! socket, and writes `hot_keys_measured.md` into the folder. Calls come at a fixed rate, at any
//! node. The server counts the time of its scripts itself, and the system the time of its process.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark measures time, may panic, and is for people"
)]
#![allow(missing_docs, reason = "a program")]
#![allow(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "a program needs std anyway"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use support::server::{Server, ServerOptions};
use tidegate::Quota;
use tidegate_redis::{LeaseOptions, LeasedTokenBucket, RedisKeyed, RedisStore};
use tokio::time::interval;

const KEYS: usize = 100_000;
const EXPONENT: f64 = 1.1;
const CALLS_PER_MS: usize = 10;
const MEASURED: Duration = Duration::from_secs(4);

struct Node {
    store: RedisStore,
    table: RedisKeyed,
    leases: Vec<LeasedTokenBucket>,
}

/// The chance of each key or one before it: the chance of a key is 1 / rank^s.
fn chances() -> Vec<f64> {
    let weights = (1..=KEYS).map(|rank| (rank as f64).powf(-EXPONENT));
    let mut sum = 0.0;
    let sums = weights.map(|weight| {
        sum += weight;
        sum
    });
    let mut chances: Vec<f64> = sums.collect();
    for chance in &mut chances {
        *chance /= sum;
    }
    chances
}

fn name(key: usize) -> String {
    format!("user-{key:06}")
}

async fn start(server: &Server, nodes: usize, hottest: usize) -> Vec<Arc<Node>> {
    let mut all = Vec::new();
    for _ in 0..nodes {
        // So patient that a slow machine is no outage.
        let store = RedisStore::builder().timeout(Duration::from_secs(30));
        let store = store.connect(server.socket_url()).unwrap();
        let table = RedisKeyed::new(&store, "user", Quota::per_second(20_000)).unwrap();
        let mut leases = Vec::new();
        for key in 0..hottest {
            let bucket = table.bucket(name(key)).unwrap();
            leases.push(bucket.lease(LeaseOptions::new()).await);
        }
        all.push(Arc::new(Node {
            store,
            table,
            leases,
        }));
    }
    all
}

/// Microseconds of scripts and of the whole process.
fn server_us(server: &Server) -> [f64; 2] {
    let stats: String = server.query(&["INFO", "commandstats"]);
    let us = |line: &str| {
        let (name, values) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let (_, us) = values.split_once("usec=")?;
        matches!(name, "evalsha" | "eval").then(|| us.split_once(',').unwrap().0.parse::<f64>())
    };
    let scripts = stats.lines().filter_map(us).map(Result::unwrap).sum();
    let seconds = |field| server.info(field).unwrap().parse::<f64>().unwrap();
    let process = seconds("used_cpu_user") + seconds("used_cpu_sys");
    [scripts, process * 1e6]
}

/// Makes calls for a while. Returns how many were made, and how many admitted.
async fn run(nodes: &[Arc<Node>], chances: &[f64], time: Duration) -> (u64, u64) {
    let admitted = Arc::new(AtomicU64::new(0));
    let mut ticks = interval(Duration::from_millis(1));
    let mut calls = Vec::new();
    for _ in 0..time.as_millis() {
        ticks.tick().await;
        for _ in 0..CALLS_PER_MS {
            let chance = fastrand::f64();
            let key = chances
                .partition_point(|&up_to| up_to <= chance)
                .min(KEYS - 1);
            let node = Arc::clone(&nodes[fastrand::usize(..nodes.len())]);
            if let Some(lease) = node.leases.get(key) {
                admitted.fetch_add(lease.try_acquire(1).is_ok().into(), Relaxed);
                continue;
            }
            let admitted = Arc::clone(&admitted);
            calls.push(tokio::spawn(async move {
                let result = node.table.try_acquire(name(key), 1).await;
                admitted.fetch_add(result.is_ok().into(), Relaxed);
            }));
        }
    }
    for call in calls {
        call.await.unwrap();
    }
    let made = u64::try_from(time.as_millis()).unwrap() * CALLS_PER_MS as u64;
    (made, admitted.load(Relaxed))
}

async fn row(server: &Server, chances: &[f64], nodes: usize, leased: usize) -> String {
    let () = server.query(&["FLUSHALL"]);
    let all = start(server, nodes, leased).await;
    run(&all, chances, MEASURED / 4).await;
    let trips = || all.iter().map(|node| node.store.stats().calls).sum::<u64>();
    let (before, trips_before, start) = (server_us(server), trips(), Instant::now());
    let (made, admitted) = run(&all, chances, MEASURED).await;
    let (after, trips_after, took) = (server_us(server), trips(), start.elapsed());
    let per_1000 = |number: f64| 1_000.0 * number / made as f64;
    let mut row = String::new();
    write!(
        row,
        "| {nodes} | {leased} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} |",
        made as f64 / took.as_secs_f64(),
        per_1000((trips_after - trips_before) as f64),
        per_1000(after[0] - before[0]),
        per_1000(after[1] - before[1]),
        100.0 * admitted as f64 / made as f64,
    )
    .unwrap();
    for node in &all {
        for lease in &node.leases {
            lease.close().await;
        }
    }
    row
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"));
    let folder = PathBuf::from(folder.unwrap_or_else(|| ".".to_owned()));
    let server = ServerOptions::default().start();
    let chances = chances();
    let mut text =
        "| nodes | leased keys | calls per second | round trips per 1 000 calls | scripts, us \
                    | process, us | admitted, % |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for nodes in [4, 20] {
        for leased in [0, 1, 10, 100] {
            let row = row(&server, &chances, nodes, leased).await;
            println!("{row}");
            text += &(row + "\n");
        }
    }
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("hot_keys_measured.md"), &text).unwrap();
}
