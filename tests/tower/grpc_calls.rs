//! Rejections by a real tonic server, as a real tonic client reads them.

use core::net::SocketAddr;
use core::time::Duration;

use axum::Router;
use axum::routing::get;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use tidegate::layer::{NoKey, PerKey, RateLimitLayer, RequestHead, ResourceExhausted};
use tidegate::{Keyed, ManualClock, Quota, TokenBucket};
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::servers::{Client, in_time, listen, serve};
use crate::{NANO, SECOND, bucket, stats};

const CHECK: &str = "/grpc.health.v1.Health/Check";

async fn channel(server: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{server}")).expect("valid");
    in_time(endpoint.connect())
        .await
        .expect("the server listens")
}

async fn check(channel: &Channel) -> Result<(), Status> {
    let mut client = HealthClient::new(channel.clone());
    let request = HealthCheckRequest::default();
    in_time(client.check(request)).await.map(drop)
}

/// Returns a header field of a rejection.
fn header<'a>(refused: &'a Status, name: &str) -> Option<&'a str> {
    let value = refused.metadata().get(name)?;
    Some(value.to_str().expect("ASCII"))
}

/// Returns how many of `calls` concurrent calls are served. All others must be rejected.
async fn storm(channel: &Channel, calls: usize) -> usize {
    let call = |_| {
        let channel = channel.clone();
        tokio::spawn(async move { check(&channel).await })
    };
    let calls: Vec<_> = (0..calls).map(call).collect();
    let answers = join_all(calls).await.into_iter();
    let answers = answers.map(|answer| answer.expect("no panic"));
    let is_served = |answer: &Result<(), Status>| match answer {
        Ok(()) => true,
        Err(status) => {
            assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
            false
        }
    };
    answers.filter(is_served).count()
}

