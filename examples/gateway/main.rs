//! An HTTP server that gates every request through up to four limits: of its client address, of its API key, of its route,
//! and of all requests together.
//!
//! ```text
//! cargo run --release --features tower --example gateway
//! curl -i http://127.0.0.1:8080/search
//! curl -i -H 'x-api-key: anything' http://127.0.0.1:8080/search
//! curl http://127.0.0.1:8080/stats
//! ```
//!
//! A request that finds a limit used up gets `429 Too Many Requests` with `Retry-After`, and every answer says in `RateLimit` how
//! much is left. With `--demo` the server is loaded by its own HTTP clients for a few seconds, and what they saw is checked
//! against what the limits allow.
//!
//! * `server` puts routes behind limits: read this one first, and copy from it. `rules` says what routes get, `tiers` what API
//!   keys get, and `stats` is what can be seen.
//! * `demo` runs clients as `cast` describes them, each with a `sender`. `tally` counts the answers, `row` sets them beside what is
//!   allowed, `checks` judges them, and `report` prints the tables.
//! * `args` reads the command line, and `usage` is what can be wrong with it.

#![expect(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "a program, which has std anyway"
)]

mod args;
mod cast;
mod check;
mod checks;
mod demo;
mod report;
mod row;
mod rules;
mod sender;
mod server;
mod stats;
mod tally;
mod tiers;
mod usage;

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::{signal, time};

use crate::args::Command;
use crate::server::Quotas;

/// An error for the user, from any task.
type BoxError = Box<dyn Error + Send + Sync>;

/// How long open requests may take to finish after Ctrl-C.
const GRACE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    let command = match args::parse(env::args().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("gateway: {error}\n(`--help` lists the options)");
            return ExitCode::from(2);
        }
    };
    match run(command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), BoxError> {
    match command {
        Command::Help => print(args::HELP)?,
        Command::Serve { address, quotas } => serve(address, quotas).await?,
        Command::Demo { load, quotas } => {
            let (clients, duration) = (load.clients, load.duration);
            print(&format!(
                "{clients} clients load a server of their own for {duration:?}.\n"
            ))?;
            let report = demo::run(load, quotas).await?;
            print(&report.to_string())?;
            if !report.passed() {
                return Err("a check failed".into());
            }
        }
    }
    Ok(())
}

/// Serves until Ctrl-C, then takes no more connections and lets open requests finish.
async fn serve(address: SocketAddr, quotas: Quotas) -> Result<(), BoxError> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let address = listener.local_addr()?;

    let (stop, stopped) = oneshot::channel();
    let mut server = tokio::spawn(server::serve(listener, quotas, stopped));
    tokio::select! {
        // First, so that Ctrl-C is heard before anyone is told that the server is there.
        biased;
        interrupted = signal::ctrl_c() => interrupted?,
        ended = announce(address, &mut server) => return Ok(ended?),
    }
    drop(stop);
    if let Ok(ended) = time::timeout(GRACE, server).await {
        ended??;
    } else {
        eprintln!("gateway: stopped with requests still open after {GRACE:?}");
    }
    Ok(())
}

/// Says where the server is, and returns when it has ended.
async fn announce(address: SocketAddr, server: &mut JoinHandle<io::Result<()>>) -> io::Result<()> {
    print(&format!("listening on http://{address}\n"))?;
    server.await?
}

/// Unlike `print!`, does not panic when nobody reads.
fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
