//! An axum server whose limits Prometheus scrapes. This is the file to copy from.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tidegate::layer::{ApiKey, Named, PaceLayer, PerKey, RateLimitLayer};
use tidegate::{Keyed, Quota, TokenBucket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The limits that can be chosen.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Searches of each client.
    pub client: Quota,
    /// Searches of all clients.
    pub everyone: Quota,
    /// A limit on all searches that is tried, and refuses nothing yet.
    pub candidate: Quota,
    /// Reports of all clients, which wait for each other.
    pub reports: Quota,
    /// How long a report may wait.
    pub patience: Duration,
}

/// The request header with the client's API key.
pub const API_KEY: &str = "x-api-key";
/// How many reports may wait.
pub const MAX_WAITING: usize = 3;
const MAX_CLIENTS: usize = 100_000;

/// The bounds of the buckets for waits, in seconds. Without buckets the exporter writes a summary,
/// whose quantiles cannot be added up over several servers.
const BUCKETS: [f64; 9] = [0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0];

/// The bounds of the buckets for answers of a limit server, in seconds.
const ANSWER_BUCKETS: [f64; 9] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0];

/// Returns an exporter that writes waits as histograms, also those of limits that many machines
/// share (`tidegate-redis`).
pub fn exporter() -> Result<PrometheusBuilder, BuildError> {
    let full = |name: &str| Matcher::Full(name.to_owned());
    PrometheusBuilder::new()
        .set_buckets_for_metric(full("rate_limiter.wait.duration"), &BUCKETS)?
        .set_buckets_for_metric(full("rate_limiter.shared.duration"), &ANSWER_BUCKETS)
}

/// Builds the routes, and `/metrics` for Prometheus. The recorder must be installed before, because
/// layers look up their counters at the first request.
pub fn routes(limits: Limits, metrics: PrometheusHandle) -> Router {
    let clients = Keyed::builder(move |_: &_| TokenBucket::new(limits.client));
    let clients = Arc::new(clients.max_keys(MAX_CLIENTS).build());
    let key = ApiKey::header(HeaderName::from_static(API_KEY));
    // The names are the label `limit` of what they refuse.
    let limit = (
        Named::new("client", PerKey::new(Arc::clone(&clients), key)),
        Named::new("everyone", TokenBucket::new(limits.everyone)),
    );
    let searches = RateLimitLayer::builder(limit)
        .name("search")
        .exempt(|request| request.path() == "/health")
        .shadow(TokenBucket::new(limits.candidate))
        .build();
    let reports = PaceLayer::builder(TokenBucket::new(limits.reports).max_waiters(MAX_WAITING))
        .name("reports")
        .timeout(limits.patience)
        .build();

    let scrape = async move || {
        // Layers record each request, but tables only count: tell what they have now.
        clients.stats().publish("clients");
        let content_type = "text/plain; version=0.0.4; charset=utf-8";
        ([(CONTENT_TYPE, content_type)], metrics.render())
    };
    Router::new()
        .route("/search", get(async || "found\n"))
        .route("/health", get(async || "well\n"))
        .layer(searches)
        .merge(Router::new().route("/report", get(async || "a report\n").layer(reports)))
        // Behind no limit. Do not show it to clients: the names of your limits are in it.
        .route("/metrics", get(scrape))
}

/// A response to [`fetch`].
#[derive(Debug)]
pub struct Fetched {
    /// The status code.
    pub status: u16,
    /// The header fields, as they were sent.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Sends a request on a connection of its own, with an API key or without one. The demonstration
/// and the tests need no more of a client.
pub async fn fetch(server: SocketAddr, path: &str, key: Option<&str>) -> io::Result<Fetched> {
    let mut connection = TcpStream::connect(server).await?;
    let key = key.map_or(String::new(), |key| format!("{API_KEY}: {key}\r\n"));
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n{key}\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    connection.read_to_string(&mut response).await?;
    parse(&response).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, response))
}

fn parse(response: &str) -> Option<Fetched> {
    let (head, body) = response.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let (head, body) = (head.to_owned(), body.to_owned());
    Some(Fetched { status, head, body })
}
