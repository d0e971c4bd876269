//! A master, its replicas, and three sentinels that replace the master when it fails.

use std::fs::{self, File};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use redis::{Client, FromRedisValue, RedisResult};
use tempfile::TempDir;

use super::lifeline::Lifeline;
use super::ports::free_port;
use super::server::{Server, ServerOptions, command, field_value, pause_process};
use super::wait::{PATIENCE, until};

/// The name of the service.
pub(crate) const SERVICE: &str = "limits";

const SENTINELS: usize = 3;

/// How often sentinels ask nodes and tell each other, so that a failover takes two seconds, and how
/// long they do nothing after the machine has stalled.
const PERIODS_MS: [(&str, &str); 5] = [
    ("info-period", "100"),
    ("publish-period", "100"),
    ("ping-period", "100"),
    ("ask-period", "100"),
    ("tilt-period", "1000"),
];

/// Sentinels that take a master for dead after half a second.
#[derive(Debug)]
pub(crate) struct Watched {
    sentinels: Vec<Sentinel>,
    nodes: Vec<Server>,
}

/// A process with a folder of its own, as it writes its configuration. The lifeline is the first
/// field, and so is dropped before the process is reaped.
#[derive(Debug)]
pub(crate) struct Sentinel {
    lifeline: Option<Lifeline>,
    process: Child,
    scheme: &'static str,
    port: u16,
    folder: TempDir,
}

impl Watched {
    /// Node 0 is the master at first.
    pub(crate) fn start(options: &ServerOptions, replicas: usize) -> Self {
        let options = options.clone().tcp().set("repl-diskless-sync-delay", "0");
        let nodes: Vec<_> = (0..=replicas).map(|_| options.clone().start()).collect();
        let port = nodes[0].port().unwrap().to_string();
        for replica in &nodes[1..] {
            let () = replica.query(&["REPLICAOF", "127.0.0.1", &port]);
        }
        // Only the first one begins a failover, as the others cannot find three that take the
        // master for dead. A split vote would cost seconds.
        let sentinels = [(2, 500), (3, 500), (3, 3_600_000)].map(|(quorum, down_after_ms)| {
            let settings = format!(
                "sentinel monitor {SERVICE} 127.0.0.1 {port} {quorum}\n\
                 sentinel down-after-milliseconds {SERVICE} {down_after_ms}\n\
                 sentinel failover-timeout {SERVICE} 2000\n",
            );
            Sentinel::start(&options, "redis", &settings)
        });
        let watched = Self {
            sentinels: sentinels.into(),
            nodes,
        };
        for sentinel in 0..SENTINELS {
            for (period, ms) in PERIODS_MS {
                let () = watched.ask(sentinel, &["DEBUG", period, ms]).unwrap();
            }
        }
        watched.wait_until_known();
        watched
    }

    /// Waits until all sentinels know each other and all replicas, so that a failover can begin.
    fn wait_until_known(&self) {
        let replicas = (self.nodes.len() - 1).to_string();
        let others = (SENTINELS - 1).to_string();
        until("sentinels that know all nodes", || {
            (0..SENTINELS).all(|sentinel| {
                let master = self.master_fields(sentinel).unwrap_or_default();
                let has = |name, value: &str| {
                    let mut fields = master.chunks_exact(2);
                    fields.any(|field| field[0] == name && field[1] == value)
                };
                has("num-slaves", &replicas) && has("num-other-sentinels", &others)
            })
        });
        for replica in &self.nodes[1..] {
            until("a replica with all data", || {
                replica.info("master_link_status").as_deref() == Some("up")
            });
        }
    }

    fn master_fields(&self, sentinel: usize) -> RedisResult<Vec<String>> {
        self.ask(sentinel, &["MASTER", SERVICE])
    }

    /// Runs `SENTINEL` with these arguments.
    pub(crate) fn ask<R: FromRedisValue>(
        &self,
        sentinel: usize,
        arguments: &[&str],
    ) -> RedisResult<R> {
        self.sentinels[sentinel].query(&[&["SENTINEL"], arguments].concat())
    }

