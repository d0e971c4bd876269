//! The example `gateway` as its users meet it: a program that is started, sent HTTP requests, and stopped.
//!
//! Cargo builds examples before it runs integration tests, unless it is told to run only some of them.

#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]

use core::time::Duration;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use serde_json::Value;
use tidegate::{Clock, MonotonicClock};

/// Ends a test that hangs; nothing else depends on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running gateway. Dropping it stops it.
struct Gateway {
    process: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Gateway {
    fn start(arguments: &[&str]) -> Self {
        let program = program();
        assert!(
            program.is_file(),
            "{} is not built: run `cargo build --example gateway` with the same profile first",
            program.display(),
        );
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = lines(process.stdout.take().unwrap());
        let stderr = lines(process.stderr.take().unwrap());
        Self {
            process,
            stdout,
            stderr,
        }
    }

    /// Starts a server on a free port, and returns its address too.
    fn serve(quota: &str) -> (Self, String) {
        let gateway = Self::start(&["--addr", "127.0.0.1:0", "--quota", quota]);
        let first = gateway.stdout.recv_timeout(PATIENCE).unwrap();
        let address = first.strip_prefix("listening on http://").unwrap();
        (gateway, address.to_owned())
    }

    /// Waits until the program ends by itself.
    fn finish(mut self) -> Finished {
        let stdout = rest(&self.stdout);
        let stderr = rest(&self.stderr);
        Finished {
            status: self.process.wait().unwrap(),
            stdout,
            stderr,
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It fails if the program has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Debug)]
struct Finished {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

/// `target/<profile>/examples/gateway`, seen from `target/<profile>/deps/<this test>`.
fn program() -> PathBuf {
    let this_test = env::current_exe().unwrap();
    let profile = this_test.parent().and_then(|deps| deps.parent()).unwrap();
    let name = format!("gateway{}", env::consts::EXE_SUFFIX);
    profile.join("examples").join(name)
}

/// Reads lines on a thread, so that one can wait for them with a limit.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            // A test that has ended reads no more, but the program may still write.
            let _ = sender.send(line.unwrap());
        }
    });
    receiver
}

fn rest(lines: &Receiver<String>) -> String {
    let mut text = String::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => text = text + &line + "\n",
            Err(error) => {
                assert_eq!(
                    error,
                    RecvTimeoutError::Disconnected,
                    "hangs after:\n{text}"
                );
                return text;
            }
        }
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// One request on a connection of its own.
fn request(address: &str, method: &str, path: &str) -> Answer {
    requests(address, method, path, 1).remove(0)
}

