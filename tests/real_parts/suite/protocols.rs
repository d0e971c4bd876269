//! Old and new versions of HTTP between client, nginx and server.

use core::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures_util::stream;
use tidegate::layer::RateLimitLayer;
use tidegate::{ManualClock, Quota, TokenBucket};

use crate::app::{quota, serve};
use crate::curl::send;
use crate::nginx::Nginx;

/// Each request is one, and costs its content, however it is framed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn framing_costs_nothing() {
    const SIZE: usize = 100 * 700;
    let streamed = async || {
        let chunk = Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 700]));
        Body::from_stream(stream::iter(vec![chunk; 100]))
    };
    let sized = async || "x".repeat(SIZE);
    for directives in [
        // nginx asks with HTTP/1.0 by default, and the body ends with the connection.
        "",
        "proxy_http_version 1.1;",
        "proxy_http_version 1.1; chunked_transfer_encoding off;",
        "proxy_http_version 1.1; proxy_buffering off;",
    ] {
        let clock = ManualClock::new();
        let bucket = |quota: Quota| TokenBucket::with_clock(quota, clock.clone());
        let bytes = Arc::new(bucket(Quota::per_second(1).burst(1 << 30)));
        let layer = RateLimitLayer::builder(bucket(quota(6)))
            .content_bytes(Arc::clone(&bytes))
            .build();
        let app = Router::new()
            .route("/streamed", get(streamed))
            .route("/sized", get(sized))
            .layer(layer.clone());
        let nginx = Nginx::proxy(serve(app).await, directives);
        let mut expected = bytes.available();
        for path in ["/streamed", "/sized"] {
            for version in ["--http1.0", "--http1.1"] {
                let reply = send(&[version, &nginx.url(path)]).await;
                assert_eq!((reply.status, reply.body.len()), (200, SIZE), "{path}");
                expected -= SIZE as u64;
                assert_eq!(bytes.available(), expected, "{version} {path} {directives}");
            }
            let reply = send(&["--head", &nginx.url(path)]).await;
            assert_eq!((reply.status, bytes.available()), (200, expected));
        }
        for version in ["--http1.0", "--http1.1"] {
            let reply = send(&[version, &nginx.url("/sized")]).await;
            assert_eq!((reply.status, reply.field("retry-after")), (429, "60"));
        }
        assert_eq!((layer.stats().allowed, layer.stats().denied), (6, 2));
        assert_eq!(bytes.available(), expected);
    }
}

/// Clients without nginx, in each version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_of_direct_clients() {
    let clock = ManualClock::new();
    let layer = RateLimitLayer::new(TokenBucket::with_clock(quota(3), clock));
    let app = Router::new()
        .route("/", get(async || "served"))
        .layer(layer);
    let url = format!("http://{}/", serve(app).await);
    let versions = [
        ("--http1.0", "HTTP/1.0"),
        ("--http1.1", "HTTP/1.1"),
        ("--http2-prior-knowledge", "HTTP/2"),
    ];
    for status in [200, 429] {
        for (option, version) in versions {
            let reply = send(&[option, &url]).await;
            assert_eq!((reply.status, &*reply.version), (status, version));
        }
    }
}
