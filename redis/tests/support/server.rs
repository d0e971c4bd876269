//! A real server that tests pause, kill and restart.

use core::time::Duration;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use redis::{Client, Cmd, Connection, FromRedisValue, RedisResult, ToRedisArgs};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tempfile::TempDir;

use super::fake_clock::FakeClock;
use super::lifeline::Lifeline;
use super::ports::free_port;
use super::server_kind::ServerKind;
use super::wait::{PATIENCE, until};

/// How to run a server. By default: Redis on a Unix socket, without persistence.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerOptions {
    kind: ServerKind,
    tcp: bool,
    durable: bool,
    fake_clock: bool,
    arguments: Vec<String>,
}

impl ServerOptions {
    /// The default options for each available kind of server.
    pub(crate) fn each_kind() -> impl Iterator<Item = Self> {
        ServerKind::available().into_iter().map(Self::new)
    }

    pub(crate) fn new(kind: ServerKind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    /// Also listens on a free port of the loopback interface.
    pub(crate) const fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Writes each change to disk before it answers, so a kill loses nothing.
    pub(crate) const fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Uses a clock that [`Server::set_clock_offset_ms`] sets.
    pub(crate) const fn fake_clock(mut self) -> Self {
        self.fake_clock = true;
        self
    }

    /// Adds a server setting, such as `("maxmemory", "1mb")`.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.arguments
            .extend([format!("--{name}"), value.to_owned()]);
        self
    }

    /// Gives a command another name, or removes it if the name is empty.
    pub(crate) fn rename(mut self, command: &str, name: &str) -> Self {
        self.arguments
            .extend(["--rename-command", command, name].map(str::to_owned));
        self
    }

    /// The program that runs it.
    pub(crate) fn program(&self) -> PathBuf {
        self.kind.program()
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start(self) -> Server {
        Server::start(self)
    }
}

/// A server with its own temporary folder. Dropping it kills the server and removes the folder.
#[derive(Debug)]
pub(crate) struct Server {
    options: ServerOptions,
    port: Option<u16>,
    clock: Option<FakeClock>,
    running: Option<Running>,
    folder: TempDir,
}

/// The lifeline is the first field, and so is dropped before the process is reaped.
#[derive(Debug)]
struct Running {
    _lifeline: Lifeline,
    process: Child,
}

impl Server {
    /// Starts a server of each available kind, one after the other.
    pub(crate) fn each_kind() -> impl Iterator<Item = Self> {
        ServerOptions::each_kind().map(Self::start)
    }

    fn start(options: ServerOptions) -> Self {
        let folder = TempDir::with_prefix("tidegate-").unwrap();
        let clock = options.fake_clock.then(|| FakeClock::new(folder.path()));
        let mut server = Self {
            options,
            port: None,
            clock,
            running: None,
            folder,
        };
        // Another program may take the free port before the server does.
        let started = (0..10).any(|_| {
            server.port = server.options.tcp.then(free_port);
            server.spawn()
        });
        assert!(started, "the server ends at once: {}", server.log());
        server
    }

    /// The server's TCP address if it has one, else its Unix socket.
    pub(crate) fn url(&self) -> String {
        self.port.map_or_else(
            || self.socket_url(),
            |port| format!("redis://127.0.0.1:{port}"),
        )
    }

    pub(crate) fn socket_url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Opens a new connection that waits long for answers, but not forever.
    pub(crate) fn connection(&self) -> Connection {
        self.connection_within(PATIENCE).unwrap()
    }

    /// Opens a new connection with this timeout for connecting and for each answer.
    pub(crate) fn connection_within(&self, timeout: Duration) -> RedisResult<Connection> {
        let client = Client::open(self.url()).unwrap();
        let connection = client.get_connection_with_timeout(timeout)?;
        connection.set_read_timeout(Some(timeout))?;
        connection.set_write_timeout(Some(timeout))?;
        Ok(connection)
    }

    /// Runs one command on a new connection.
    #[track_caller]
    pub(crate) fn query<R: FromRedisValue>(&self, words: &[impl ToRedisArgs]) -> R {
        self.try_query(words).unwrap()
    }

