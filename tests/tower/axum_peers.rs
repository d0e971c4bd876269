//! One limit per peer address, with a real axum server.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use http::{Request, StatusCode};
use tidegate::layer::{
    ForwardedFor, KeyExtractor, NoKey, PerKey, RateLimitLayer, Reason, RequestHead,
};
use tidegate::{FixedKeyed, IpKey, Keyed, ManualClock, Quota};
use tokio::net::TcpListener;

use crate::servers::{Client, listen, serve, serve_with_peers};
use crate::{SECOND, bucket, stats};

fn connected(request: &RequestHead<'_>) -> Option<core::net::IpAddr> {
    let ConnectInfo(address) = request.extension::<ConnectInfo<SocketAddr>>()?;
    Some(address.ip())
}

fn address(request: &RequestHead<'_>) -> Result<IpKey, NoKey> {
    connected(request).map(IpKey::new).ok_or(NoKey::NotAttached)
}

fn app() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// Returns how many of `requests` requests pass.
async fn passed(client: &Client, requests: usize) -> usize {
    let mut passed = 0;
    for _ in 0..requests {
        passed += usize::from(client.get("/").await.status == StatusCode::OK);
    }
    passed
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_address_has_its_own_limit() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(1).burst(5);
    let limits = FixedKeyed::with_clock(quota, 1_000, clock.clone());
    let limit = RateLimitLayer::new(PerKey::new(limits, address));
    let (listener, server) = listen().await;
    serve_with_peers(app().layer(limit.clone()), listener).await;

    // Two connections from each address, with different ports.
    let of_address = |octet| async move {
        let from = Ipv4Addr::new(127, 0, 0, octet);
        let first = Client::http1_from(from, server).await;
        let second = Client::http1_from(from, server).await;
        let (first, second) = tokio::join!(passed(&first, 6), passed(&second, 6));
        first + second
    };
    let both = tokio::join!(of_address(2), of_address(3), of_address(4));
    assert_eq!(both, (5, 5, 5));
    assert_eq!(limit.stats(), stats(15, 21));
    clock.advance(2 * SECOND);
    assert_eq!(of_address(3).await, 2);
}

#[tokio::test]
async fn server_without_connect_info_responds_500() {
    let clock = ManualClock::new();
    let make = move |_: &IpKey| bucket(5, &clock);
    let rejections = alloc::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let of_default = RateLimitLayer::new(PerKey::new(Keyed::new(make.clone()), address));
    let recording = alloc::sync::Arc::clone(&rejections);
    let own = RateLimitLayer::builder(PerKey::new(Keyed::new(make), address))
        .name("addresses")
        .reject_with(move |rejection| {
            let seen = (rejection.reason(), rejection.limit().to_owned());
            recording.lock().expect("no panic").push(seen);
            http::Response::new(axum::body::Body::from("no address"))
        })
        .build();

    // `into_make_service_with_connect_info` was forgotten.
    let client = Client::http1(serve(app().layer(of_default.clone())).await).await;
    for _ in 0..3 {
        let answer = client.get("/").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        // No limit decided, so no field describes one or suggests a retry.
        for name in ["retry-after", "ratelimit", "ratelimit-policy"] {
            assert!(!answer.headers.contains_key(name), "{name}");
        }
    }
    let mut counts = stats(0, 0);
    counts.no_key = 3;
    assert_eq!(of_default.stats(), counts);

    let client = Client::http2(serve(app().layer(own.clone())).await).await;
    assert_eq!(client.get("/").await.status, StatusCode::OK);
    counts.no_key = 1;
    assert_eq!(own.stats(), counts);
    let rejections = rejections.lock().expect("no panic");
    assert_eq!(
        *rejections,
        [(Reason::NoKey(NoKey::NotAttached), "addresses".to_owned())]
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn dual_stack_socket_recognizes_ipv4_proxies_and_clients() {
    let clock = ManualClock::new();
    let Ok(listener) = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).await else {
        // The machine has no IPv6.
        return;
    };
    let port = listener.local_addr().expect("bound").port();
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    // The peer 127.0.0.1 is reported as ::ffff:127.0.0.1.
    let client = ForwardedFor::proxies(["127.0.0.1", "127.0.1.0/24"], connected).expect("valid");
    let limits = Keyed::new(move |_: &IpKey| bucket(1, &clock));
    let limit = RateLimitLayer::new(PerKey::new(limits, client));
    serve_with_peers(app().layer(limit.clone()), listener).await;

    let proxy = Client::http1(server).await;
    let direct = Client::http1_from(Ipv4Addr::new(127, 0, 0, 9), server).await;
    let from = |client: Client, entries: &'static str| async move {
        let request = Request::get("/").header("x-forwarded-for", entries);
        client.send(request).await.status
    };
    assert_eq!(from(proxy.clone(), "192.0.2.1").await, 200);
    assert_eq!(
        from(proxy.clone(), "::ffff:192.0.2.1, 127.0.1.7").await,
        429
    );
    assert_eq!(from(proxy.clone(), "192.0.2.1, 192.0.2.2").await, 200);
    // A peer that is no proxy is the client, whatever it sends.
    assert_eq!(from(direct.clone(), "192.0.2.3").await, 200);
    assert_eq!(from(direct, "192.0.2.4").await, 429);
    assert_eq!(from(proxy, "127.0.0.9").await, 429);
    assert_eq!(limit.gate().table().len(), 3);
}

#[tokio::test]
async fn requests_are_limited_by_key_or_else_by_address() {
    let clock = ManualClock::new();
    let named = |request: &RequestHead<'_>| crate::key_of(request);
    let limits = Keyed::new(move |_: &_| bucket(2, &clock));
    let limit = RateLimitLayer::new(PerKey::new(limits, named.or(address)));
    let (listener, server) = listen().await;
    serve_with_peers(app().layer(limit.clone()), listener).await;
    let client = Client::http2(server).await;
    let of_key = |key: &'static str| {
        let client = client.clone();
        async move { client.send(Request::get("/").header("key", key)).await }
    };
    assert_eq!(passed(&client, 3).await, 2);
    for key in ["alice", "127.0.0.1"] {
        assert_eq!(of_key(key).await.status, 200);
        assert_eq!(of_key(key).await.status, 200);
        assert_eq!(of_key(key).await.status, 429, "{key}");
    }
    assert_eq!(limit.stats(), stats(6, 3));
}
