//! Many clients send as fast as they can. Each answer, and all together, must agree with every
//! limit, at any speed of the machine.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::http::{HeaderMap, Method, Request, StatusCode};
use futures_util::future::join_all;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tidegate::{Clock, DefaultClock, Quota, Timestamp};
use tokio::net::{TcpListener, TcpSocket};

use crate::server::{self, API_KEY, PRO_KEYS, Quotas, REFUSED_BY, ROUTES};

const QUOTAS: Quotas = Quotas {
    global: Quota::per_second(500).burst(100),
    address: Quota::per_second(150).burst(30),
    free: Quota::per_hour(60).burst(10), // exactly 10 in a storm: neither more nor less
    pro: Quota::per_second(100).burst(40),
};

const CLIENTS: usize = 32;
const DURATION: Duration = Duration::from_secs(2);

/// The last octet of each client's address, and its key. Half of them have one address, as in an
/// office, and keys are used at several addresses.
const ROLES: [(u8, Option<&str>); 16] = [
    (2, None),
    (2, FREE_1),
    (3, PRO),
    (5, None),
    (2, None),
    (4, FREE_2),
    (2, PRO),
    (6, None),
    (2, None),
    (2, None),
    (3, FREE_1),
    (5, None),
    (2, None),
    (4, PRO),
    (2, None),
    (6, None),
];
const PRO: Option<&str> = Some(PRO_KEYS[0]);
const FREE_1: Option<&str> = Some("free-58b210");
const FREE_2: Option<&str> = Some("free-a90e77");

/// A limit that a request must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Limit {
    Global,
    /// An index into [`ROUTES`].
    Route(usize),
    Address(IpAddr),
    Key(&'static str),
}

impl Limit {
    /// Returns what the server calls the limit.
    const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Route(route) => ROUTES[route].0,
            Self::Address(_) => "address",
            Self::Key(_) => "key",
        }
    }

    /// Returns what the limit allows within `elapsed`.
    fn allows(self, elapsed: Duration) -> Allows {
        let whole = |number: u128| u64::try_from(number).unwrap();
        let quota = match self {
            Self::Route(route) => {
                let (_, limit, window) = ROUTES[route];
                // This many windows, one after the other, cover the whole time.
                let windows = whole(elapsed.as_nanos() / window.as_nanos() + 1);
                return Allows {
                    burst: limit,
                    most: limit * windows,
                    longest_wait: 2 * window, // the window and one of its slots
                };
            }
            Self::Global => QUOTAS.global,
            Self::Address(_) => QUOTAS.address,
            Self::Key(key) if PRO_KEYS.contains(&key) => QUOTAS.pro,
            Self::Key(_) => QUOTAS.free,
        };
        let (rate, period) = (u128::from(quota.rate()), quota.period().as_nanos());
        Allows {
            burst: quota.capacity(),
            most: quota.capacity() + whole(rate * elapsed.as_nanos() / period),
            longest_wait: Duration::from_nanos(whole(period.div_ceil(rate))),
        }
    }
}

struct Allows {
    /// Requests at once.
    burst: u64,
    /// Requests within the time.
    most: u64,
    /// The longest wait of a request that is decided at once.
    longest_wait: Duration,
}

/// The answers to the requests that had to pass a limit.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    offered: u64,
    /// Admitted by all limits.
    admitted: u64,
    /// Refused by this limit.
    refused: u64,
    /// The longest wait that an answer announced for this limit, in seconds.
    longest_wait: u64,
}

#[derive(Default)]
struct Tally(BTreeMap<Limit, Counts>);

impl Tally {
    /// Checks and counts the answer to a request that had to pass `limits`.
    fn count(&mut self, limits: &[Limit], is_refused: bool, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        for limit in limits {
            let counts = self.0.entry(*limit).or_default();
            counts.offered += 1;
            counts.admitted += u64::from(!is_refused);
        }

        // A list of one, as there is one layer: `"/search";r=12;t=1`.
        let (name, parameters) = text("ratelimit").unwrap().split_once(';').unwrap();
        let name = name.trim_matches('"');
        let parameter = |key: &str| -> Option<u64> {
            let mut parameters = parameters.split(';');
            parameters.find_map(|text| text.strip_prefix(key)?.parse().ok())
        };
        let limit = limits.iter().find(|limit| limit.name() == name);
        let limit = limit.expect("RateLimit names a limit of the request");
        let (left, wait) = (parameter("r=").unwrap(), parameter("t="));
        assert!(
            left <= limit.allows(Duration::ZERO).burst,
            "{limit:?}: {left} left"
        );
        let counts = self.0.entry(*limit).or_default();
        counts.longest_wait = counts.longest_wait.max(wait.unwrap_or(0));
        if is_refused {
            counts.refused += 1;
            assert_eq!(text(REFUSED_BY), Some(name));
            let retry_after = text("retry-after").unwrap().parse::<u64>().unwrap();
            assert!(retry_after >= 1);
            assert_eq!(wait, Some(retry_after));
        }
    }

    fn add(&mut self, other: Self) {
        for (limit, other) in other.0 {
            let counts = self.0.entry(limit).or_default();
            counts.offered += other.offered;
            counts.admitted += other.admitted;
            counts.refused += other.refused;
            counts.longest_wait = counts.longest_wait.max(other.longest_wait);
        }
    }

    /// Adds up a number of all limits with this name.
    fn sum(&self, name: &str, number: fn(&Counts) -> u64) -> u64 {
        let limits = self.0.iter().filter(|(limit, _)| limit.name() == name);
        limits.map(|(_, counts)| number(counts)).sum()
    }
}

