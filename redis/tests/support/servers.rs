//! A real server, which tests stop, kill and start again.

use core::time::Duration;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use redis::{Client, Connection, RedisResult};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tempfile::TempDir;

use super::fake_clock::FakeClock;
use super::kinds::Kind;
use super::lifeline::Lifeline;
use super::ports::free_port;
use super::until::{PATIENCE, until};

/// How a server is run. By default: Redis on a Unix socket, which remembers nothing when it ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    kind: Kind,
    port: Option<u16>,
    durable: bool,
    fake_clock: bool,
    arguments: Vec<String>,
}

impl Options {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    /// Listens on this port of the loopback too, or on a free one for 0.
    pub(crate) const fn tcp(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Writes each change to the disk before it answers, so that all is there after a kill.
    pub(crate) const fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Runs with a clock that [`Server::set_clock_offset_ms`] sets.
    pub(crate) const fn fake_clock(mut self) -> Self {
        self.fake_clock = true;
        self
    }

    /// A setting of the server's, such as `("maxmemory", "1mb")`.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.arguments
            .extend([format!("--{name}"), value.to_owned()]);
        self
    }
}

/// A server with a temporary folder of its own. Dropping it kills the server and removes the folder.
#[derive(Debug)]
pub(crate) struct Server {
    options: Options,
    port: Option<u16>,
    clock: Option<FakeClock>,
    running: Option<Running>,
    folder: TempDir,
}

/// The lifeline first, for fields are dropped in this order.
#[derive(Debug)]
struct Running {
    _lifeline: Lifeline,
    process: Child,
}

impl Server {
    /// Returns when the server answers.
    pub(crate) fn start(options: Options) -> Self {
        let folder = TempDir::with_prefix("tidegate-").unwrap();
        let clock = options.fake_clock.then(|| FakeClock::new(folder.path()));
        let mut server = Self {
            options,
            port: None,
            clock,
            running: None,
            folder,
        };
        // Another may take a free port before the server has it.
        let started = (0..10).any(|_| {
            server.port = server
                .options
                .port
                .map(|port| if port == 0 { free_port() } else { port });
            server.spawn()
        });
        assert!(started, "the server ends at once: {}", server.log());
        server
    }

    /// Where clients find it: on TCP if it listens there, else on its Unix socket.
    pub(crate) fn url(&self) -> String {
        self.port.map_or_else(
            || self.socket_url(),
            |port| format!("redis://127.0.0.1:{port}"),
        )
    }

    pub(crate) fn socket_url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(crate) fn client(&self) -> Client {
        Client::open(self.url()).unwrap()
    }

    /// A connection of its own, which waits long for answers, but not for ever.
    pub(crate) fn connection(&self) -> Connection {
        self.connection_within(PATIENCE).unwrap()
    }

    /// A connection that waits so long, for itself and for each answer.
    pub(crate) fn connection_within(&self, timeout: Duration) -> RedisResult<Connection> {
        let connection = self.client().get_connection_with_timeout(timeout)?;
        connection.set_read_timeout(Some(timeout))?;
        connection.set_write_timeout(Some(timeout))?;
        Ok(connection)
    }

