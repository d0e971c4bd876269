//! Shows the limits of a server to Prometheus.
//!
//! ```text
//! cargo run --manifest-path examples/packages/prometheus/Cargo.toml             # checks itself
//! cargo run --manifest-path examples/packages/prometheus/Cargo.toml -- --serve  # until Ctrl-C
//! curl http://127.0.0.1:8080/metrics
//! ```
//!
//! With `--serve` it also sends requests to itself, so that the dashboard
//! `examples/grafana/tidegate.json` has something to show. Let Prometheus scrape it:
//!
//! ```text
//! scrape_configs:
//!   - job_name: tidegate
//!     static_configs: [{ targets: ["127.0.0.1:8080"] }]
//! ```

use std::env;
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tidegate::Quota;
use tidegate_example_prometheus::{Limits, exporter, fetch, routes};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

const LIMITS: Limits = Limits {
    client: Quota::per_minute(60).burst(5),
    everyone: Quota::per_minute(240).burst(20),
    candidate: Quota::per_minute(120).burst(10),
    reports: Quota::per_second(2).burst(1),
    patience: Duration::from_secs(10),
};

/// The API keys of clients.
const CLIENTS: [&str; 6] = ["sk-ada", "sk-ben", "sk-cleo", "sk-dan", "sk-eve", "sk-finn"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let metrics = exporter()?.install_recorder()?;
    // After the recorder: units and help texts.
    tidegate::layer::describe_metrics();

    let serves = env::args().nth(1).is_some_and(|it| it == "--serve");
    let port = if serves { 8080 } else { 0 };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let server = listener.local_addr()?;
    let routes = routes(LIMITS, metrics);
    tokio::spawn(async { axum::serve(listener, routes).await });
    if serves {
        println!("Prometheus can scrape http://{server}/metrics");
        loop {
            // A connection that fails does not end the load.
            tokio::spawn(async move { drop(send(server).await) });
            sleep(Duration::from_secs(4)).await;
        }
    }

    let (searches, reports) = send(server).await?;
    let scraped = fetch(server, "/metrics", None).await?.body;
    for line in scraped.lines().filter(|line| line.contains("_requests")) {
        println!("{line}");
    }
    let counted = |limiter: &str| -> u64 {
        let limiter = format!("rate_limiter_requests{{limiter=\"{limiter}\"");
        let counts = scraped.lines().filter(|line| line.starts_with(&limiter));
        let counts = counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        counts.sum()
    };
    assert_eq!((counted("search"), counted("reports")), (searches, reports));
    assert!(
        CLIENTS.iter().all(|key| !scraped.contains(key)),
        "{scraped}"
    );
    Ok(())
}

/// Sends requests of several clients at the same time. Returns the numbers of searches and reports.
async fn send(server: SocketAddr) -> io::Result<(u64, u64)> {
    let mut sent = JoinSet::new();
    for (client, key) in CLIENTS.into_iter().enumerate() {
        // Each client sends more than the one before it.
        for _ in 0..=client {
            sent.spawn(fetch(server, "/search", Some(key)));
        }
        sent.spawn(fetch(server, "/report", Some(key)));
    }
    sent.spawn(fetch(server, "/search", None)); // without a key
    let responses = sent.join_all().await;
    let responses = responses.into_iter().collect::<io::Result<Vec<_>>>()?;
    let served = responses.iter().filter(|it| it.status == 200).count();
    println!("served {served} of {}", responses.len());
    let clients = CLIENTS.len() as u64;
    Ok((clients * (clients + 1) / 2 + 1, clients))
}
