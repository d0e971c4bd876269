//! Gateways in several processes, which share their limits on one Redis or Valkey server.
//!
//! ```text
//! cargo run -p tidegate-redis --example cluster_gateway -- --demo
//!
//! cargo run -p tidegate-redis --example cluster_gateway -- serve --redis redis://127.0.0.1/ --port 8081
//! cargo run -p tidegate-redis --example cluster_gateway -- serve --redis redis://127.0.0.1/ --port 8082
//! curl -i -H 'x-user: alice' http://127.0.0.1:8081/
//! curl http://127.0.0.1:8082/stats
//! ```
//!
//! The demo starts a server and three gateways, offers them more than they may admit, stalls the server, kills it and starts it
//! again, and checks at the end that all gateways together admitted no more than one limiter would have.
//!
//! * `gateway` puts requests behind shared limits: read this one first, and copy from it. `stats` is what can be seen of it.
//! * `demo` is what happens when, `server` the Redis that it happens to, `node` a gateway in a process of its own.
//! * `load` sends requests, each of its clients over a connection as in `client`. `bound` is what a quota allows, and `report` judges.
//! * `args` reads the command line.

#![expect(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "a program, which has std anyway"
)]

mod args;
mod bound;
mod client;
mod demo;
mod gateway;
mod load;
mod node;
mod report;
mod server;
mod stats;

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::args::Command;

/// An error for the user, from any task.
type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let command = match args::parse(env::args().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("cluster_gateway: {error}\n(`--help` lists the options)");
            return ExitCode::from(2);
        }
    };
    match run(command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cluster_gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), BoxError> {
    match command {
        Command::Help => Ok(print(args::HELP)?),
        Command::Serve(options) => gateway::serve(options).await,
        Command::Demo(plan) => {
            let report = tokio::select! {
                // Dropping the demo stops all that it has started.
                biased;
                () = asked_to_stop() => return Err("interrupted".into()),
                report = demo::run(plan) => report?,
            };
            print(&report.to_string())?;
            if report.passed() {
                Ok(())
            } else {
                Err("a check failed".into())
            }
        }
    }
}

/// Ctrl-C or, where there are such, the signal with which processes are told to end.
async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    // Should it fail, we stop as well: a program that cannot be interrupted is worse.
    let _ = tokio::signal::ctrl_c().await;
}

/// Unlike `print!`, does not panic when nobody reads.
fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