    /// `None` without TCP.
    pub(crate) const fn port(&self) -> Option<u16> {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process().id()
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// What it said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Stops it where it is: connections stay open, and nothing answers. Returns when it stands.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
        let pid = Pid::from_child(self.process());
        let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED)
            .unwrap()
            .expect("a status");
        assert!(status.stopped(), "{}", self.log());
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it without a warning, as a machine that loses its power. Returns when it is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(Running {
            _lifeline: lifeline,
            mut process,
        }) = self.running.take()
        {
            drop(lifeline);
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again in the same place, after a kill if it still runs. Returns when it answers.
    pub(crate) fn restart(&mut self) {
        self.kill();
        assert!(
            self.spawn(),
            "the server does not come back: {}",
            self.log()
        );
    }

    /// Forgets the scripts, as a server that starts anew.
    pub(crate) fn flush_scripts(&self) {
        let mut script = redis::cmd("SCRIPT");
        let () = script
            .arg("FLUSH")
            .arg("SYNC")
            .query(&mut self.connection())
            .unwrap();
    }

    /// Sets how far its clock is ahead of the machine's, at once.
    pub(crate) fn set_clock_offset_ms(&self, ms: i64) {
        self.clock
            .as_ref()
            .expect("started with `fake_clock`")
            .set_offset_ms(ms);
    }

    /// The time of its clock, in microseconds since 1970.
    pub(crate) fn time_us(&self) -> u64 {
        let (seconds, us): (u64, u64) = redis::cmd("TIME").query(&mut self.connection()).unwrap();
        seconds * 1_000_000 + us
    }

    /// How often it ran a command, such as `"evalsha"`, since it started: the round trips of clients that do not use pipelines.
    pub(crate) fn calls(&self, command: &str) -> u64 {
        let of_command = |(name, calls)| if name == command { calls } else { 0 };
        self.command_calls().into_iter().map(of_command).sum()
    }

    /// How many commands it ran, those that scripts call included, but for those that connect clients or look at the server.
    pub(crate) fn commands_processed(&self) -> u64 {
        let is_work = |name: &str| {
            !matches!(name, "hello" | "info" | "ping")
                && !name.starts_with("client|")
                && !name.starts_with("script|")
        };
        let of_work = |(name, calls): (String, u64)| if is_work(&name) { calls } else { 0 };
        self.command_calls().into_iter().map(of_work).sum()
    }

    /// A field of `INFO`, such as `used_memory`.
    pub(crate) fn info(&self, field: &str) -> Option<String> {
        let all: String = redis::cmd("INFO").query(&mut self.connection()).unwrap();
        line_value(&all, field).map(str::to_owned)
    }

    /// A line of `INFO commandstats` is `cmdstat_get:calls=1,usec=3,...`.
    fn command_calls(&self) -> Vec<(String, u64)> {
        let mut info = redis::cmd("INFO");
        let all: String = info
            .arg("commandstats")
            .query(&mut self.connection())
            .unwrap();
        let one = |line: &str| {
            let (name, values) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let (calls, _) = values.split_once(',')?;
            Some((name.to_owned(), calls.parse().ok()?))
        };
        all.lines().filter_map(one).collect()
    }

    /// Whether it runs; if not, it ended by itself.
    fn spawn(&mut self) -> bool {
        let process = self.command().spawn().unwrap();
        self.running = Some(Running {
            _lifeline: Lifeline::of(&process),
            process,
        });
        let answers = until("a server that starts", || {
            let process = &mut self.running.as_mut().expect("just set").process;
            if process.try_wait().unwrap().is_some() {
                return Some(false);
            }
            self.answers().then_some(true)
        });
        if !answers {
            self.kill();
        }
        answers
    }

    /// Whether it is this server, and not another on the same port, that answers, and has read its data.
    fn answers(&self) -> bool {
        let Ok(mut connection) = self.connection_within(PATIENCE) else {
            return false;
        };
        let pong: RedisResult<String> = redis::cmd("PING").query(&mut connection);
        let info: RedisResult<String> = redis::cmd("INFO").arg("server").query(&mut connection);
        let pid = self.pid().to_string();
        pong.is_ok() && info.is_ok_and(|info| line_value(&info, "process_id") == Some(pid.as_str()))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.options.kind.bin());
        let port = self.port.unwrap_or(0).to_string();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        command
            .args([
                "--bind",
                "127.0.0.1",
                "--port",
                &port,
                "--save",
                "",
                "--unixsocket",
            ])
            .arg(self.socket())
            .arg("--dir")
            .arg(self.folder.path())
            .args(["--appendfsync", "always", "--appendonly"])
            .arg(if self.options.durable { "yes" } else { "no" })
            .args(&self.options.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        if let Some(clock) = &self.clock {
            clock.preload(&mut command);
        }
        command
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.process()), signal).unwrap();
    }

    #[track_caller]
    const fn process(&self) -> &Child {
        &self.running.as_ref().expect("it runs").process
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A paused process dies of it too.
        self.kill();
    }
}

/// The value of a line `name:value`.
pub(crate) fn line_value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':');
    text.lines().find_map(value)
}