macro_rules! serve_tonic {
    ($layer:expr) => {{
        let (listener, address) = listen().await;
        let (_, health) = tonic_health::server::health_reporter();
        let server = Server::builder().layer($layer).add_service(health);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        address
    }};
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_pass_up_to_the_quota() {
    let clock = ManualClock::new();
    let limit = RateLimitLayer::new(bucket(60, &clock));
    let server = serve_tonic!(limit.clone());
    let (one, two) = (channel(server).await, channel(server).await);
    let both = tokio::join!(storm(&one, 100), storm(&two, 100));
    assert_eq!(both.0 + both.1, 60);
    assert_eq!(limit.stats(), stats(60, 140));
    clock.advance(3 * SECOND);
    let both = tokio::join!(storm(&one, 20), storm(&two, 20));
    assert_eq!(both.0 + both.1, 3);
    assert_eq!(limit.stats(), stats(63, 177));
}

#[tokio::test]
async fn rejection_states_the_exact_wait() {
    let clock = ManualClock::new();
    // 2/3 s is no whole number of nanoseconds, so it is rounded up.
    let quota = Quota::new(3, 2 * SECOND).expect("valid").burst(1);
    let limit = RateLimitLayer::builder(TokenBucket::with_clock(quota, clock.clone()))
        .name("calls")
        .reject(ResourceExhausted)
        .build();
    let channel = channel(serve_tonic!(limit)).await;
    check(&channel).await.expect("a token is available");
    let refused = check(&channel).await.expect_err("none is left");

    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(
        refused.message(),
        "limit `calls`: not yet: retry after 666.666667ms"
    );
    let delay = Duration::from_nanos(666_666_667);
    let retry = refused.get_details_retry_info().expect("details");
    assert_eq!(retry.retry_delay, Some(delay));
    assert_eq!(header(&refused, "grpc-retry-pushback-ms"), Some("667"));
    assert_eq!(header(&refused, "retry-after"), Some("1"));

    // A call after the exact wait is served, and one a nanosecond earlier is rejected.
    clock.advance(delay.saturating_sub(NANO));
    let refused = check(&channel).await.expect_err("too early");
    let retry = refused.get_details_retry_info().expect("details");
    assert_eq!(retry.retry_delay, Some(NANO));
    assert_eq!(header(&refused, "grpc-retry-pushback-ms"), Some("1"));
    clock.advance(NANO);
    check(&channel).await.expect("the wait has passed");
}

#[tokio::test]
async fn rejection_precedes_a_long_message() {
    let limit = RateLimitLayer::new(bucket(1, &ManualClock::new()));
    let channel = channel(serve_tonic!(limit.clone())).await;
    // Far more than a stream may send before the server reads it.
    let call = async || {
        let service = "x".repeat(2 << 20);
        let mut client = HealthClient::new(channel.clone());
        in_time(client.check(HealthCheckRequest { service })).await
    };
    // The server reads the first call, and does not know the service.
    assert_eq!(
        call().await.expect_err("no such service").code(),
        Code::NotFound
    );
    for _ in 0..5 {
        let refused = call().await.expect_err("none is left");
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        assert!(refused.get_details_retry_info().is_some());
    }
    // The connection stays usable.
    let refused = check(&channel).await.expect_err("none is left");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert_eq!(limit.stats(), stats(1, 6));
}

#[tokio::test]
async fn excessive_cost_is_rejected_without_a_wait() {
    let limit = RateLimitLayer::builder(bucket(5, &ManualClock::new())).cost(|_| 6);
    let refused = check(&channel(serve_tonic!(limit.build())).await).await;
    let refused = refused.expect_err("6 exceed the capacity");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(
        refused.message(),
        "limit `default`: never: more than the capacity of 5"
    );
    assert!(refused.get_details_retry_info().is_none());
    assert_eq!(header(&refused, "grpc-retry-pushback-ms"), Some("-1"));
    assert!(!refused.metadata().contains_key("retry-after"));
}

#[tokio::test]
async fn key_that_the_server_did_not_attach_is_an_internal_error() {
    let clock = ManualClock::new();
    let limits = Keyed::new(move |_: &String| bucket(5, &clock));
    let key = |request: &RequestHead<'_>| crate::key_of(request).ok_or(NoKey::NotAttached);
    let limit = RateLimitLayer::new(PerKey::new(limits, key));
    let channel = channel(serve_tonic!(limit.clone())).await;
    let refused = check(&channel).await.expect_err("no key");
    assert_eq!(refused.code(), Code::Internal);
    assert_eq!(
        refused.message(),
        "the server attached no key to limit the request by"
    );
    assert_eq!(header(&refused, "grpc-retry-pushback-ms"), Some("-1"));
    assert_eq!(limit.stats().no_key, 1);

    let mut client = HealthClient::new(channel);
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    let key = "alice".parse().expect("valid");
    request.metadata_mut().insert("key", key);
    in_time(client.check(request)).await.expect("a key");
}

#[tokio::test]
async fn rejection_is_trailers_only() {
    let limit = RateLimitLayer::new(bucket(1, &ManualClock::new()));
    let client = Client::http2(serve_tonic!(limit)).await;
    let call = || {
        let call = Request::post(CHECK).header("content-type", "application/grpc");
        client.send(call.header("te", "trailers"))
    };
    // A call without a message is invalid, which only the service reports.
    assert_ne!(
        call().await.headers.get("grpc-status"),
        Some(&"8".parse().expect("valid"))
    );
    let refused = call().await;
    assert_eq!(refused.status, StatusCode::OK);
    assert!(refused.is_head_only);
    assert_eq!(refused.headers["grpc-status"], "8");
    assert_eq!(refused.headers["content-type"], "application/grpc");
    assert_eq!(refused.headers["grpc-retry-pushback-ms"], "1000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_server_responds_in_the_protocol_of_each_client() {
    let clock = ManualClock::new();
    let limit = RateLimitLayer::new(bucket(10, &clock));
    let (_, health) = tonic_health::server::health_reporter();
    let app = Router::new()
        .route("/", get(async || "hello"))
        .merge(Routes::new(health).into_axum_router())
        .layer(limit.clone());
    let server = serve(app).await;
    let (channel, client) = (channel(server).await, Client::http2(server).await);

    let calls = storm(&channel, 4).await;
    let mut pages = 0;
    for _ in 0..10 {
        let status = client.get("/").await.status;
        assert!(matches!(status.as_u16(), 200 | 429), "{status}");
        pages += usize::from(status == StatusCode::OK);
    }
    assert_eq!((calls, pages), (4, 6));
    assert_eq!(storm(&channel, 4).await, 0);
    assert_eq!(client.get("/").await.status, StatusCode::TOO_MANY_REQUESTS);
    // A cache must not store a rejection as a success.
    let get = Request::get(CHECK).header("content-type", "application/grpc");
    assert_eq!(client.send(get).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limit.stats(), stats(10, 10));
}