/// The same request so many times, sent at once on one connection.
fn requests(address: &str, method: &str, path: &str, count: usize) -> Vec<Answer> {
    let request = |more| {
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n{more}\r\n")
    };
    let all = request("").repeat(count - 1) + &request("Connection: close\r\n");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(all.as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();

    let answers = answers.split("HTTP/1.1 ").skip(1).map(|answer| {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head[..3].parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    });
    answers.collect()
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// In seconds.
    fn retry_after(&self) -> u64 {
        self.header("retry-after").unwrap().parse().unwrap()
    }
}

/// Name, admitted and refused of each limit, and the tokens in the bucket.
fn stats(address: &str) -> (Vec<(String, u64, u64)>, u64) {
    let answer = request(address, "GET", "/stats");
    assert_eq!(answer.status, 200);
    let stats: Value = serde_json::from_str(&answer.body).unwrap();
    let limits = stats["limits"].as_array().unwrap();
    let counts = limits.iter().map(|limit| {
        let name = limit["limit"].as_str().unwrap().to_owned();
        let number = |key: &str| limit[key].as_u64().unwrap();
        (name, number("admitted"), number("refused"))
    });
    let tokens = limits[0]["available"].as_u64().unwrap();
    (counts.collect(), tokens)
}

#[test]
fn every_request_is_gated_and_counted() {
    let start = MonotonicClock.now();
    let (_gateway, address) = Gateway::serve("5/hour");
    let send = |method, path| request(&address, method, path);

    // Whatever the router makes of a request, it costs a token.
    assert_eq!(send("GET", "/").status, 200);
    assert_eq!(send("GET", "/search").status, 200);
    assert_eq!(send("POST", "/upload").status, 200);
    assert_eq!(send("GET", "/upload").status, 405);
    assert_eq!(send("GET", "/no-such-page").status, 404);

    let refused = [
        ("GET", "/"),
        ("GET", "/search"),
        ("POST", "/upload"),
        ("GET", "/no-such-page"),
        ("GET", "/stats/"),
    ];
    for (method, path) in refused {
        let answer = send(method, path);
        let elapsed = MonotonicClock.now() - start;
        assert_eq!(answer.status, 429, "{method} {path}");
        assert_eq!(answer.header("x-refused-by"), Some("global"));
        let retry_after = answer.retry_after();
        assert!((1..=720).contains(&retry_after), "{retry_after}");
        // A token takes 720 s: seconds that were rounded down would end too early. 10 ms, as the gateway has a clock of its own.
        let comes_back = elapsed + Duration::from_secs(retry_after) + Duration::from_millis(10);
        assert!(comes_back >= Duration::from_secs(720), "{comes_back:?}");
    }

    // Twice, because looking costs nothing and counts for nothing.
    for _ in 0..2 {
        let (counts, tokens) = stats(&address);
        let expected = [
            ("global", 5, 5),
            ("/", 1, 0),
            ("/search", 1, 0),
            ("/upload", 2, 0),
            ("unknown", 1, 0),
        ];
        assert_eq!(
            counts,
            expected.map(|(name, admitted, refused)| (name.to_owned(), admitted, refused))
        );
        assert_eq!(tokens, 0);
    }
}

#[test]
fn a_route_has_a_window_of_its_own() {
    let (_gateway, address) = Gateway::serve("1M/s");
    let deadline = MonotonicClock.now() + PATIENCE;

    // 20 in any 2 s: a machine that stalls while it answers a batch gets another.
    let (mut admitted, mut refused) = (0, 0);
    while refused == 0 {
        assert!(MonotonicClock.now() < deadline, "{admitted} admitted");
        for answer in requests(&address, "POST", "/upload", 50) {
            if answer.status == 200 {
                admitted += 1;
                continue;
            }
            assert_eq!(answer.status, 429);
            assert_eq!(answer.header("x-refused-by"), Some("/upload"));
            // The window, a slot of it, and rounded up.
            assert!((1..=3).contains(&answer.retry_after()));
            assert!(admitted >= 20, "{admitted}");
            refused += 1;
        }
    }
    assert_eq!((admitted + refused) % 50, 0, "answers are missing");

    assert_eq!(request(&address, "GET", "/search").status, 200);
    let (counts, _) = stats(&address);
    assert_eq!(counts[0], ("global".to_owned(), admitted + 1, 0));
    assert_eq!(counts[3], ("/upload".to_owned(), admitted, refused));
}

#[test]
fn the_demo_proves_its_limits() {
    let demo = Gateway::start(&["--demo", "--seconds", "1", "--clients", "8"]).finish();
    assert!(demo.status.success(), "{demo:?}");

    for name in ["global", "/", "/search", "/upload", "unknown"] {
        let row = demo
            .stdout
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        let cells: Vec<&str> = row.expect(&demo.stdout).split_whitespace().collect();
        let numbers = cells[1..6].iter().map(|cell| cell.parse::<u64>().unwrap());
        let &[offered, admitted, allowed, refused, elsewhere] =
            numbers.collect::<Vec<_>>().as_slice()
        else {
            panic!("{}", demo.stdout);
        };
        assert!(admitted <= allowed, "{}", demo.stdout);
        assert_eq!(offered, admitted + refused + elsewhere, "{}", demo.stdout);
    }
    let verdicts = demo.stdout.lines().filter(|line| line.starts_with("ok "));
    assert_eq!(verdicts.count(), 4, "{}", demo.stdout);
    // It fits a terminal of 80 columns.
    assert!(
        demo.stdout.lines().all(|line| line.chars().count() <= 80),
        "{}",
        demo.stdout
    );
}

#[test]
fn a_bad_option_is_told_and_fails() {
    let cases: [(&[&str], &str); 12] = [
        (&["--fast"], "unknown option `--fast`"),
        (&["8080"], "unknown option `8080`"),
        (&["--addr"], "--addr needs a value"),
        (
            &["--addr", "localhost"],
            "--addr `localhost`: not an address and port, such as 127.0.0.1:8080",
        ),
        (&["--addr", "0.0.0.0:0"], "not a loopback address"),
        (
            &["--quota", "5/fortnight"],
            "unknown unit of time (ns, us, ms, s, min, h or d) at byte 2",
        ),
        (
            &["--demo", "--seconds", "0"],
            "must be a number from 1 to 600",
        ),
        (
            &["--demo", "--clients=257"],
            "must be a number from 1 to 256",
        ),
        (
            &["--demo", "--clients", "many"],
            "--clients `many`: must be a number from 1 to 256",
        ),
        (&["--demo=yes"], "--demo takes no value"),
        (&["--seconds", "1"], "need --demo"),
        (&["--demo", "--addr", "127.0.0.1:0"], "leave out --addr"),
    ];
    for (arguments, message) in cases {
        let gateway = Gateway::start(arguments).finish();
        assert_eq!(gateway.status.code(), Some(2), "{arguments:?} {gateway:?}");
        assert!(
            gateway.stderr.contains(message),
            "{arguments:?} {gateway:?}"
        );
        assert_eq!(gateway.stdout, "", "{arguments:?}");
    }
    let help = Gateway::start(&["--help"]).finish();
    assert!(
        help.status.success() && help.stdout.contains("--quota"),
        "{help:?}"
    );
}

#[test]
fn an_address_in_use_is_told() {
    let (_gateway, address) = Gateway::serve("1/s");
    let second = Gateway::start(&["--addr", &address]).finish();
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(
        second
            .stderr
            .contains(&format!("cannot listen on {address}")),
        "{second:?}"
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_the_server() {
    let (gateway, address) = Gateway::serve("5/s");
    assert_eq!(request(&address, "GET", "/").status, 200);
    let kill = format!("kill -INT {}", gateway.process.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    let stopped = gateway.finish();
    assert!(stopped.status.success(), "{stopped:?}");
}