/// A connection from an address with a key, over which requests are sent one after the other.
struct Client {
    connection: http1::SendRequest<Empty<Bytes>>,
    address: IpAddr,
    key: Option<&'static str>,
}

impl Client {
    async fn connect(server: SocketAddr, octet: u8, key: Option<&'static str>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Where only 127.0.0.1 is local, all clients have that address.
        let _ = socket.bind((Ipv4Addr::new(127, 0, 0, octet), 0).into());
        let stream = socket.connect(server).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let address = stream.local_addr().unwrap().ip();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self {
            connection: sender,
            address,
            key,
        }
    }

    /// Sends a request and reads the whole answer.
    async fn send(&mut self, method: Method, path: &str) -> (StatusCode, HeaderMap, Bytes) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost");
        if let Some(key) = self.key {
            request = request.header(API_KEY, key);
        }
        let request = request.body(Empty::new()).unwrap();
        self.connection.ready().await.unwrap();
        let answer = self.connection.send_request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, head.headers, body)
    }

    /// Sends requests until `end`, the first one to route number `first`.
    async fn load(mut self, first: usize, end: Timestamp) -> Tally {
        const TARGETS: [(Method, &str, StatusCode); ROUTES.len()] = [
            (Method::GET, "/", StatusCode::OK),
            (Method::GET, "/search", StatusCode::OK),
            (Method::POST, "/upload", StatusCode::OK),
            (Method::GET, "/no-such-page", StatusCode::NOT_FOUND),
        ];
        let mut tally = Tally::default();
        for (route, (method, path, expected)) in TARGETS.iter().enumerate().cycle().skip(first) {
            if DefaultClock.now() >= end {
                break;
            }
            let mut limits = vec![
                Limit::Global,
                Limit::Route(route),
                Limit::Address(self.address),
            ];
            limits.extend(self.key.map(Limit::Key));
            let (status, headers, _) = self.send(method.clone(), path).await;
            let is_refused = status == StatusCode::TOO_MANY_REQUESTS;
            assert!(is_refused || status == *expected, "{path}: {status}");
            tally.count(&limits, is_refused, &headers);
        }
        tally
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn storm_stays_within_every_limit() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, server::service(QUOTAS)).into_future());
    let clients = ROLES.into_iter().cycle().take(CLIENTS);
    let clients = join_all(clients.map(|(octet, key)| Client::connect(address, octet, key))).await;

    // The limiters' clock, so that the bounds hold to the nanosecond.
    let start = DefaultClock.now();
    let clients = clients.into_iter().enumerate();
    let running = clients.map(|(n, client)| tokio::spawn(client.load(n, start + DURATION)));
    let mut tally = Tally::default();
    for client in join_all(running).await {
        tally.add(client.unwrap());
    }
    let elapsed = DefaultClock.now() - start;
    let mut client = Client::connect(address, 1, None).await;
    let (_, _, stats) = client.send(Method::GET, "/stats").await;
    let stats: Value = serde_json::from_slice(&stats).unwrap();

    for (limit, counts) in &tally.0 {
        assert_bounds(*limit, *counts, elapsed, &stats);
    }
    assert_stats(&tally, &stats);
}

/// Asserts that a limit admitted neither too much nor too little.
#[track_caller]
fn assert_bounds(limit: Limit, counts: Counts, elapsed: Duration, stats: &Value) {
    let allows = limit.allows(elapsed);
    // Forfeited permits are not added here. Layers count them for addresses, keys and routes
    // together.
    assert!(counts.admitted <= allows.most, "{limit:?} {counts:?}");

    // A request that is refused after it took from one limit forfeits at least the address's
    // permit. So no limit misses more permits than are forfeited.
    let forfeited = |name: &str| number(stats, &["routes", name, "forfeited"]);
    let missing = match limit {
        Limit::Global => 0, // charged last
        Limit::Route(_) => forfeited(limit.name()),
        Limit::Address(_) | Limit::Key(_) => ROUTES.iter().map(|(name, ..)| forfeited(name)).sum(),
    };
    let is_used_up = counts.admitted + missing >= allows.burst;
    assert!(counts.refused == 0 || is_used_up, "{limit:?} {counts:?}");

    // Other requests may be charged between the clock reading of a request and its decision.
    let longest_wait = (allows.longest_wait + elapsed).as_secs() + 1;
    assert!(counts.longest_wait <= longest_wait, "{limit:?} {counts:?}");
}

/// Asserts that `/stats` agrees with what the clients counted.
#[track_caller]
fn assert_stats(tally: &Tally, stats: &Value) {
    for (name, ..) in ROUTES {
        let (offered, admitted) = (
            tally.sum(name, |c| c.offered),
            tally.sum(name, |c| c.admitted),
        );
        assert_eq!(number(stats, &["routes", name, "admitted"]), admitted);
        assert_eq!(
            number(stats, &["routes", name, "refused"]),
            offered - admitted
        );
    }
    for name in ROUTES
        .map(|(name, ..)| name)
        .into_iter()
        .chain(["global", "address", "key"])
    {
        let refused = tally.sum(name, |counts| counts.refused);
        assert_eq!(number(stats, &["refused_by", name]), refused, "{name}");
    }
    // Each address and key had its own limit, and only those.
    let used = |name| tally.0.keys().filter(|limit| limit.name() == name).count() as u64;
    for (table, name) in [("addresses", "address"), ("keys", "key")] {
        assert!(number(stats, &[table, "active"]) <= used(name), "{stats}");
        assert_eq!(number(stats, &[table, "overflowed"]), 0);
    }
}

fn number(stats: &Value, path: &[&str]) -> u64 {
    let value = path.iter().fold(stats, |value, key| &value[*key]);
    value.as_u64().unwrap()
}
