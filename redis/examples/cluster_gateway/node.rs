//! A gateway in a process of its own.

use std::env;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::BoxError;
use crate::args::Quotas;
use crate::client::Client;
use crate::server::signal;
use crate::stats::Stats;

/// How long it may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// Dropping it kills the process.
pub(crate) struct Node {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Node {
    pub(crate) async fn start(redis: &str, prefix: &str, quotas: Quotas) -> Result<Self, BoxError> {
        let mut process = Command::new(env::current_exe()?)
            .args(["serve", "--redis", redis, "--prefix", prefix])
            .args(["--global", &quotas.global.to_string()])
            .args(["--user", &quotas.user.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("a gateway without output")?;
        let mut first = String::new();
        timeout(PATIENCE, BufReader::new(stdout).read_line(&mut first)).await??;
        let address = first.trim_end().strip_prefix("listening on http://");
        let address = address.ok_or("a gateway did not start")?.parse()?;
        Ok(Self { process, address })
    }

    pub(crate) async fn stats(&self) -> Result<Stats, BoxError> {
        let mut client = Client::connect(self.address).await?;
        let answer = client.get("/stats", "").await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Lets it give back what it holds.
    pub(crate) async fn stop(mut self) -> Result<(), BoxError> {
        signal(&self.process, Signal::TERM)?;
        let ended = timeout(PATIENCE, self.process.wait()).await;
        let status = ended.map_err(|_| "a gateway does not stop")??;
        if status.success() {
            Ok(())
        } else {
            Err(format!("a gateway ended with {status}").into())
        }
    }
}
