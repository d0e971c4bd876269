//! Exact counts with a real axum server, over protocols, connections and routes.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::Router;
use axum::routing::get;
use futures_util::future::join_all;
use http::StatusCode;
use tidegate::ManualClock;
use tidegate::layer::RateLimitLayer;

use crate::servers::{Client, in_time, serve};
use crate::{NANO, SECOND, bucket, stats};

/// Creates a route that counts the requests that reach it.
fn route(path: &str, reached: &Arc<AtomicUsize>) -> Router {
    let reached = Arc::clone(reached);
    let handler = move || {
        let reached = Arc::clone(&reached);
        async move { _ = reached.fetch_add(1, Relaxed) }
    };
    Router::new().route(path, get(handler))
}

/// Sends `each` concurrent requests per client, to all paths in turn. Returns how many passed and
/// how many were rejected.
async fn storm(clients: &[Client], each: usize, paths: &[&str]) -> (usize, usize) {
    let requests = clients.iter().flat_map(|client| {
        let path = |index| paths[index % paths.len()];
        (0..each).map(move |index| {
            let (client, path) = (client.clone(), path(index).to_owned());
            tokio::spawn(async move { client.get(&path).await.status })
        })
    });
    let requests: Vec<_> = requests.collect();
    let (mut passed, mut refused) = (0, 0);
    for status in in_time(join_all(requests)).await {
        match status.expect("no panic") {
            StatusCode::TOO_MANY_REQUESTS => refused += 1,
            // The router responds 404 to an unknown path.
            StatusCode::OK | StatusCode::NOT_FOUND => passed += 1,
            status => panic!("{status}"),
        }
    }
    (passed, refused)
}

/// Opens connections of both protocols.
async fn clients(server: core::net::SocketAddr) -> Vec<Client> {
    let mut clients = vec![Client::http2(server).await];
    for _ in 0..8 {
        clients.push(Client::http1(server).await);
    }
    clients
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn protocols_and_routes_share_one_limit() {
    let (clock, reached) = (ManualClock::new(), Arc::default());
    let limit = RateLimitLayer::new(bucket(100, &clock));
    let inner = Router::new().nest("/deeper", route("/c", &reached));
    let app = Router::new()
        .merge(route("/a", &reached))
        .merge(route("/b", &reached))
        .nest("/deep", inner)
        .layer(limit.clone());
    let clients = clients(serve(app).await).await;
    let paths = ["/a", "/b", "/deep/deeper/c"];

    assert_eq!(storm(&clients, 30, &paths).await, (100, 170));
    assert_eq!(reached.load(Relaxed), 100);
    assert_eq!(limit.stats(), stats(100, 170));

    clock.advance(7 * SECOND);
    assert_eq!(storm(&clients, 30, &paths).await, (7, 263));
    // One nanosecond before the next token, and when it arrives.
    clock.advance(SECOND.saturating_sub(NANO));
    assert_eq!(storm(&clients, 3, &paths).await, (0, 27));
    clock.advance(NANO);
    assert_eq!(storm(&clients, 3, &paths).await, (1, 26));
    assert_eq!(reached.load(Relaxed), 108);
    assert_eq!(limit.stats(), stats(108, 170 + 263 + 27 + 26));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn routers_with_one_layer_share_one_limit() {
    let (clock, reached) = (ManualClock::new(), Arc::default());
    let limit = RateLimitLayer::new(bucket(50, &clock));
    // On routes, on a method, and on a nested router.
    let inner = route("/b", &reached).layer(limit.clone());
    let method = get(async || ()).layer(limit.clone());
    let app = route("/a", &reached)
        .route_layer(limit.clone())
        .nest("/inner", inner)
        .route("/c", method)
        .merge(route("/free", &reached));
    let clients = clients(serve(app).await).await;

    let paths = ["/a", "/inner/b", "/c"];
    assert_eq!(storm(&clients, 30, &paths).await, (50, 220));
    assert_eq!(limit.stats(), stats(50, 220));
    // `route_layer` is not asked about what has no route, and what stands beside the layer is free.
    assert_eq!(storm(&clients, 3, &["/free", "/none"]).await, (27, 0));
    assert_eq!(limit.stats(), stats(50, 220));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn router_clones_on_several_ports_share_one_limit() {
    let (clock, reached) = (ManualClock::new(), Arc::default());
    let limit = RateLimitLayer::new(bucket(40, &clock));
    let app = route("/", &reached).layer(limit.clone());
    let mut all = Vec::new();
    for _ in 0..3 {
        all.extend(clients(serve(app.clone()).await).await);
    }
    drop(app);
    assert_eq!(storm(&all, 4, &["/", "/none"]).await, (40, 68));
    assert_eq!(limit.stats(), stats(40, 68));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn separate_layers_are_separate_limits() {
    let (clock, reached) = (ManualClock::new(), Arc::default());
    let (one, two) = (bucket(5, &clock), bucket(7, &clock));
    let (one, two) = (RateLimitLayer::new(one), RateLimitLayer::new(two));
    let one_route = route("/one", &reached).layer(one.clone());
    let app = one_route.merge(route("/two", &reached).layer(two.clone()));
    let clients = clients(serve(app).await).await;
    assert_eq!(storm(&clients, 4, &["/one", "/two"]).await, (12, 24));
    assert_eq!((one.stats(), two.stats()), (stats(5, 13), stats(7, 11)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn layers_with_one_limiter_share_one_limit() {
    let (clock, reached) = (ManualClock::new(), Arc::default());
    let shared = Arc::new(bucket(10, &clock));
    let layer = || RateLimitLayer::new(Arc::clone(&shared));
    let (one, two) = (layer(), layer());
    let one_route = route("/one", &reached).layer(one.clone());
    let app = one_route.merge(route("/two", &reached).layer(two.clone()));
    let clients = clients(serve(app).await).await;
    assert_eq!(storm(&clients, 4, &["/one", "/two"]).await, (10, 26));
    let (one, two) = (one.stats(), two.stats());
    assert_eq!(one.allowed + two.allowed, 10);
    // Each layer has its own counts.
    assert_eq!(one.allowed + one.denied, 18);
    assert_eq!(two.allowed + two.denied, 18);
}

#[tokio::test]
async fn rejections_are_equal_in_both_protocols() {
    let clock = ManualClock::new();
    let limit = RateLimitLayer::builder(bucket(2, &clock)).name("all");
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(limit.build());
    let server = serve(app).await;
    let (one, two) = (Client::http1(server).await, Client::http2(server).await);
    for (client, left) in [(&one, 1), (&two, 0)] {
        let answer = client.get("/").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["ratelimit-policy"], r#""all";q=2;w=2"#);
        assert_eq!(
            answer.headers["ratelimit"],
            format!(r#""all";r={left};t=1"#)
        );
        assert!(!answer.headers.contains_key("retry-after"));
    }
    for client in [&one, &two] {
        let answer = client.get("/").await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers["ratelimit-policy"], r#""all";q=2;w=2"#);
        assert_eq!(answer.headers["ratelimit"], r#""all";r=0;t=1"#);
        assert_eq!(answer.headers["retry-after"], "1");
        assert!(answer.is_head_only, "an empty body");
        // The connection stays usable.
        assert_eq!(client.get("/").await.status, StatusCode::TOO_MANY_REQUESTS);
    }
}
