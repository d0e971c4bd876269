//! The Redis or Valkey server: one that is there, or one of our own, which can be stalled, killed and started again.

use std::fs;
use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::BoxError;

/// Whichever is found first.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

const MISSING: &str = "neither redis-server nor valkey-server is in PATH. Install one \
(`apt install redis-server`, `brew install redis`, `dnf install valkey`), \
or name a server that is there with `--redis URL`";

/// How long a server may take to answer after its start.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    pub(crate) url: String,
    /// Before the folder, so that it is killed before that is removed.
    own: Option<Own>,
}

/// Dropping it kills the process and removes its files.
struct Own {
    process: Child,
    folder: TempDir,
}

impl Server {
    /// One that is there, or else one of our own.
    pub(crate) async fn start(url: Option<String>) -> Result<Self, BoxError> {
        let server = if let Some(url) = url {
            Self { url, own: None }
        } else {
            let folder = tempfile::Builder::new().prefix("tidegate-").tempdir()?;
            let url = format!("redis+unix://{}", folder.path().join("socket").display());
            let process = spawn(&folder)?;
            let own = Some(Own { process, folder });
            Self { url, own }
        };
        server.time().await?;
        Ok(server)
    }

    /// Whether it is ours, to do as we like with it.
    pub(crate) const fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Its clock, which its limits go by. Waits until it answers.
    pub(crate) async fn time(&self) -> Result<Duration, BoxError> {
        let client = redis::Client::open(self.url.as_str())?;
        let asked = async {
            loop {
                if let Ok((seconds, micros)) = ask_time(&client).await {
                    return Duration::from_secs(seconds) + Duration::from_micros(micros);
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        match timeout(PATIENCE, asked).await {
            Ok(time) => Ok(time),
            Err(_) => Err(self.silence(&client).await.into()),
        }
    }

    async fn silence(&self, client: &redis::Client) -> String {
        let error = ask_time(client).await.err();
        let error = error.map_or_else(String::new, |error| format!(": {error}"));
        let log = self.own.as_ref().map(|own| own.folder.path().join("log"));
        let log = log.and_then(|log| fs::read_to_string(log).ok());
        let log = log.map_or_else(String::new, |log| format!("\n{log}"));
        format!("{} does not answer{error}{log}", self.url)
    }

    /// Lets it stand still: it keeps its connections and answers nobody.
    pub(crate) fn stall(&self) -> Result<(), BoxError> {
        signal(&self.own()?.process, Signal::STOP)
    }

    pub(crate) fn go_on(&self) -> Result<(), BoxError> {
        signal(&self.own()?.process, Signal::CONT)
    }

    /// Kills it at once, as a crash does.
    pub(crate) async fn kill(&mut self) -> Result<(), BoxError> {
        let own = self.own.as_mut().ok_or(NOT_OURS)?;
        Ok(own.process.kill().await?)
    }

    /// Starts it again from its files, and waits until it answers.
    pub(crate) async fn restart(&mut self) -> Result<(), BoxError> {
        let own = self.own.as_mut().ok_or(NOT_OURS)?;
        own.process = spawn(&own.folder)?;
        self.time().await.map(drop)
    }

    pub(crate) async fn stop(mut self) -> Result<(), BoxError> {
        if self.is_own() {
            self.kill().await?;
        }
        Ok(())
    }

    fn own(&self) -> Result<&Own, BoxError> {
        Ok(self.own.as_ref().ok_or(NOT_OURS)?)
    }
}

const NOT_OURS: &str = "the server is not ours";

async fn ask_time(client: &redis::Client) -> redis::RedisResult<(u64, u64)> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd("TIME").query_async(&mut connection).await
}

/// On a socket in the folder, so that no port can be taken; every write is on the disk before it is answered.
fn spawn(folder: &TempDir) -> Result<Child, BoxError> {
    let path = |name: &str| folder.path().join(name);
    for program in PROGRAMS {
        let spawned = Command::new(program)
            .args(["--port", "0", "--daemonize", "no", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .args(["--maxmemory-policy", "noeviction"])
            .arg("--dir")
            .arg(folder.path())
            .arg("--unixsocket")
            .arg(path("socket"))
            .arg("--logfile")
            .arg(path("log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        match spawned {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            spawned => return Ok(spawned.map_err(|error| format!("{program}: {error}"))?),
        }
    }
    Err(MISSING.into())
}

/// Tells a process something that `Child` has no method for.
pub(crate) fn signal(process: &Child, signal: Signal) -> Result<(), BoxError> {
    let id = process.id().ok_or("a process has ended")?;
    let id = Pid::from_raw(id.try_into()?).ok_or("a process without a number")?;
    Ok(kill_process(id, signal)?)
}
