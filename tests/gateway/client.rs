//! A server in this process, and a client that sends raw bytes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use serde_json::Value;
use tidegate::Quota;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{self, Runtime};

use crate::program::PATIENCE;
use crate::server::{self, Quotas};

/// A running server. Dropping it stops the server.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    _runtime: Runtime,
}

/// A quota that no test uses up.
pub(crate) const PLENTY: Quota = Quota::per_second(1_000_000);

/// Quotas that no test uses up.
pub(crate) const UNLIMITED: Quotas = Quotas {
    global: PLENTY,
    address: PLENTY,
    free: PLENTY,
    pro: PLENTY,
};

/// Starts a server on a free port.
pub(crate) fn serve(quotas: Quotas) -> Gateway {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listener = listener.unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(axum::serve(listener, server::service(quotas)).into_future());
    Gateway {
        address,
        _runtime: runtime,
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

/// A request to send: method, path and further header lines.
pub(crate) type Request<'a> = (&'a str, &'a str, Vec<u8>);

/// Builds a header line.
pub(crate) fn header(name: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    [name.as_bytes(), b": ", value.as_ref(), b"\r\n"].concat()
}

/// Sends requests at once on one connection from the address `from`, and reads the answers.
pub(crate) fn exchange(
    server: SocketAddr,
    from: Ipv4Addr,
    requests: &[Request<'_>],
) -> Vec<Answer> {
    let mut bytes = Vec::new();
    for (index, (method, path, headers)) in requests.iter().enumerate() {
        let is_last = index + 1 == requests.len();
        let close = if is_last { "Connection: close\r\n" } else { "" };
        write!(
            bytes,
            "{method} {path} HTTP/1.1\r\nHost: {server}\r\nContent-Length: 0\r\n{close}"
        )
        .unwrap();
        bytes.extend(headers);
        bytes.extend(b"\r\n");
    }
    let mut stream = connect(server, from);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&bytes).unwrap();
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

/// Connects from a chosen address, which the standard library cannot.
fn connect(server: SocketAddr, from: Ipv4Addr) -> TcpStream {
    let runtime = runtime::Builder::new_current_thread().enable_io().build();
    let stream = runtime.unwrap().block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(server).await.unwrap()
    });
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}

/// Sends one request without further headers from 127.0.0.1.
pub(crate) fn request(server: SocketAddr, method: &str, path: &str) -> Answer {
    exchange(server, Ipv4Addr::LOCALHOST, &[(method, path, Vec::new())]).remove(0)
}

/// Reads `/stats`.
pub(crate) fn stats(server: SocketAddr) -> Value {
    let answer = request(server, "GET", "/stats");
    assert_eq!((answer.status, answer.header("ratelimit")), (200, None));
    serde_json::from_str(&answer.body).unwrap()
}

impl Gateway {
    pub(crate) fn request(&self, method: &str, path: &str) -> Answer {
        request(self.address, method, path)
    }

    /// Sends `GET /` with one more header.
    pub(crate) fn get_with(&self, name: &str, value: impl AsRef<[u8]>) -> Answer {
        self.get_from(Ipv4Addr::LOCALHOST, name, value)
    }

    /// Sends `GET /` with one more header from another address, which works on Linux.
    pub(crate) fn get_from(&self, from: Ipv4Addr, name: &str, value: impl AsRef<[u8]>) -> Answer {
        let request = ("GET", "/", header(name, value));
        exchange(self.address, from, &[request]).remove(0)
    }

    /// Compares numbers in `/stats`, given by their JSON pointers.
    #[track_caller]
    pub(crate) fn assert_stats(&self, expected: &[(&str, u64)]) {
        let stats = stats(self.address);
        for (pointer, number) in expected {
            let found = stats.pointer(pointer).and_then(Value::as_u64);
            assert_eq!(found, Some(*number), "{pointer}: {stats}");
        }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Returns `Retry-After` in seconds.
    pub(crate) fn retry_after(&self) -> u64 {
        self.header("retry-after").unwrap().parse().unwrap()
    }

    /// Asserts that this limit refused, for at most `most` seconds.
    #[track_caller]
    pub(crate) fn assert_refused_by(&self, limit: &str, most: u64) {
        assert_eq!(self.status, 429);
        assert_eq!(self.header("x-refused-by"), Some(limit));
        let retry_after = self.retry_after();
        assert!((1..=most).contains(&retry_after), "{retry_after}");
        let expected = format!("\"{limit}\";r=0;t={retry_after}");
        assert_eq!(self.header("ratelimit"), Some(expected.as_str()));
    }
}
