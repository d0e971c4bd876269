//! The server's time per decision, and memory per key, beside the usual ways: `INCR` with `EXPIRE`,
//! and a minimal GCRA script.
//!
//! `cargo bench -p tidegate-redis --bench server_time -- FOLDER` starts its own server on a Unix
//! socket, and writes `server_time.md` into the folder. All rows are measured in turn, in several
//! rounds, and the table shows the median. The server counts its time itself.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark measures time, and may panic"
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
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use redis::Script;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use support::server::{Server, ServerOptions};
use tidegate::Quota;
use tidegate_redis::{
    LeaseOptions, LimiterOptions, RedisCombined, RedisKeyed, RedisSemaphore, RedisSlidingWindow,
    RedisStore, RedisTokenBucket, SharedLimit,
};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(400);
const CALLERS: usize = 16;

/// What a limiter in Lua needs at least: no fractions, no steps of the clock, no hints.
const MINIMAL: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local tat = tonumber(redis.call('GET', KEYS[1])) or now
if tat < now then tat = now end
local new = tat + ARGV[1]
if new - now > tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], new, 'PX', math.ceil((new - now) / 1000))
return 1
";

type Calls = Pin<Box<dyn Future<Output = ()> + Send>>;
type Call = Arc<dyn Fn() -> Calls + Send + Sync>;

struct Row {
    what: &'static str,
    call: Call,
    /// Microseconds of the server per call, and calls per second, of each round.
    rounds: Vec<(f64, f64)>,
}

fn row<F: Future<Output = ()> + Send + 'static>(
    what: &'static str,
    call: impl Fn() -> F + Send + Sync + 'static,
) -> Row {
    Row {
        what,
        call: Arc::new(move || Box::pin(call())),
        rounds: Vec::new(),
    }
}

/// The microseconds that the server has spent on the commands of clients: scripts include the
/// commands that they call.
fn server_us(server: &Server) -> u64 {
    let stats: String = server.query(&["INFO", "commandstats"]);
    let us = |line: &str| {
        let (name, values) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let (_, us) = values.split_once("usec=")?;
        // `incr` and `expire` are not called by scripts here.
        matches!(name, "evalsha" | "eval" | "incr" | "expire")
            .then(|| us.split_once(',').unwrap().0.parse::<u64>().unwrap())
    };
    stats.lines().filter_map(us).sum()
}

