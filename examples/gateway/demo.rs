//! The load: many HTTP clients, who never wait as they are told to.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use tidegate::{Clock, DefaultClock, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time;

use crate::BoxError;
use crate::cast::{KEYS, Role};
use crate::report::Report;
use crate::rules::RULES;
use crate::sender::Sender;
use crate::server::{self, Quotas};
use crate::stats::Stats;
use crate::tally::{Limit, Tally};

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
pub(crate) async fn run(load: Load, quotas: Quotas) -> Result<Report, BoxError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(server::serve(listener, quotas, stopped));

    let exercise = async {
        let (tally, elapsed) = send_all(address, load).await?;
        let stats = fetch_stats(address).await?;
        drop(stop);
        server.await??;
        Ok(Report::new(quotas, elapsed, tally, &stats))
    };
    time::timeout(load.duration + PATIENCE, exercise)
        .await
        .map_err(|_| "the server or a client hangs")?
}

/// Runs the clients; returns what they counted, and the time from before the first request until after the last.
async fn send_all(server: SocketAddr, load: Load) -> Result<(Tally, Duration), BoxError> {
    let mut clients = Vec::new();
    for number in 0..usize::try_from(load.clients)? {
        clients.push(Client::connect(server, number).await?);
    }

    // The clock of the limits, so that the bounds hold to the nanosecond.
    let start = DefaultClock.now();
    let mut running = JoinSet::new();
    for client in clients {
        running.spawn(client.send(start + load.duration, MOST_REQUESTS / load.clients));
    }
    let mut total = Tally::default();
    while let Some(tally) = running.join_next().await {
        total.add(tally??);
    }
    Ok((total, DefaultClock.now() - start))
}

async fn fetch_stats(server: SocketAddr) -> Result<Stats, BoxError> {
    let mut sender = Sender::connect(server, Ipv4Addr::LOCALHOST, None).await?;
    let (_, body) = sender.request(Method::GET, "/stats").await?;
    Ok(serde_json::from_slice(&body)?)
}

struct Client {
    sender: Sender,
    /// The target to begin with, so that clients are not all at the same.
    first: usize,
    /// What a request must pass, for each of [`TARGETS`].
    limits: [Vec<Limit>; TARGETS.len()],
}

impl Client {
    async fn connect(server: SocketAddr, number: usize) -> Result<Self, BoxError> {
        let role = Role::of_client(number);
        let api_key = role.key.map(|key| KEYS[key].text);
        let sender = Sender::connect(server, role.address, api_key).await?;
        let own = [
            Some(Limit::Address(sender.address())),
            role.key.map(Limit::Key),
        ];
        let limits = |route| {
            let of_all = [Limit::Global, Limit::Route(route)];
            of_all.into_iter().chain(own.into_iter().flatten())
        };
        Ok(Self {
            sender,
            first: number,
            limits: std::array::from_fn(|route| limits(route).collect()),
        })
    }

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
            let (response, _) = self.sender.request(method.clone(), path).await?;
            let latency = DefaultClock.now() - sent_at;
            let limits = &self.limits[route];
            let headers = response.headers();
            match response.status() {
                StatusCode::TOO_MANY_REQUESTS => tally.refused(limits, headers, latency),
                status if status == *expected => tally.admitted(limits, headers, latency),
                status => return Err(format!("{method} {path} was answered {status}").into()),
            }
            target += 1;
        }
        Ok(tally)
    }
}
