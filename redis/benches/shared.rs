//! The cost of shared decisions: a script per call, leases, and the fixed window that many programs
//! start with.
//!
//! `cargo bench -p tidegate-redis --bench shared -- FOLDER` starts its own server on a Unix socket,
//! and writes `shared.csv` and `shared.md` into the folder: calls per second, percentiles of single
//! calls, and round trips per 1 000 calls.
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
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use redis::aio::ConnectionManager;
use support::server::ServerOptions;
use tidegate::Quota;
use tidegate_redis::{LeaseOptions, RedisStore, RedisTokenBucket};

/// How long each row is measured, after a warm-up of a tenth.
const ROW: Duration = Duration::from_secs(3);

/// More than the callers can use.
const PLENTY: Quota = Quota::per_second(1_000_000_000);

/// One row of the table.
struct Row {
    what: &'static str,
    callers: usize,
    calls: u64,
    trips: u64,
    time: Duration,
    latency: Histogram<u64>,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap()
}

/// Calls until `stop` is set. Returns how long each call took.
async fn caller<F: Future<Output = ()>>(
    stop: Arc<AtomicBool>,
    call: impl Fn() -> F,
) -> Histogram<u64> {
    let mut latency = histogram();
    while !stop.load(Relaxed) {
        let start = Instant::now();
        call().await;
        latency.saturating_record(u64::try_from(start.elapsed().as_nanos()).unwrap());
    }
    latency
}

/// Measures tasks that call. `trips` is read before and after.
async fn measure<F, C>(
    what: &'static str,
    callers: usize,
    trips: impl Fn() -> u64,
    make: impl Fn() -> C,
) -> Row
where
    F: Future<Output = ()> + Send + 'static,
    C: Fn() -> F + Send + 'static,
{
    for time in [ROW / 10, ROW] {
        let stop = Arc::new(AtomicBool::new(false));
        let (before, start) = (trips(), Instant::now());
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let (stop, call) = (Arc::clone(&stop), make());
                tokio::spawn(async move { caller(stop, call).await })
            })
            .collect();
        tokio::time::sleep(time).await;
        stop.store(true, Relaxed);
        let mut latency = histogram();
        for task in tasks {
            latency.add(task.await.unwrap()).unwrap();
        }
        if time == ROW {
            return Row {
                what,
                callers,
                calls: latency.len(),
                trips: trips() - before,
                time: start.elapsed(),
                latency,
            };
        }
    }
    unreachable!("the second time is that of the row")
}

/// Measures threads that make calls that never wait.
fn measure_threads(
    what: &'static str,
    threads: usize,
    trips: impl Fn() -> u64,
    call: impl Fn() + Sync,
) -> Row {
    let mut row = None;
    for time in [ROW / 10, ROW] {
        let stop = AtomicBool::new(false);
        let (before, start) = (trips(), Instant::now());
        let (mut latency, mut calls) = (histogram(), 0);
        std::thread::scope(|scope| {
            let one = || {
                let (mut latency, mut calls) = (histogram(), 0_u64);
                while !stop.load(Relaxed) {
                    // Times one call in 64, so that reading the clock does not dominate.
                    let start = Instant::now();
                    call();
                    latency.saturating_record(u64::try_from(start.elapsed().as_nanos()).unwrap());
                    for _ in 1..64 {
                        call();
                    }
                    calls += 64;
                }
                (latency, calls)
            };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
            // Parking may end early, so this repeats.
            while start.elapsed() < time {
                std::thread::park_timeout(time);
            }
            stop.store(true, Relaxed);
            for thread in threads {
                let (more, n) = thread.join().unwrap();
                latency.add(more).unwrap();
                calls += n;
            }
        });
        row = Some(Row {
            what,
            callers: threads,
            calls,
            trips: trips() - before,
            time: start.elapsed(),
            latency,
        });
    }
    row.unwrap()
}

