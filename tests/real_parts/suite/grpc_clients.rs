//! A gRPC client in Python that reads refusals, and one that retries on its own.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};
use tidegate::layer::{Gate, RateLimitLayer};
use tidegate::{ManualClock, Quota, TokenBucket};
use tokio::net::TcpListener;
use tokio::process::Command;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::installed;
use crate::nginx::Nginx;

/// Serves `grpc.health.v1.Health` behind a layer.
async fn serve<G>(layer: &RateLimitLayer<G>) -> SocketAddr
where
    G: Gate<Key: Send> + Send + Sync + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (_, health) = tonic_health::server::health_reporter();
    let server = Server::builder().layer(layer.clone()).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

fn proxy(server: SocketAddr) -> Nginx {
    Nginx::start(&format!(
        "server {{
            listen LISTEN http2;
            location / {{ grpc_pass grpc://{server}; }}
        }}"
    ))
}

/// Makes calls in Python, and returns what the client has seen.
async fn call(server: SocketAddr, mode: &str, calls: u64) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("grpc_client.py");
    let output = Command::new(installed("python/bin/python"))
        .arg(script)
        .args([&server.to_string(), mode, &calls.to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("Python runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{mode}: {errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The wait arrives exactly in both forms, through nginx too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusal_tells_the_exact_wait() {
    // 2/3 s is no whole number of nanoseconds, so it is rounded up.
    let quota = Quota::new(3, Duration::from_secs(2))
        .expect("valid")
        .burst(1);
    let bucket = TokenBucket::with_clock(quota, ManualClock::new());
    let layer = RateLimitLayer::builder(bucket).name("calls").build();
    let server = serve(&layer).await;
    let nginx = proxy(server);
    let seen = call(server, "once", 2).await;
    let refused = json!({
        "code": "RESOURCE_EXHAUSTED",
        "message": "limit `calls`: not yet: retry after 666.666667ms",
        "retry_delay_ns": 666_666_667,
        "pushback_ms": "667",
    });
    assert_eq!(seen, json!([{ "code": "OK" }, refused]));
    assert_eq!(call(nginx.address(), "once", 1).await, json!([refused]));
    assert_eq!((layer.stats().allowed, layer.stats().denied), (1, 2));
}

/// A client that sleeps for `RetryInfo` is admitted next, and no more than the limit allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_obeys_retry_info() {
    const CALLS: u64 = 6;
    const BURST: u64 = 2;
    let period = Duration::from_millis(200);
    let quota = Quota::new(1, period).expect("valid").burst(BURST);
    let start = Instant::now();
    let layer = RateLimitLayer::new(TokenBucket::new(quota));
    let seen = call(serve(&layer).await, "retry_info", CALLS).await;
    let periods = start.elapsed().as_nanos().div_ceil(period.as_nanos());
    let stats = layer.stats();
    assert_eq!(json!([stats.allowed, stats.denied]), seen);
    assert_eq!(stats.allowed, CALLS);
    // Each wait was enough. A machine that stalls only gives it more tokens.
    assert!(stats.denied <= CALLS - BURST, "{stats:?}");
    assert!(u128::from(CALLS - BURST) <= periods, "{periods}");
}

/// grpcio's retries wait for `grpc-retry-pushback-ms`. By its own backoff of 10 ms, all of its
/// five attempts would be refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn built_in_retries_wait_for_the_pushback() {
    let quota = Quota::new(1, Duration::from_secs(1)).expect("valid");
    for through_nginx in [false, true] {
        let bucket = TokenBucket::new(quota);
        bucket.try_acquire(1).expect("one at first");
        let layer = RateLimitLayer::new(bucket);
        let server = serve(&layer).await;
        let nginx = through_nginx.then(|| proxy(server));
        let server = nginx.as_ref().map_or(server, Nginx::address);
        let seen = call(server, "retry_policy", 1).await;
        assert_eq!(seen, json!([{ "code": "OK" }]));
        let stats = layer.stats();
        assert_eq!(stats.allowed, 1);
        // Its timer has milliseconds, and may be one early.
        assert!(stats.denied <= 2, "{stats:?}");
    }
}

/// A pushback of -1 ends the retries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusal_for_good_is_not_retried() {
    let bucket = TokenBucket::with_clock(Quota::per_second(5), ManualClock::new());
    let layer = RateLimitLayer::builder(bucket).cost(|_| 6).build();
    let seen = call(serve(&layer).await, "retry_policy", 1).await;
    let refused = json!({
        "code": "RESOURCE_EXHAUSTED",
        "message": "limit `default`: never: more than the capacity of 5",
        "retry_delay_ns": null,
        "pushback_ms": "-1",
    });
    assert_eq!(seen, json!([refused]));
    assert_eq!(layer.stats().denied, 1);
}
