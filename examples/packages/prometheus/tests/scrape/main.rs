//! What Prometheus reads from a real server under requests, and what the dashboard asks for.

mod dashboard;
mod exposition;
mod queries;
#[path = "../../../../../cli/tests/cli/redis_server.rs"]
mod redis_server;
mod shared;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tidegate::Quota;
use tidegate_example_prometheus::{API_KEY, Limits, MAX_WAITING, exporter, fetch, routes};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::exposition::Exposition;

/// So slow that nothing flows in during a test.
const LIMITS: Limits = Limits {
    client: Quota::per_day(1).burst(3),
    everyone: Quota::per_day(1).burst(10),
    candidate: Quota::per_day(1).burst(4),
    reports: Quota::per_day(1).burst(2),
    patience: Duration::MAX,
};

/// The API keys of clients. No scrape may contain one.
const KEYS: [&str; 5] = ["sk-ada", "sk-ben", "sk-cleo", "sk-dan", "sk-eve"];

/// Runs a test with a server whose metrics are apart from those of other tests.
fn with_server<F: Future<Output = ()>>(
    exporter: PrometheusBuilder,
    limits: Limits,
    test: impl FnOnce(SocketAddr) -> F,
) {
    let recorder = exporter.build_recorder();
    // One thread, because a local recorder is that of a thread.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    let metrics = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        tidegate::layer::describe_metrics();
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let listener = listener.expect("a port");
            let server = listener.local_addr().expect("bound");
            let routes = routes(limits, metrics);
            tokio::spawn(async { axum::serve(listener, routes).await });
            test(server).await;
        });
    });
}

/// Sends a request, and returns the status.
async fn status(server: SocketAddr, path: &str, key: Option<&str>) -> u16 {
    let fetched = fetch(server, path, key).await;
    fetched.expect("a response").status
}

async fn scrape(server: SocketAddr) -> Exposition {
    let fetched = fetch(server, "/metrics", None).await.expect("a response");
    assert_eq!(fetched.status, 200);
    let content_type = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(fetched.head.contains(content_type), "{}", fetched.head);
    for key in KEYS {
        assert!(!fetched.body.contains(key), "{}", fetched.body);
    }
    Exposition::parse(&fetched.body)
}