/// Counts calls per second of the wall clock. Around its edge it admits twice the limit.
async fn fixed_window(mut connection: ConnectionManager) {
    let _: (u64, bool) = redis::pipe()
        .incr("window", 1)
        .expire("window", 1)
        .query_async(&mut connection)
        .await
        .unwrap();
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"));
    let folder = PathBuf::from(folder.unwrap_or_else(|| ".".to_owned()));
    let server = ServerOptions::default().start();
    let store = RedisStore::connect(server.socket_url()).unwrap();
    let trips = {
        let store = store.clone();
        move || store.stats().calls
    };
    let bucket = |name, quota| Arc::new(RedisTokenBucket::new(&store, name, quota).unwrap());
    let mut rows = Vec::new();
    let mut done = |row: Row| {
        if std::io::stderr().is_terminal() {
            eprint!("\r{} of 10 rows", rows.len() + 1);
            std::io::stderr().flush().unwrap();
        }
        rows.push(row);
    };

    for callers in [1, 64] {
        let config = redis::aio::ConnectionManagerConfig::new();
        let connection =
            ConnectionManager::new_with_config(redis::Client::open(server.url()).unwrap(), config)
                .await
                .unwrap();
        let make = || {
            let connection = connection.clone();
            move || fixed_window(connection.clone())
        };
        let mut row = measure("INCR and EXPIRE, a fixed window", callers, || 0, make).await;
        // Two commands in one round trip.
        row.trips = row.calls;
        done(row);

        let plenty = bucket("plenty", PLENTY);
        let make = || {
            let bucket = Arc::clone(&plenty);
            move || {
                let bucket = Arc::clone(&bucket);
                async move {
                    let _admitted = bucket.try_acquire(1).await.unwrap();
                }
            }
        };
        done(measure("RedisTokenBucket admits", callers, &trips, make).await);

        let none = RedisTokenBucket::with_options(
            &store,
            "none",
            Quota::per_hour(1),
            tidegate_redis::LimiterOptions::new().cache_denials(Duration::ZERO),
        );
        let none = Arc::new(none.unwrap());
        none.debit(10).await.unwrap();
        let make = || {
            let bucket = Arc::clone(&none);
            move || {
                let bucket = Arc::clone(&bucket);
                async move { drop(bucket.try_acquire(1).await.unwrap_err()) }
            }
        };
        done(measure("it denies, asking each time", callers, &trips, make).await);
    }

    let cached = bucket("cached", Quota::per_hour(1));
    cached.debit(10).await.unwrap();
    let make = || {
        let bucket = Arc::clone(&cached);
        move || {
            let bucket = Arc::clone(&bucket);
            async move { drop(bucket.try_acquire(1).await.unwrap_err()) }
        }
    };
    done(measure("it denies, from the cache", 1, &trips, make).await);

    let leased = RedisTokenBucket::new(&store, "leased", PLENTY)
        .unwrap()
        .lease(LeaseOptions::new())
        .await;
    leased.acquire(1).await.unwrap();
    for threads in [1, 2] {
        let (leased, trips) = (leased.clone(), trips.clone());
        let admitted = tokio::task::spawn_blocking(move || {
            let refused = AtomicU64::new(0);
            let row = measure_threads("LeasedTokenBucket admits", threads, trips, || {
                if leased.try_acquire(1).is_err() {
                    refused.fetch_add(1, Relaxed);
                }
            });
            (row, refused.load(Relaxed))
        });
        let (mut row, refused) = admitted.await.unwrap();
        // Calls during a refill are not admissions.
        row.calls = row.calls.saturating_sub(refused);
        done(row);
    }
    let empty = RedisTokenBucket::new(&store, "empty", Quota::per_hour(1)).unwrap();
    empty.debit(10).await.unwrap();
    let empty = empty.lease(LeaseOptions::new()).await;
    let refusing = tokio::task::spawn_blocking(move || {
        measure_threads("it denies", 1, trips, || {
            drop(empty.try_acquire(1).unwrap_err());
        })
    });
    done(refusing.await.unwrap());
    write(&folder, &rows);
}

fn write(folder: &std::path::Path, rows: &[Row]) {
    let mut csv =
        "what,callers,calls_per_second,p50_ns,p99_ns,p999_ns,max_ns,trips_per_1000\n".to_owned();
    let mut table = "| | callers | per second | p50 | p99 | p99.9 | round trips per 1 000 |\n|---|---|---|---|---|---|---|\n".to_owned();
    for row in rows {
        let rate = u128::from(row.calls) * 1_000_000_000 / row.time.as_nanos();
        let at = |quantile| row.latency.value_at_quantile(quantile);
        let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
        // Hundredths, without floats.
        let trips = u128::from(row.trips) * 100_000 / u128::from(row.calls.max(1));
        let trips = format!("{}.{:02}", trips / 100, trips % 100);
        let (what, callers, most) = (row.what, row.callers, row.latency.max());
        writeln!(
            csv,
            "{what:?},{callers},{rate},{p50},{p99},{p999},{most},{trips}"
        )
        .unwrap();
        let micros = |nanos: u64| format!("{}.{:02} µs", nanos / 1_000, nanos % 1_000 / 10);
        let (p50, p99, p999) = (micros(p50), micros(p99), micros(p999));
        writeln!(
            table,
            "| {what} | {callers} | {rate} | {p50} | {p99} | {p999} | {trips} |"
        )
        .unwrap();
    }
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("shared.csv"), csv).unwrap();
    std::fs::write(folder.join("shared.md"), &table).unwrap();
    println!("{table}");
}
