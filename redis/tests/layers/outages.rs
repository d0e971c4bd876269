//! What clients get while the server is missing, and when it is back.

use core::num::NonZeroU32;
use core::time::Duration;

use axum::http::Request;
use tidegate::Quota;
use tidegate::layer::{Named, RateLimitLayer};
use tidegate_redis::{FailurePolicy, LimiterOptions, RedisStore, RedisTokenBucket};

use super::{Shared, field, send, status};
use crate::support::limiters::slow;
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;

/// A layer whose store gives up soon and probes often.
fn layer(server: &Server, quota: Quota, policy: FailurePolicy) -> Shared<Named<RedisTokenBucket>> {
    let store = RedisStore::builder()
        .timeout(Duration::from_millis(300))
        .probe_interval(Duration::from_millis(100))
        .connect(server.url())
        .unwrap();
    let options = LimiterOptions::new().on_failure(policy);
    let bucket = RedisTokenBucket::with_options(&store, "bucket", quota, options).unwrap();
    RateLimitLayer::shared(Named::new("shared", bucket))
}

#[tokio::test]
async fn closed_policy_is_a_503_until_the_server_is_back() {
    for options in ServerOptions::each_kind() {
        let mut server = options.durable().start();
        let layer = layer(&server, slow(10_000), FailurePolicy::Closed);
        eventually("the server", async || status(&layer).await == 200).await;
        server.kill();
        let before = layer.stats();
        for _ in 0..5 {
            let response = send(&layer, Request::new(())).await;
            assert_eq!(response.status(), 503);
            assert_eq!(field(&response, "retry-after"), Some("1"));
            assert_eq!(field(&response, "ratelimit"), None);
        }
        let stats = layer.stats();
        assert_eq!(stats.unavailable, before.unavailable + 5);
        assert_eq!((stats.allowed, stats.denied), (before.allowed, 0));
        let grpc = Request::post("/").header("content-type", "application/grpc");
        let grpc = send(&layer, grpc.body(()).unwrap()).await;
        assert_eq!(field(&grpc, "grpc-status"), Some("14"));
        assert!(field(&grpc, "grpc-message").unwrap().contains("shared"));
        server.restart();
        eventually("the server's return", async || {
            let response = send(&layer, Request::new(())).await;
            response.status() == 200 && field(&response, "ratelimit").is_some()
        })
        .await;
    }
}

#[tokio::test]
async fn local_policy_admits_this_nodes_share_and_refuses_with_429() {
    for mut server in Server::each_kind() {
        let nodes = NonZeroU32::new(4).unwrap();
        let layer = layer(&server, slow(40), FailurePolicy::Local { nodes });
        server.kill();
        for _ in 0..10 {
            let response = send(&layer, Request::new(())).await;
            assert_eq!(response.status(), 200);
            // What is left on the server is unknown.
            assert_eq!(field(&response, "ratelimit"), None);
        }
        let refused = send(&layer, Request::new(())).await;
        assert_eq!(refused.status(), 429);
        let wait: u64 = field(&refused, "retry-after").unwrap().parse().unwrap();
        assert!((3_000..=4_000).contains(&wait), "{wait}");
        let stats = layer.stats();
        assert_eq!((stats.allowed, stats.denied, stats.unavailable), (10, 1, 0));
        server.restart();
        eventually("the server's return", async || {
            let response = send(&layer, Request::new(())).await;
            field(&response, "ratelimit").is_some()
        })
        .await;
    }
}

#[tokio::test]
async fn open_policy_admits() {
    let mut server = ServerOptions::default().start();
    let layer = layer(&server, slow(1), FailurePolicy::Open);
    server.kill();
    for _ in 0..20 {
        assert_eq!(status(&layer).await, 200);
    }
    assert_eq!(layer.stats().allowed, 20);
}