/// Scrapes until this number of reports wait. Fails after ten seconds.
async fn waiting(server: SocketAddr, expected: usize) {
    let start = Instant::now();
    loop {
        let scraped = scrape(server).await;
        let waiting = scraped.value("rate_limiter_waiting", &[("limiter", "reports")]);
        if waiting == expected as f64 {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{waiting} wait");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The labels of the counter of requests.
fn labels<'a>(
    limiter: &'a str,
    outcome: &'a str,
    limit: &'a str,
    reason: &'a str,
) -> [(&'a str, &'a str); 4] {
    [
        ("limiter", limiter),
        ("outcome", outcome),
        ("limit", limit),
        ("reason", reason),
    ]
}

/// Sends searches that every limit of the tuple refuses in turn, and returns what is scraped then.
async fn scrape_after_searches(server: SocketAddr) -> Exposition {
    for (key, expected) in [
        ("sk-ada", vec![200, 200, 200, 429, 429]), // the client's limit
        ("sk-ben", vec![200, 200, 200]),
        ("sk-cleo", vec![200, 200, 200]),
        ("sk-dan", vec![200, 429]), // the limit of all
        ("sk-eve", vec![429, 429, 429]),
    ] {
        for expected in expected {
            assert_eq!(
                status(server, "/search", Some(key)).await,
                expected,
                "{key}"
            );
        }
    }
    for _ in 0..4 {
        assert_eq!(status(server, "/search", None).await, 400);
        assert_eq!(status(server, "/health", None).await, 200);
    }
    scrape(server).await
}

#[test]
fn counters_say_which_limit_refused_and_why() {
    with_server(exporter().expect("buckets"), LIMITS, async |server| {
        let scraped = scrape_after_searches(server).await;
        let counted = [
            (labels("search", "allowed", "", ""), 10),
            (labels("search", "exempt", "", ""), 4),
            (labels("search", "denied", "client", "limited"), 2),
            (labels("search", "denied", "everyone", "limited"), 4),
            (labels("search", "error", "client", "not_sent"), 4),
        ];
        for (labels, count) in counted {
            let value = scraped.value("rate_limiter_requests", &labels);
            assert_eq!(value, f64::from(count), "{labels:?}");
        }
        // Nothing else was counted.
        let series = scraped.series("rate_limiter_requests");
        assert_eq!(series.len(), counted.len(), "{series:?}");
        let shadow = |outcome| {
            let labels = [("limiter", "search"), ("outcome", outcome)];
            scraped.value("rate_limiter_shadow_requests", &labels)
        };
        // The candidate admits four, and had one left when a client's limit refused two. Requests
        // that are exempt are not shown to it.
        let outcomes = ["allowed", "shadow_denied", "live_denied", "denied"];
        assert_eq!(outcomes.map(shadow), [4.0, 6.0, 2.0, 8.0]);
        // Requests that were refused by the limit of all have made no key.
        let clients = [("limiter", "clients")];
        assert_eq!(scraped.value("rate_limiter_keys", &clients), 4.0);
        assert_eq!(scraped.value("rate_limiter_evictions", &clients), 0.0);
        assert_eq!(scraped.value("rate_limiter_overflows", &clients), 0.0);
        scraped.check_forms();
    });
}

/// Two reports are served at once, and three wait. A client that hangs up waits no longer.
#[test]
fn waiting_requests_are_shown_until_their_clients_hang_up() {
    with_server(exporter().expect("buckets"), LIMITS, async |server| {
        for _ in 0..2 {
            assert_eq!(status(server, "/report", None).await, 200);
        }
        waiting(server, 0).await;
        let mut clients = Vec::new();
        for number in 1..=MAX_WAITING {
            let mut client = TcpStream::connect(server).await.expect("connected");
            let request = format!("GET /report HTTP/1.1\r\nhost: x\r\n{API_KEY}: sk-ada\r\n\r\n");
            client.write_all(request.as_bytes()).await.expect("sent");
            clients.push(client);
            waiting(server, number).await;
        }
        for _ in 0..5 {
            assert_eq!(status(server, "/report", None).await, 429);
        }
        clients.truncate(1);
        waiting(server, 1).await;
        drop(clients);
        waiting(server, 0).await;

        let scraped = scrape(server).await;
        let denied = labels("reports", "denied", "reports", "queue_full");
        assert_eq!(scraped.value("rate_limiter_requests", &denied), 5.0);
        let allowed = labels("reports", "allowed", "", "");
        assert_eq!(scraped.value("rate_limiter_requests", &allowed), 2.0);
        let reports = [("limiter", "reports")];
        let waited = scraped.value("rate_limiter_wait_duration_count", &reports);
        assert_eq!(waited, 2.0);
        scraped.check_forms();
    });
}

/// The counts of the scrape are those that clients saw, however fast the machine is.
#[test]
fn waits_are_a_histogram() {
    let limits = Limits {
        reports: Quota::per_second(2).burst(1),
        ..LIMITS
    };
    with_server(exporter().expect("buckets"), limits, async |server| {
        let mut sent = JoinSet::new();
        for _ in 0..6 {
            sent.spawn(status(server, "/report", None));
        }
        let statuses = sent.join_all().await;
        let served = statuses.iter().filter(|status| **status == 200).count() as f64;
        let refused = statuses.iter().filter(|status| **status == 429).count() as f64;
        assert_eq!(served + refused, 6.0);

        let scraped = scrape(server).await;
        let allowed = labels("reports", "allowed", "", "");
        assert_eq!(scraped.value("rate_limiter_requests", &allowed), served);
        if refused > 0.0 {
            let denied = labels("reports", "denied", "reports", "queue_full");
            assert_eq!(scraped.value("rate_limiter_requests", &denied), refused);
        }
        let bucket = |le| {
            let labels = [("limiter", "reports"), ("le", le)];
            scraped.value("rate_limiter_wait_duration_bucket", &labels)
        };
        // Only the first did not wait. Each of the others waited for half a second more.
        assert_eq!((bucket("0.001"), bucket("0.1")), (1.0, 1.0));
        assert_eq!(bucket("+Inf"), served);
        let reports = [("limiter", "reports")];
        let sum = scraped.value("rate_limiter_wait_duration_sum", &reports);
        // 0.5 s and 1 s, less what passed between the first request and the others.
        assert!(served >= 3.0 && sum > 1.0, "{served} waited {sum} s");
        scraped.check_forms();
    });
}
