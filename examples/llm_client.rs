//! A client of a language model's API that keeps to the provider's limits: many workers, one `ApiRateLimiter`.
//!
//! ```text
//! cargo run --release --features tokio,http --example llm_client
//! ```
//!
//! The provider runs in this program too, on loopback. It is a fake, but it speaks HTTP, counts in its own way and refuses with
//! 429, so it can judge. The same work is sent to it three times: by workers who pace nothing, by paced ones, and by paced ones
//! while another tenant of the same account takes all that is left, twice.
//!
//! * `worker` is what a client needs: it waits for the limiter, makes the calls, and says what came of them. Read this one first.
//! * `limits` says what both sides allow, and why the refusals are then bounded whatever threads and packets do.
//! * `account` is the judge, and `provider` its HTTP server. `message` is what they and `connection` send each other.
//! * `scene` runs the work once, `tally` is what the workers counted of it, `checks` judges that and `report` prints it.

#![expect(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "a program, which has std anyway"
)]

#[path = "llm_client/account.rs"]
mod account;
#[path = "gateway/check.rs"]
mod check;
#[path = "llm_client/checks.rs"]
mod checks;
#[path = "llm_client/connection.rs"]
mod connection;
#[path = "llm_client/limits.rs"]
mod limits;
#[path = "llm_client/message.rs"]
mod message;
#[path = "llm_client/provider.rs"]
mod provider;
#[path = "llm_client/report.rs"]
mod report;
#[path = "llm_client/scene.rs"]
mod scene;
#[path = "llm_client/tally.rs"]
mod tally;
#[path = "llm_client/work.rs"]
mod work;
#[path = "llm_client/worker.rs"]
mod worker;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokio::time;

use crate::connection::BoxError;
use crate::report::Report;
use crate::scene::SCENES;

const HELP: &str = "\
Paces the calls of many workers to a fake provider of a language model, which
runs on loopback in this program, has limits of its own and answers 429. Prints
what both sides counted, and fails if a check does. Takes about 10 seconds.

Usage: llm_client

Options:
  --help  print this
";

/// Ends a demo that hangs; nothing else depends on it.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let is_help = |argument: &String| matches!(argument.as_str(), "--help" | "-h");
    if let Some(unknown) = arguments.iter().find(|argument| !is_help(argument)) {
        eprintln!("llm_client: unknown argument `{unknown}`\n(`--help` says what there is)");
        return ExitCode::from(2);
    }
    if !arguments.is_empty() {
        return exit_code(print(HELP).map_err(BoxError::from));
    }
    let demo = time::timeout(PATIENCE, run()).await;
    exit_code(demo.unwrap_or_else(|_| Err("the provider or a worker hangs".into())))
}

fn exit_code(result: Result<(), BoxError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("llm_client: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    print(&report::introduction())?;
    let mut outcomes = Vec::new();
    for scene in &SCENES {
        let outcome = scene.play().await?;
        print(&report::row(&outcome))?;
        outcomes.push(outcome);
    }
    let report = Report::new(&outcomes);
    print(&report.to_string())?;
    if !report.passed() {
        return Err("a check failed".into());
    }
    Ok(())
}

/// Unlike `print!`, does not panic when nobody reads.
fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
