//! A fleet of workers in several processes that share one provider's quota.
//!
//! ```text
//! cargo run -p tidegate-redis --example llm_fleet -- --demo
//! ```
//!
//! The part to copy is `worker.rs`. The demo starts a server, a provider that counts for itself,
//! and three worker processes that have more work than the provider allows. It kills a worker in
//! the middle of a call, and the server, which comes back with what it had written. At the end it
//! checks that the provider saw no more than was bought, and at least 95 % of it.

#![expect(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "this program needs std"
)]

mod provider;
mod worker;

use std::env;
use std::io::ErrorKind;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tidegate::{Clock, DefaultClock, RateLimitStats, Timestamp};
use tidegate_redis::RedisApiRateLimiter;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::provider::{Counts, Provider};
use crate::worker::{BoxError, CALLS_AT_ONCE, CONFIG, ESTIMATE};

const WORKERS: usize = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["work", redis, provider, name] => worker::work(redis, provider, name).await,
        ["--demo"] => tokio::select! {
            // Dropping the demo stops the server and the workers that it has started.
            result = demo() => result,
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        },
        _ => Err("usage: llm_fleet --demo | work REDIS PROVIDER NAME".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("llm_fleet: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<(), BoxError> {
    let folder = TempDir::with_prefix("tidegate-")?;
    let socket = folder.path().join("socket");
    let url = format!("redis+unix://{}", socket.display());
    let mut server = start_server(&folder)?;
    while !socket.exists() && server.try_wait()?.is_none() {
        sleep(Duration::from_millis(10)).await;
    }
    let provider = Provider::default();
    let address = provider.start().await?;
    let limiter = worker::limiter(&url)?;

    println!(
        "{WORKERS} workers share {} requests and",
        CONFIG.requests_per_minute
    );
    println!(
        "{} tokens per minute, and 12 calls at once.",
        CONFIG.tokens_per_minute
    );
    println!("\nseconds  phase            requests  at most    tokens  open");
    let start = DefaultClock.now();
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        workers.push(start_worker(&url, &address, &name(number))?);
    }
    while provider.counts().requests == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    let first = DefaultClock.now();
    let mut is_within = true;
    for (phase, ms) in [
        ("three workers", 2_500),
        ("a worker killed", 2_500),
        ("server killed", 400),
        ("restarted", 5_000),
    ] {
        match phase {
            "a worker killed" => {
                // In the middle of a call.
                while provider.counts().open_of(&name(0)) == 0 {
                    sleep(Duration::from_millis(1)).await;
                }
                workers.remove(0).kill().await?;
            }
            "server killed" => server.kill().await?,
            "restarted" => server = start_server(&folder)?,
            _ => {}
        }
        sleep(Duration::from_millis(ms)).await;
        // The time is read after the counts, so that it covers all calls in them.
        let counts = provider.counts();
        let elapsed = DefaultClock.now() - start;
        let [requests, tokens] = bounds(elapsed);
        is_within &= counts.requests <= requests && counts.tokens <= tokens;
        println!(
            "{:>7.1}  {phase:<15} {:>9} {requests:>8} {:>9} {:>5}",
            elapsed.as_secs_f64(),
            counts.requests,
            counts.tokens,
            counts.open(),
        );
    }
    let used = use_since(first, provider.counts().requests);
    for worker in &mut workers {
        // The end of its input stops it.
        drop(worker.stdin.take());
        let status = worker.wait().await?;
        if !status.success() {
            return Err(format!("a worker has ended with {status}").into());
        }
    }
    let stats = settled(&limiter).await?;
    server.kill().await?;
    check(is_within, used, &provider.counts(), &stats)
}

fn name(worker: usize) -> String {
    format!("worker-{worker}")
}

/// The most requests and tokens in so much time after all limits were unused.
fn bounds(elapsed: Duration) -> [u64; 2] {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let flown = |per_minute: u64| per_minute.saturating_mul(micros) / 60_000_000;
    let tokens = CONFIG.token_burst_size.unwrap_or(0);
    [
        CONFIG.burst_size + flown(CONFIG.requests_per_minute),
        tokens + flown(CONFIG.tokens_per_minute),
    ]
}

/// The percentage of the requests that were allowed since the first.
fn use_since(first: Timestamp, requests: u64) -> u64 {
    let [allowed, _] = bounds(DefaultClock.now() - first);
    requests * 100 / allowed
}

/// Waits until the calls of the killed worker have expired.
async fn settled(limiter: &RedisApiRateLimiter) -> Result<RateLimitStats, BoxError> {
    loop {
        let stats = limiter.stats().await?;
        if stats.in_flight == 0 {
            return Ok(stats);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn check(
    is_within: bool,
    used: u64,
    provider: &Counts,
    fleet: &RateLimitStats,
) -> Result<(), BoxError> {
    println!("\nThe provider saw {used} % of what it allows.");
    println!(
        "It counted {} requests and {} tokens, at most {} calls at once.",
        provider.requests, provider.tokens, provider.most_open
    );
    println!(
        "The fleet counted {} requests and {} tokens.",
        fleet.total_requests, fleet.total_tokens_used
    );
    if !is_within {
        return Err("the provider saw more than the quota".into());
    }
    if provider.most_open > CONFIG.max_in_flight.unwrap_or(0) {
        return Err("the provider saw too many calls at once".into());
    }
    if used < 95 {
        return Err("the fleet used less than 95 %".into());
    }
    // Only calls of the killed worker may have been admitted and not made, or not settled.
    let unmade = fleet.total_requests.checked_sub(provider.requests);
    if unmade.is_none_or(|unmade| unmade > CALLS_AT_ONCE) {
        return Err("the fleet counted other requests than the provider".into());
    }
    let unused = fleet.total_tokens_used.checked_sub(provider.tokens);
    if unused.is_none_or(|unused| unused > CALLS_AT_ONCE * ESTIMATE.total()) {
        return Err("the fleet counted other tokens than the provider".into());
    }
    println!("\nNo excess, no charge lost, and none made twice.");
    Ok(())
}

fn start_worker(redis: &str, provider: &str, name: &str) -> Result<Child, BoxError> {
    Ok(Command::new(env::current_exe()?)
        .args(["work", redis, provider, name])
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?)
}

/// Starts a server on a Unix socket in the folder. It writes every change to disk before it
/// answers.
fn start_server(folder: &TempDir) -> Result<Child, BoxError> {
    for program in ["redis-server", "valkey-server"] {
        let spawned = Command::new(program)
            .args(["--port", "0", "--daemonize", "no", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .args(["--unixsocket", "socket"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        match spawned {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            spawned => return Ok(spawned.map_err(|error| format!("{program}: {error}"))?),
        }
    }
    Err("neither redis-server nor valkey-server is in PATH (`apt install redis-server`)".into())
}
