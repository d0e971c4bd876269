//! The examples `cluster_gateway` and `llm_fleet`: processes that share limits on a server, which
//! stalls and is killed.
//!
//! It needs `redis-server` or `valkey-server` in PATH. Cargo builds examples before it runs
//! integration tests, unless it was asked to run only some of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(
    clippy::disallowed_methods,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "real servers and time"
)]

mod support;

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tidegate::Quota;

use support::server::{Server, ServerOptions};
use support::wait::until;

/// The quotas of the example.
const GLOBAL: Quota = Quota::per_second(1_000).burst(250);
const USER: Quota = Quota::per_second(20).burst(10);
const NODES: usize = 3;

/// So many that together they get more past their own limits than the global limit admits.
const USERS: usize = 75;
/// Of each gateway.
const CLIENTS: usize = 8;

fn example(arguments: &[&str]) -> Command {
    example_named("cluster_gateway", arguments)
}

/// `target/<profile>/examples/<name>`, from `target/<profile>/deps/<this test>`.
fn example_named(name: &str, arguments: &[&str]) -> Command {
    let this_test = env::current_exe().unwrap();
    let profile = this_test.parent().and_then(|deps| deps.parent()).unwrap();
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let program = profile.join("examples").join(file);
    assert!(
        program.is_file(),
        "{} is missing: run `cargo build -p tidegate-redis --example {name}` first",
        program.display(),
    );
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn interrupt(process: &Child) {
    let kill = format!("kill -INT {}", process.id());
    let killed = Command::new("sh").args(["-c", &kill]).status();
    assert!(killed.unwrap().success());
}

/// A gateway in its own process. Dropping it kills the process.
struct Gateway {
    process: Child,
    /// Kept open, because the gateway fails if its output has no reader.
    _stdout: BufReader<ChildStdout>,
    address: String,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Gateway {
    fn start(server: &Server) -> Self {
        let redis = server.socket_url();
        let mut process = example(&["serve", &redis, "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://");
        Self {
            process,
            address: address.expect("an address").to_owned(),
            _stdout: stdout,
        }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(BufReader::new(stream))
    }

    /// Counts of the users' limits: calls that the server admitted, and that this node's share did.
    fn admitted(&self) -> (u64, u64) {
        let stats = self.connect().get("/stats", "").body;
        let field = |name: &str| {
            let (_, rest) = stats.split_once(name).expect("the counter");
            rest.split_once(',').unwrap().0.parse::<u64>().unwrap()
        };
        (field(" admitted: "), field(" local_admitted: "))
    }

    /// Ends the gateway by Ctrl-C, which lets it give its lease back.
    fn stop(mut self) {
        interrupt(&self.process);
        assert!(self.process.wait().unwrap().success());
    }
}

/// A connection, with as much of HTTP/1.1 as the gateway uses.
struct Client(BufReader<TcpStream>);

struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Client {
    fn get(&mut self, path: &str, user: &str) -> Response {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-user: {user}\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let status = self.line().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        while let Some((name, value)) = self.line().split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Response {
            status,
            headers,
            body: String::new(),
        };
        let length = response.header("content-length").unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        response.body = String::from_utf8(body).unwrap();
        response
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// What the clients received.
#[derive(Default)]
struct Tally {
    admitted: AtomicU64,
    refused: AtomicU64,
    unavailable: AtomicU64,
    stop: AtomicBool,
}

/// How often the server, and the gateways' shares, admitted each user.
struct Users([Vec<AtomicU64>; 2]);

impl Users {
    fn new() -> Self {
        Self([(); 2].map(|()| (0..USERS).map(|_| AtomicU64::new(0)).collect()))
    }

    fn most(&self, source: usize) -> u64 {
        let counts = self.0[source].iter().map(|count| count.load(Relaxed));
        counts.max().unwrap()
    }

    fn total(&self, source: usize) -> u64 {
        self.0[source].iter().map(|count| count.load(Relaxed)).sum()
    }
}

fn send(mut client: Client, number: usize, tally: &Tally, users: &Users) {
    // Each client uses all users, so the requests of a user go to all gateways.
    let mut user = number;
    while !tally.stop.load(Relaxed) {
        user = (user + 7) % USERS;
        let response = client.get("/", &format!("user-{user}"));
        let counter = match response.status {
            200 => &tally.admitted,
            429 => &tally.refused,
            503 => &tally.unavailable,
            other => panic!("status {other}"),
        };
        counter.fetch_add(1, Relaxed);
        if response.status != 200 {
            let wait = response.header("retry-after").unwrap();
            assert!(wait.parse::<u64>().unwrap() > 0, "retry-after: {wait}");
        }
        if let Some(source) = response.header("x-user-admitted-by") {
            let source = usize::from(source == "share");
            users.0[source][user].fetch_add(1, Relaxed);
        }
        thread::sleep(Duration::from_millis(8));
    }
}

/// Capacity + rate · time, rounded down.
fn bound(quota: Quota, elapsed_us: u64) -> u64 {
    let nanos = u128::from(elapsed_us) * 1_000;
    let refill = u128::from(quota.rate()) * nanos / quota.period().as_nanos();
    quota.capacity() + u64::try_from(refill).unwrap()
}

#[test]
fn gateways_keep_the_bounds_while_the_server_stalls_and_dies() {
    let mut server = ServerOptions::default().durable().start();
    let gateways = [(); NODES].map(|()| Gateway::start(&server));
    let (tally, users) = (Tally::default(), Users::new());
    let start_us = server.time_us();
    thread::scope(|scope| {
        for number in 0..CLIENTS * gateways.len() {
            let client = gateways[number % gateways.len()].connect();
            let (tally, users) = (&tally, &users);
            scope.spawn(move || send(client, number, tally, users));
        }
        thread::sleep(Duration::from_millis(800));
        server.pause();
        until("shares admit while the server stalls", || {
            users.total(1) > 0
        });
        thread::sleep(Duration::from_millis(400));
        server.resume();
        thread::sleep(Duration::from_millis(500));
        server.kill();
        let by_shares = users.total(1);
        until("shares admit while the server is dead", || {
            users.total(1) > by_shares
        });
        server.restart();
        let (by_server, admitted) = (users.total(0), tally.admitted.load(Relaxed));
        until("the gateways use the server again", || {
            users.total(0) > by_server && tally.admitted.load(Relaxed) > admitted
        });
        thread::sleep(Duration::from_millis(500));
        tally.stop.store(true, Relaxed);
    });
    let elapsed_us = server.time_us() - start_us;

    let most = users.most(0);
    assert!(most <= bound(USER, elapsed_us), "{most} for a user");
    // Each of the three gateways has a third of the rate and a burst of 3.
    let share = USER.burst(9);
    let most = users.most(1);
    assert!(most <= bound(share, elapsed_us), "{most} by shares");
    let admitted = tally.admitted.load(Relaxed);
    assert!(admitted <= bound(GLOBAL, elapsed_us), "{admitted} in all");
    assert!(tally.refused.load(Relaxed) > 0);
    assert!(tally.unavailable.load(Relaxed) > 0, "the leases run out");

    // The clients and the gateways count the same.
    let counts = gateways.each_ref().map(Gateway::admitted);
    let by_server: u64 = counts.iter().map(|(by_server, _)| by_server).sum();
    let by_shares: u64 = counts.iter().map(|(_, by_shares)| by_shares).sum();
    assert_eq!((by_server, by_shares), (users.total(0), users.total(1)));
    for gateway in gateways {
        gateway.stop();
    }
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn demo_stays_within_the_bound() {
    let (status, out, err) = run(&mut example(&["--demo"]));
    assert_eq!(status, Some(0), "{out}{err}");
    for phase in ["answers", "stalled", "killed", "restarted"] {
        assert!(out.contains(phase), "{out}");
    }
    assert!(out.ends_with("no more than the bound.\n"), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
}

/// A worker and the server are killed. The demo fails if the provider sees too much or too little,
/// or counts otherwise than the fleet.
#[test]
fn fleet_uses_its_quota_and_no_more() {
    let (status, out, err) = run(&mut example_named("llm_fleet", &["--demo"]));
    assert_eq!(status, Some(0), "{out}{err}");
    for phase in [
        "three workers",
        "worker killed",
        "server killed",
        "restarted",
    ] {
        assert!(out.contains(phase), "{out}");
    }
    assert!(out.ends_with("and none made twice.\n"), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    let (status, _, err) = run(&mut example_named("llm_fleet", &["--fast"]));
    assert_eq!(status, Some(1));
    assert!(err.contains("usage: llm_fleet"), "{err}");
}

#[test]
fn errors_are_reported() {
    let usage = "usage: cluster_gateway";
    for (arguments, message) in [
        (&[][..], usage),
        (&["--fast"], usage),
        (&["serve"], usage),
        (
            &["serve", "nowhere", "127.0.0.1:0"],
            "invalid address `nowhere`",
        ),
        (
            &["serve", "redis://127.0.0.1/", "nowhere"],
            "cannot listen on nowhere",
        ),
    ] {
        let (status, out, err) = run(&mut example(arguments));
        assert_eq!((status, &*out), (Some(1), ""), "{arguments:?}");
        assert!(err.contains(message), "{arguments:?} {err}");
    }
    let (status, _, err) = run(example(&["--demo"]).env("PATH", "/no/such/folder"));
    assert_eq!(status, Some(1));
    assert!(err.contains("apt install redis-server"), "{err}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_the_demo_and_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = example(&["--demo"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first line is printed once everything runs.
    let mut stdout = BufReader::new(demo.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files(), 1, "the folder of the server");
    interrupt(&demo);
    let ended = demo.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        String::from_utf8(ended.stderr)
            .unwrap()
            .contains("interrupted")
    );
    assert_eq!(files(), 0, "the folder of the server is gone");
}
