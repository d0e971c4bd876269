//! An HTTP server whose limits come from a file, and are reloaded by SIGHUP.
//!
//! ```text
//! cargo run --release --features rules --example rules -- examples/rules/limits.toml
//! curl -i http://127.0.0.1:8080/search
//! kill -HUP PID                                          # after a change of the file
//! cargo run --release --features rules --example rules -- --demo     # checks itself
//! ```
//!
//! The file `server.rs` has the routes; this one serves, reloads and loads them.

#![expect(clippy::std_instead_of_core, reason = "this program needs std")]

#[cfg(unix)]
mod demo;
mod server;

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

use tidegate::DefaultClock;
use tidegate::layer::Rules;
use tokio::net::TcpListener;
use tokio::signal;

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Calibrates now, so that no request waits for it.
    DefaultClock::calibrate();
    match arguments[..] {
        #[cfg(unix)]
        ["--demo"] => demo::run().await,
        [path] if !path.starts_with('-') => serve(path, "127.0.0.1:8080").await,
        [path, "--addr", address] => serve(path, address).await,
        _ => Err("usage: rules FILE [--addr ADDRESS] | --demo".into()),
    }
}

/// Serves until Ctrl-C.
async fn serve(path: &str, address: &str) -> Outcome {
    let path = PathBuf::from(path);
    let rules = server::rules(&path)?;
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    // Before the first line is printed: a program that waits for it may then send a signal.
    #[cfg(unix)]
    tokio::spawn(reload_on_hangup(rules.clone(), path, |outcome| {
        println!("{}", outcome.unwrap_or_else(|error| error));
    })?);
    println!("listening on http://{}", listener.local_addr()?);
    let server = axum::serve(listener, server::service(&rules)).with_graceful_shutdown(async {
        let _ = signal::ctrl_c().await;
    });
    Ok(server.await?)
}

/// Reloads the file at each SIGHUP, and reports what came of it. The signal is caught from the call
/// on, also before the future is polled.
#[cfg(unix)]
fn reload_on_hangup(
    rules: Rules,
    path: PathBuf,
    report: impl Fn(Result<String, String>) + Send,
) -> Result<impl Future<Output = ()> + Send, Box<dyn Error>> {
    let mut hangups = signal::unix::signal(signal::unix::SignalKind::hangup())?;
    Ok(async move {
        while hangups.recv().await.is_some() {
            report(match server::reload(&rules, Path::new(&path)) {
                Ok(()) => Ok(format!("reloaded {}", path.display())),
                Err(error) => Err(format!("not reloaded: {error}")),
            });
        }
    })
}