/// Runs callers for a while. Returns how many calls they made.
async fn run(call: &Call, callers: usize, time: Duration) -> u64 {
    let (stop, calls) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (call, stop, calls) = (Arc::clone(call), Arc::clone(&stop), Arc::clone(&calls));
            tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    call().await;
                    calls.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(time).await;
    stop.store(true, Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    calls.load(Relaxed)
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
async fn measure(server: &Server, rows: &mut [Row]) {
    for _ in 0..ROUNDS {
        for row in &mut *rows {
            let before = server_us(server);
            let calls = run(&row.call, CALLERS, ROUND).await as f64;
            let us = (server_us(server) - before) as f64;
            row.rounds.push((us / calls, calls / ROUND.as_secs_f64()));
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Every row with its server time and its ratio to the minimal script.
fn table(rows: &[Row]) -> String {
    let us = |row: &Row| median(row.rounds.iter().map(|round| round.0));
    let minimal = us(rows
        .iter()
        .find(|row| row.what == "a minimal GCRA script")
        .unwrap());
    let mut table =
        "| | server, us | / minimal | calls per second |\n|---|---|---|---|\n".to_owned();
    for row in rows {
        let (us, rate) = (us(row), median(row.rounds.iter().map(|round| round.1)));
        writeln!(
            table,
            "| {} | {us:.2} | {:.2} | {rate:.0} |",
            row.what,
            us / minimal
        )
        .unwrap();
    }
    table
}

async fn connection(server: &Server) -> ConnectionManager {
    let client = redis::Client::open(server.socket_url()).unwrap();
    let config = ConnectionManagerConfig::new();
    ConnectionManager::new_with_config(client, config)
        .await
        .unwrap()
}

async fn decisions(server: &Server, store: &RedisStore) -> Vec<Row> {
    let plenty = Quota::per_second(1_000_000).burst(1_000_000);
    let thirds = Quota::per_second(999_999).burst(1_000_000);
    let asking = LimiterOptions::new().cache_denials(Duration::ZERO);
    let connection = connection(server).await;
    let minimal = |key: &'static str, capacity: u64| {
        let (connection, script) = (connection.clone(), Arc::new(Script::new(MINIMAL)));
        move || {
            let (mut connection, script) = (connection.clone(), Arc::clone(&script));
            async move {
                let mut call = script.key(key);
                let call = call.arg(1).arg(capacity);
                let _: u64 = call.invoke_async(&mut connection).await.unwrap();
            }
        }
    };
    let bucket = |name: &'static str, quota| {
        let bucket = RedisTokenBucket::with_options(store, name, quota, asking).unwrap();
        let bucket = Arc::new(bucket);
        move || {
            let bucket = Arc::clone(&bucket);
            async move { drop(bucket.try_acquire(1).await) }
        }
    };
    let window = |name: &'static str, limit, length| {
        let window = RedisSlidingWindow::with_options(store, name, limit, length, asking);
        let window = Arc::new(window.unwrap());
        move || {
            let window = Arc::clone(&window);
            async move { drop(window.try_acquire(1).await) }
        }
    };
    let minute = Duration::from_secs(60);
    // Slots of 10 us: each call is in another one.
    let brief = Duration::from_micros(640);
    let mixed = [
        ("bucket", SharedLimit::bucket(plenty)),
        ("window", SharedLimit::window(1 << 35, minute)),
    ];
    let mixed = Arc::new(RedisCombined::new(store, "mixed", mixed).unwrap());
    let full = RedisSlidingWindow::new(store, "window-denied", 100, minute * 60).unwrap();
    full.debit(100).await.unwrap();
    let two = [("requests", plenty), ("tokens", plenty)];
    let combined = Arc::new(RedisCombined::new(store, "combined", two).unwrap());
    let keyed = Arc::new(RedisKeyed::new(store, "keyed", plenty).unwrap());
    let denied = RedisTokenBucket::new(store, "denied", Quota::per_hour(1)).unwrap();
    denied.debit(100).await.unwrap();
    let changed = RedisTokenBucket::new(store, "changed", Quota::per_hour(1)).unwrap();
    changed.set_quota(plenty).await.unwrap();
    let counted = connection.clone();
    vec![
        row("INCR and EXPIRE", move || {
            let mut connection = counted.clone();
            async move {
                let mut pipe = redis::pipe();
                pipe.incr("window", 1).expire("window", 1);
                let _: (u64, bool) = pipe.query_async(&mut connection).await.unwrap();
            }
        }),
        row("a minimal GCRA script", minimal("minimal", 1_000_000_000)),
        row("it denies", minimal("minimal-denied", 0)),
        row(
            "`RedisTokenBucket`, whole microseconds",
            bucket("whole", plenty),
        ),
        row("fractions of a microsecond", bucket("thirds", thirds)),
        row("it denies", bucket("denied", Quota::per_hour(1))),
        row("after `set_quota`", bucket("changed", plenty)),
        row("`RedisSlidingWindow`", window("window", 1 << 35, minute)),
        row(
            "each call in another slot",
            window("brief", 1_000_000, brief),
        ),
        row("it denies", window("window-denied", 100, minute * 60)),
        row("`RedisKeyed`", move || {
            let keyed = Arc::clone(&keyed);
            async move { drop(keyed.try_acquire("a key", 1).await) }
        }),
        row("`RedisCombined` of two", move || {
            let combined = Arc::clone(&combined);
            async move { drop(combined.try_acquire(1).await) }
        }),
        row("`RedisCombined` of a bucket and a window", move || {
            let mixed = Arc::clone(&mixed);
            async move { drop(mixed.try_acquire(1).await) }
        }),
    ]
}

/// Nodes that contend for leases of one bucket. Each has a waiting caller at any time.
async fn leases(server: &Server, nodes: usize) -> String {
    const RATE: u64 = 10_000;
    let store = RedisStore::connect(server.socket_url()).unwrap();
    let name = format!("leases of {nodes}");
    let quota = Quota::per_second(RATE).burst(RATE / 2);
    let mut leased = Vec::new();
    for _ in 0..nodes {
        let bucket = RedisTokenBucket::new(&store, &name, quota).unwrap();
        leased.push(bucket.lease(LeaseOptions::new()).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let calls: Vec<_> = leased
        .iter()
        .map(|leased| {
            let (leased, stop) = (leased.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut admitted = 0_u64;
                while !stop.load(Relaxed) {
                    admitted += u64::from(leased.acquire(1).await.is_ok());
                }
                admitted
            })
        })
        .collect();
    // The burst is used up first.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let refills = || {
        leased
            .iter()
            .map(|leased| leased.stats().refills)
            .sum::<u64>()
    };
    let (us_before, refills_before) = (server_us(server), refills());
    let measured = Duration::from_secs(2);
    tokio::time::sleep(measured).await;
    let (us, requests) = (server_us(server) - us_before, refills() - refills_before);
    stop.store(true, Relaxed);
    let mut admitted = 0;
    for call in calls {
        admitted += call.await.unwrap();
    }
    for leased in &leased {
        leased.close().await;
    }
    let per_request = us * 100 / requests.max(1);
    let busy = us * 100 / u64::try_from(measured.as_micros()).unwrap();
    format!(
        "| {nodes} | {}.{:02} | {} | {busy} % | {} |\n",
        per_request / 100,
        per_request % 100,
        requests / 2,
        // In three seconds, and a burst.
        admitted,
    )
}

/// Nodes that take and give back permits of one semaphore, which has one for each.
async fn semaphores(server: &Server, nodes: u64) -> String {
    let store = RedisStore::connect(server.socket_url()).unwrap();
    let name = format!("semaphore of {nodes}");
    let all: Vec<_> = (0..nodes)
        .map(|_| RedisSemaphore::new(&store, &name, nodes).unwrap())
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = all
        .iter()
        .map(|node| {
            let (node, stop) = (node.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    drop(node.acquire(1).await);
                    // So that the permits come back before the next ones are asked for.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    let requests = || all.iter().map(|node| node.stats().requests).sum::<u64>();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (us_before, requests_before) = (server_us(server), requests());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (us, requests) = (server_us(server) - us_before, requests() - requests_before);
    stop.store(true, Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    let per_request = us * 100 / requests.max(1);
    let (whole, part) = (per_request / 100, per_request % 100);
    format!("| {nodes} | {whole}.{part:02} | {} |\n", requests / 2)
}

/// What many callers at once get, and how many of their calls fail.
async fn overload(server: &Server, callers: usize) -> String {
    const TIME: Duration = Duration::from_secs(3);
    let store = RedisStore::connect(server.socket_url()).unwrap();
    let quota = Quota::per_second(1_000_000).burst(1_000_000);
    let bucket = Arc::new(RedisTokenBucket::new(&store, "overload", quota).unwrap());
    let failed = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&failed);
    let asking = row("many callers", move || {
        let (bucket, failed) = (Arc::clone(&bucket), Arc::clone(&counted));
        async move {
            failed.fetch_add(u64::from(bucket.try_acquire(1).await.is_err()), Relaxed);
        }
    });
    let rate = run(&asking.call, callers, TIME).await / TIME.as_secs();
    format!("| {callers} | {rate} | {} |\n", failed.load(Relaxed))
}

async fn memory(server: &Server, store: &RedisStore) -> String {
    let mut table = "| limit | value | key and value |\n|---|---|---|\n".to_owned();
    let minute = Duration::from_secs(60);
    for (what, limit) in [
        ("100 per minute", Quota::per_minute(100).into()),
        ("3 per second", Quota::per_second(3).into()),
        (
            "a window of 100 in a minute",
            SharedLimit::window(100, minute),
        ),
    ] {
        let users = RedisKeyed::new(store, "user", limit).unwrap();
        let (mut value, mut all) = (0, 0);
        for user in 10_000..11_000 {
            users.try_acquire(&user.to_string(), 1).await.unwrap();
            let key = format!("tidegate:user:{{{user}}}");
            value += server.query::<u64>(&["STRLEN", &key]);
            all += server.query::<u64>(&["MEMORY", "USAGE", &key]);
        }
        writeln!(table, "| {what} | {} | {} |", value / 1_000, all / 1_000).unwrap();
        let () = server.query(&["FLUSHALL"]);
    }
    table
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"));
    let folder = PathBuf::from(folder.unwrap_or_else(|| ".".to_owned()));
    let server = ServerOptions::default().start();
    let store = RedisStore::connect(server.socket_url()).unwrap();
    let mut rows = decisions(&server, &store).await;
    measure(&server, &mut rows).await;
    let mut text = table(&rows);
    text.push_str("\n| nodes | server per refill, us | refills per second | of a core | admitted |\n|---|---|---|---|---|\n");
    for nodes in [1, 10, 100, 500, 1_000] {
        text.push_str(&leases(&server, nodes).await);
    }
    text.push_str("\n| nodes of a semaphore | server per request, us | requests per second |\n|---|---|---|\n");
    for nodes in [1, 10, 100] {
        text.push_str(&semaphores(&server, nodes).await);
    }
    text.push_str("\n| callers | calls per second | failed |\n|---|---|---|\n");
    for callers in [20, 200, 2_000, 20_000] {
        text.push_str(&overload(&server, callers).await);
    }
    text.push_str("\nBytes per key, with names of 21 bytes, the mean of 1 000 keys as `MEMORY USAGE` tells it:\n\n");
    text.push_str(&memory(&server, &store).await);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("server_time.md"), &text).unwrap();
    println!("{text}");
}
