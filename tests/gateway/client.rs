//! The gateway, and a client of it.

use core::net::Ipv4Addr;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::runtime;

use crate::program::{PATIENCE, Program};

/// Starts the program.
pub(crate) fn start(arguments: &[&str]) -> Program {
    Program::start("gateway", arguments)
}

/// Starts a server on a free port, and returns its address too. Addresses and keys are as good as unlimited.
pub(crate) fn serve(quota: &str) -> (Program, String) {
    serve_with(quota, "1M/s", "1M/s")
}

/// The same with a quota per address and one per key.
pub(crate) fn serve_with(quota: &str, per_address: &str, per_key: &str) -> (Program, String) {
    let gateway = start(&[
        "--addr=127.0.0.1:0",
        "--quota",
        quota,
        "--quota-per-address",
        per_address,
        "--quota-per-key",
        per_key,
    ]);
    let first = gateway.stdout.recv_timeout(PATIENCE).unwrap();
    let address = first.strip_prefix("listening on http://").unwrap();
    (gateway, address.to_owned())
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One request on a connection of its own.
pub(crate) fn request(address: &str, method: &str, path: &str) -> Answer {
    requests(address, method, path, 1).remove(0)
}

/// The same request so many times, sent at once on one connection.
pub(crate) fn requests(address: &str, method: &str, path: &str, count: usize) -> Vec<Answer> {
    let all = vec![(method, path, Vec::new()); count];
    exchange(address, Ipv4Addr::LOCALHOST, &all)
}

/// `GET /` with one more header.
pub(crate) fn get_with(address: &str, name: &str, value: impl AsRef<[u8]>) -> Answer {
    get_from(address, Ipv4Addr::LOCALHOST, name, value)
}

/// The same from an address of one's choice, which only Linux lets one choose.
pub(crate) fn get_from(
    address: &str,
    from: Ipv4Addr,
    name: &str,
    value: impl AsRef<[u8]>,
) -> Answer {
    exchange(address, from, &[("GET", "/", header(name, value))]).remove(0)
}

pub(crate) fn header(name: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    [name.as_bytes(), b": ", value.as_ref(), b"\r\n"].concat()
}

/// Sends requests (method, path, more headers) at once on one connection, and reads the answers.
pub(crate) fn exchange(
    address: &str,
    from: Ipv4Addr,
    requests: &[(&str, &str, Vec<u8>)],
) -> Vec<Answer> {
    let mut all = Vec::new();
    for (index, (method, path, more)) in requests.iter().enumerate() {
        let last = index + 1 == requests.len();
        let close = if last { "Connection: close\r\n" } else { "" };
        write!(
            all,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n{close}"
        )
        .unwrap();
        all.extend(more);
        all.extend(b"\r\n");
    }
    let mut stream = connect(address, from);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&all).unwrap();
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

/// The standard library cannot choose the address that a connection comes from.
fn connect(address: &str, from: Ipv4Addr) -> TcpStream {
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(address.parse().unwrap()).await.unwrap()
    });
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// In seconds.
    pub(crate) fn retry_after(&self) -> u64 {
        self.header("retry-after").unwrap().parse().unwrap()
    }

    /// Refused by this limit, for up to so many seconds.
    #[track_caller]
    pub(crate) fn assert_refused_by(&self, limit: &str, most: u64) {
        assert_eq!(self.status, 429);
        assert_eq!(self.header("x-refused-by"), Some(limit));
        let retry_after = self.retry_after();
        assert!((1..=most).contains(&retry_after), "{retry_after}");
    }
}

/// Name, admitted and refused of each limit, and the tokens in the bucket.
pub(crate) fn stats(address: &str) -> (Vec<(String, u64, u64)>, u64) {
    let stats = all_stats(address);
    let limits = stats["limits"].as_array().unwrap();
    let counts = limits.iter().map(|limit| {
        let name = limit["limit"].as_str().unwrap().to_owned();
        let number = |key: &str| limit[key].as_u64().unwrap();
        (name, number("admitted"), number("refused"))
    });
    let tokens = limits[0]["available"].as_u64().unwrap();
    (counts.collect(), tokens)
}

pub(crate) fn all_stats(address: &str) -> Value {
    let answer = request(address, "GET", "/stats");
    assert_eq!(answer.status, 200);
    serde_json::from_str(&answer.body).unwrap()
}

/// So many of these counts, of addresses or of keys.
#[track_caller]
pub(crate) fn assert_counts(stats: &Value, expected: &[(&str, u64)]) {
    for (name, count) in expected {
        assert_eq!(stats[name].as_u64(), Some(*count), "{name}: {stats}");
    }
}
