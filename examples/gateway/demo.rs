//! The load: many HTTP clients on connections of their own, who never wait as they are told to.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tidegate::{Clock, DefaultClock, Quota, Timestamp};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time;

use crate::BoxError;
use crate::limits::{Limits, RULES, Stats};
use crate::report::Report;
use crate::server;
use crate::tally::Tally;

/// How many clients send requests, and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) duration: Duration,
    pub(crate) clients: u64,
}

/// All clients together send at most so many requests: this bounds the memory for latencies.
const MOST_REQUESTS: u64 = 4_000_000;

/// How much longer than its load the demo may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the clients send in turn, and what they get if admitted: one request for each of [`RULES`].
const TARGETS: [(Method, &str, StatusCode); RULES.len()] = [
    (Method::GET, "/", StatusCode::OK),
    (Method::GET, "/search", StatusCode::OK),
    (Method::POST, "/upload", StatusCode::OK),
    (Method::GET, "/no-such-page", StatusCode::NOT_FOUND),
];

/// Starts a server, loads it, and returns what the clients and the server counted.
pub(crate) async fn run(load: Load, quota: Quota) -> Result<Report, BoxError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let limits = Arc::new(Limits::new(quota)?);
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(server::serve(listener, limits, stopped));

    let exercise = async {
        let (tally, elapsed) = send_all(address, load).await?;
        let stats = fetch_stats(address).await?;
        drop(stop);
        server.await??;
        Ok(Report::new(quota, elapsed, tally, &stats))
    };
    time::timeout(load.duration + PATIENCE, exercise)
        .await
        .map_err(|_| "the server or a client hangs")?
}

/// Runs the clients; returns what they counted, and the time from before the first request until after the last.
async fn send_all(address: SocketAddr, load: Load) -> Result<(Tally, Duration), BoxError> {
    let mut connections = Vec::new();
    for _ in 0..load.clients {
        connections.push(connect(address).await?);
    }

    // The clock of the limits, so that the bounds hold to the nanosecond.
    let start = DefaultClock.now();
    let mut clients = JoinSet::new();
    for (first, connection) in connections.into_iter().enumerate() {
        let client = Client {
            connection,
            host: address.to_string(),
            first,
        };
        clients.spawn(client.send(start + load.duration, MOST_REQUESTS / load.clients));
    }
    let mut total = Tally::default();
    while let Some(tally) = clients.join_next().await {
        total.add(tally??);
    }
    Ok((total, DefaultClock.now() - start))
}

async fn fetch_stats(address: SocketAddr) -> Result<Stats, BoxError> {
    let mut client = Client {
        connection: connect(address).await?,
        host: address.to_string(),
        first: 0,
    };
    let (_, body) = client.request(Method::GET, "/stats").await?;
    Ok(serde_json::from_slice(&body)?)
}

/// Opens a connection, over which the client then sends all its requests.
async fn connect(address: SocketAddr) -> Result<SendRequest<Empty<Bytes>>, BoxError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the sender. What goes wrong before shows in the answer that does not come.
    tokio::spawn(connection);
    Ok(sender)
}

struct Client {
    connection: SendRequest<Empty<Bytes>>,
    host: String,
    /// The target to begin with, so that clients are not all at the same.
    first: usize,
}

impl Client {
    /// Sends one request after the other until `deadline`, or until it has sent so many.
    async fn send(mut self, deadline: Timestamp, most: u64) -> Result<Tally, BoxError> {
        let mut tally = Tally::default();
        let mut target = self.first;
        while tally.offered < most {
            let sent_at = DefaultClock.now();
            if sent_at >= deadline {
                break;
            }
            let route = target % TARGETS.len();
            let (method, path, expected) = &TARGETS[route];
            let (response, _) = self.request(method.clone(), path).await?;
            let latency = DefaultClock.now() - sent_at;
            match response.status() {
                StatusCode::TOO_MANY_REQUESTS => tally.refused(route, response.headers(), latency),
                status if status == *expected => tally.admitted(route, latency),
                status => return Err(format!("{method} {path} was answered {status}").into()),
            }
            target += 1;
        }
        Ok(tally)
    }

    /// Sends one request and reads the whole answer, which frees the connection for the next.
    async fn request(
        &mut self,
        method: Method,
        path: &str,
    ) -> Result<(Response<()>, Bytes), BoxError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.host.as_str())
            .body(Empty::new())?;
        self.connection.ready().await?;
        let response: Response<Incoming> = self.connection.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok((Response::from_parts(head, ()), body))
    }
}