    /// Changes a user of all sentinels.
    pub(crate) fn set_users(&self, rights: &[&str]) {
        for sentinel in &self.sentinels {
            let () = sentinel
                .query(&[&["ACL", "SETUSER"], rights].concat())
                .unwrap();
        }
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Sentinel::url).collect()
    }

    pub(crate) fn node(&self, node: usize) -> &Server {
        &self.nodes[node]
    }

    pub(crate) fn node_mut(&mut self, node: usize) -> &mut Server {
        &mut self.nodes[node]
    }

    pub(crate) fn kill_sentinel(&mut self, sentinel: usize) {
        self.sentinels[sentinel].kill();
    }

    /// From then on it accepts connections and answers nothing.
    pub(crate) fn pause_sentinel(&self, sentinel: usize) {
        pause_process(&self.sentinels[sentinel].process);
    }

    /// Sets whether the sentinels wait for eight seconds before they turn an old master into a
    /// replica, as they do by default.
    pub(crate) fn demote_late(&self, late: bool) {
        let period = if late { "2000" } else { "100" };
        for sentinel in 0..SENTINELS {
            let () = self
                .ask(sentinel, &["DEBUG", "publish-period", period])
                .unwrap();
        }
    }

    /// Has a sentinel replace master 0, which works. Returns the new master.
    pub(crate) fn fail_over(&self) -> usize {
        until("a new master", || {
            let master = self.new_master();
            if master.is_none() {
                // It refuses while a failover goes on. On a busy machine one may have timed out.
                let _ = self.ask::<()>(0, &["FAILOVER", SERVICE]);
            }
            master
        })
    }

    pub(crate) fn wait_for_new_master(&self) -> usize {
        until("a new master", || self.new_master())
    }

    /// The node that is a master by its own account, apart from the first one.
    fn new_master(&self) -> Option<usize> {
        let mut others = 1..self.nodes.len();
        others.find(|&node| self.role(node).as_deref() == Some("master"))
    }

    pub(crate) fn role(&self, node: usize) -> Option<String> {
        let info: String = self.nodes[node].try_query(&["INFO", "replication"]).ok()?;
        field_value(&info, "role").map(str::to_owned)
    }
}

impl Sentinel {
    /// Returns once it answers.
    pub(crate) fn start(options: &ServerOptions, scheme: &'static str, settings: &str) -> Self {
        // Another program may take the free port before the sentinel does.
        (0..10)
            .find_map(|_| Self::spawn(options, scheme, settings))
            .expect("a sentinel that goes on")
    }

    fn spawn(options: &ServerOptions, scheme: &'static str, settings: &str) -> Option<Self> {
        let folder = TempDir::with_prefix("tidegate-").unwrap();
        let port = free_port();
        let port_setting = if scheme == "rediss" {
            "tls-port"
        } else {
            "port"
        };
        let settings = format!(
            "bind 127.0.0.1\nport 0\n{port_setting} {port}\ndir {}\n{settings}\
             sentinel down-after-milliseconds {SERVICE} 500\n\
             sentinel failover-timeout {SERVICE} 2000\n",
            folder.path().display()
        );
        let file = folder.path().join("sentinel.conf");
        fs::write(&file, settings).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let process = Command::new(options.program())
            .arg(file)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut sentinel = Self {
            lifeline: Some(Lifeline::of(&process)),
            process,
            scheme,
            port,
            folder,
        };
        let answers = until("the sentinel's first answer", || {
            if sentinel.process.try_wait().unwrap().is_some() {
                return Some(false);
            }
            sentinel.answers().then_some(true)
        });
        answers.then_some(sentinel)
    }

    /// Whether this sentinel, not another program on the same port, answers.
    fn answers(&self) -> bool {
        if self.scheme == "rediss" {
            return TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        }
        let info: RedisResult<String> = self.query(&["INFO", "server"]);
        let pid = self.process.id().to_string();
        info.is_ok_and(|info| field_value(&info, "process_id") == Some(&*pid))
    }

    fn query<R: FromRedisValue>(&self, words: &[&str]) -> RedisResult<R> {
        let client = Client::open(self.url()).unwrap();
        let mut connection = client.get_connection_with_timeout(PATIENCE)?;
        command(words).query(&mut connection)
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    fn kill(&mut self) {
        if let Some(lifeline) = self.lifeline.take() {
            drop(lifeline);
            self.process.kill().unwrap();
            self.process.wait().unwrap();
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.kill();
    }
}
