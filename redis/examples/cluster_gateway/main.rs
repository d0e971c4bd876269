//! Gateways that share their limits on one Redis or Valkey server.
//!
//! ```text
//! cargo run -p tidegate-redis --example cluster_gateway -- --demo
//!
//! cargo run -p tidegate-redis --example cluster_gateway -- serve redis://127.0.0.1/ 127.0.0.1:8081
//! cargo run -p tidegate-redis --example cluster_gateway -- serve redis://127.0.0.1/ 127.0.0.1:8082
//! curl -i -H 'x-user: alice' http://127.0.0.1:8081/
//! curl http://127.0.0.1:8082/stats
//! ```
//!
//! The part to copy is `gateway.rs`. The demo starts a server and three gateways, and sends them
//! more requests than they may admit. It stalls the server, kills it and restarts it. At the end it
//! checks that all gateways together admitted no more than one limiter would have.

#![expect(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "this program needs std"
)]

mod gateway;

use std::env;
use std::io::ErrorKind;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tidegate::{Clock, DefaultClock};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::gateway::{BoxError, GLOBAL, Gateway, NODES};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["serve", redis, address] => gateway::serve(redis, address).await,
        ["--demo"] => tokio::select! {
            // Dropping the demo stops the server that it has started.
            result = demo() => result,
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        },
        _ => Err("usage: cluster_gateway --demo | serve URL ADDRESS".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cluster_gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Requests admitted, refused and unavailable. Relaxed: counters that guard no other memory.
type Tally = [AtomicU64; 3];

async fn demo() -> Result<(), BoxError> {
    let folder = TempDir::with_prefix("tidegate-")?;
    let socket = folder.path().join("socket");
    let url = format!("redis+unix://{}", socket.display());
    let mut server = start_server(&folder)?;
    while !socket.exists() && server.try_wait()?.is_none() {
        sleep(Duration::from_millis(10)).await;
    }

    println!("{NODES} gateways share {GLOBAL} for all requests, and limits for each user.");
    println!("\nseconds  server     admitted  at most  refused  unavailable");
    let tally = Arc::new(Tally::default());
    let start = DefaultClock.now();
    let mut clients = JoinSet::new();
    for _ in 0..NODES.get() {
        let gateway = Arc::new(Gateway::new(&url).await?);
        for number in 0..16 {
            clients.spawn(send(Arc::clone(&gateway), number, Arc::clone(&tally)));
        }
    }
    let mut within_bound = true;
    for (phase, ms) in [
        ("answers", 1_500),
        ("stalled", 500),
        ("answers", 1_000),
        ("killed", 500),
        ("restarted", 2_500),
    ] {
        match phase {
            "stalled" => signal(&server, Signal::STOP)?,
            "killed" => server.kill().await?,
            "restarted" => server = start_server(&folder)?,
            _ => signal(&server, Signal::CONT)?,
        }
        sleep(Duration::from_millis(ms)).await;
        // The time is read after the count, so that it covers all requests in it.
        let [admitted, refused, unavailable] = tally.each_ref().map(|count| count.load(Relaxed));
        let elapsed = DefaultClock.now() - start;
        let refill = u128::from(GLOBAL.rate()) * elapsed.as_nanos() / GLOBAL.period().as_nanos();
        let bound = u128::from(GLOBAL.capacity()) + refill;
        within_bound &= u128::from(admitted) <= bound;
        println!(
            "{:>7.1}  {phase:<9} {admitted:>9} {bound:>8} {refused:>8} {unavailable:>12}",
            elapsed.as_secs_f64(),
        );
    }
    clients.shutdown().await;
    server.kill().await?;
    if !within_bound {
        return Err("the gateways admitted more than the bound".into());
    }
    println!("\nAll gateways together admitted no more than the bound.");
    Ok(())
}

/// Sends about 60 requests per second, each for another user.
async fn send(gateway: Arc<Gateway>, number: usize, tally: Arc<Tally>) {
    let mut user = number;
    loop {
        user = (user + 7) % 75;
        let response = gateway.respond(&format!("user-{user}")).await;
        let counter = match response.status().as_u16() {
            200 => 0,
            503 => 2,
            _ => 1,
        };
        tally[counter].fetch_add(1, Relaxed);
        sleep(Duration::from_millis(16)).await;
    }
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

fn signal(process: &Child, signal: Signal) -> Result<(), BoxError> {
    let id = process.id().ok_or("the server has ended")?;
    let id = Pid::from_raw(id.try_into()?).ok_or("the server has no process number")?;
    Ok(kill_process(id, signal)?)
}