    /// Like [`query`](Self::query), for commands that may fail.
    pub(crate) fn try_query<R: FromRedisValue>(
        &self,
        words: &[impl ToRedisArgs],
    ) -> RedisResult<R> {
        command(words).query(&mut self.connection_within(PATIENCE)?)
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

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Stops the process: connections stay open, and no call is answered.
    pub(crate) fn pause(&self) {
        pause_process(self.process());
    }

    pub(crate) fn resume(&self) {
        resume_process(self.process());
    }

    /// Ends the server without warning, like a power failure. Returns when the process is gone.
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

    /// Starts the server again at the same address; kills it first if it still runs.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let started = self.spawn();
        assert!(started, "the server does not come back: {}", self.log());
    }

    pub(crate) fn flush_scripts(&self) {
        let () = self.query(&["SCRIPT", "FLUSH", "SYNC"]);
    }

    /// Sets how far the server's clock is ahead of the machine's.
    pub(crate) fn set_clock_offset_ms(&self, ms: i64) {
        let clock = self.clock.as_ref().expect("started with `fake_clock`");
        clock.set_offset_ms(ms);
    }

    /// The server's time, in microseconds since 1970.
    pub(crate) fn time_us(&self) -> u64 {
        let (seconds, us): (u64, u64) = self.query(&["TIME"]);
        seconds * 1_000_000 + us
    }

    /// How often the server has run this command, such as `"evalsha"`, since its start.
    pub(crate) fn calls(&self, command: &str) -> u64 {
        self.count_calls(|name| name == command)
    }

    /// How many scripts the server has run, by name or as text.
    pub(crate) fn script_calls(&self) -> u64 {
        self.count_calls(|name| matches!(name, "eval" | "evalsha"))
    }

    /// A field of `INFO`, such as `used_memory`.
    pub(crate) fn info(&self, field: &str) -> Option<String> {
        let all: String = self.query(&["INFO"]);
        field_value(&all, field).map(str::to_owned)
    }

    /// A line of `INFO commandstats` is `cmdstat_get:calls=1,usec=3,...`.
    fn count_calls(&self, counts: impl Fn(&str) -> bool) -> u64 {
        let all: String = self.query(&["INFO", "commandstats"]);
        let calls = |line: &str| {
            let (name, values) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let (calls, _) = values.split_once(',')?;
            counts(name).then(|| calls.parse::<u64>().unwrap())
        };
        all.lines().filter_map(calls).sum()
    }

    /// Returns whether the server runs; if not, it ended by itself.
    fn spawn(&mut self) -> bool {
        let process = self.command().spawn().unwrap();
        self.running = Some(Running {
            _lifeline: Lifeline::of(&process),
            process,
        });
        let answers = until("the server's first answer", || {
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

    /// Whether this server, not another one on the same port, answers and has read its data.
    fn answers(&self) -> bool {
        let pong: RedisResult<String> = self.try_query(&["PING"]);
        let info: RedisResult<String> = self.try_query(&["INFO", "server"]);
        let pid = self.pid().to_string();
        pong.is_ok() && info.is_ok_and(|info| field_value(&info, "process_id") == Some(&*pid))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.options.kind.program());
        let port = self.port.unwrap_or(0).to_string();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let appends = if self.options.durable { "yes" } else { "no" };
        command
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", ""])
            .args(["--appendfsync", "always", "--appendonly", appends])
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.options.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        if let Some(clock) = &self.clock {
            clock.preload(&mut command);
        }
        command
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    #[track_caller]
    const fn process(&self) -> &Child {
        &self.running.as_ref().expect("the server runs").process
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The signal ends a paused process as well.
        self.kill();
    }
}

pub(crate) fn command(words: &[impl ToRedisArgs]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(word);
    }
    command
}

/// Stops a child process. Returns when it has stopped.
pub(crate) fn pause_process(process: &Child) {
    let pid = Pid::from_child(process);
    kill_process(pid, Signal::STOP).unwrap();
    let changed = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
    let (_, status) = changed.expect("a status");
    assert!(status.stopped(), "process {pid:?} has ended");
}

pub(crate) fn resume_process(process: &Child) {
    kill_process(Pid::from_child(process), Signal::CONT).unwrap();
}

/// The value of a line `name:value`.
pub(crate) fn field_value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':');
    text.lines().find_map(value)
}
