//! Clones share one limit, without a server.
//!
//! In tower's own limit each clone counts anew (axum#2634, tower#764, axum#3682).

use alloc::sync::Arc;
use core::future::ready;

use axum::Router;
use axum::routing::get;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use tidegate::ManualClock;
use tidegate::layer::RateLimitLayer;
use tower::{Layer, ServiceExt, service_fn};

use crate::parallel::in_parallel;
use crate::{SECOND, answer_of, bucket, serve, served, stats};

#[test]
fn service_clones_share_one_limit() {
    let clock = ManualClock::new();
    let limit = RateLimitLayer::new(bucket(5, &clock));
    let service = limit.layer(service_fn(serve));
    let ask = |service| answer_of(service, Request::new(())).status();

    let passed = (0..20).filter(|_| ask(service.clone()) == StatusCode::OK);
    assert_eq!(passed.count(), 5);
    // A service that the layer makes later shares the limit.
    assert_eq!(ask(limit.layer(service_fn(serve))), 429);
    assert_eq!(ask(limit.clone().layer(service_fn(serve))), 429);
    clock.advance(SECOND);
    assert_eq!(ask(service.clone()), 200);
    assert_eq!(ask(service), 429);
    assert_eq!(limit.stats(), stats(6, 18));
}

#[test]
fn clones_in_threads_admit_exactly_the_quota() {
    let clock = ManualClock::new();
    let limit = RateLimitLayer::new(bucket(1_000, &clock));
    let passed = in_parallel(4, |_| served(&limit.clone(), 500));
    assert_eq!(passed.iter().sum::<usize>(), 1_000);
    assert_eq!(limit.stats(), stats(1_000, 1_000));
    clock.advance(9 * SECOND);
    let passed = in_parallel(4, |_| served(&limit.clone(), 500));
    assert_eq!(passed.iter().sum::<usize>(), 9);
    assert_eq!(limit.stats(), stats(1_009, 2_991));
}

#[test]
fn router_clones_share_one_limit() {
    let clock = ManualClock::new();
    let limit = RateLimitLayer::new(bucket(3, &clock));
    let app: Router = Router::new()
        .route("/a", get(async || ()))
        .route("/b", get(async || ()))
        .layer(limit.clone());
    let ask = |path: &str| {
        let request = Request::get(path).body(axum::body::Body::empty());
        let answer = app.clone().oneshot(request.expect("valid"));
        let answer = answer.now_or_never().expect("no handler waits");
        answer.expect("routers do not fail").status()
    };
    assert_eq!(
        ["/a", "/b", "/none", "/a", "/b"].map(ask),
        [200, 200, 404, 429, 429]
    );
    assert_eq!(limit.stats(), stats(3, 2));
}

#[test]
fn layer_applied_twice_costs_twice() {
    let clock = ManualClock::new();
    let limit = RateLimitLayer::new(bucket(4, &clock));
    let service = limit.layer(limit.layer(service_fn(serve)));
    let ask = || answer_of(service.clone(), Request::new(())).status();
    assert_eq!([ask(), ask(), ask()], [200, 200, 429]);
    assert_eq!(limit.stats(), stats(4, 1));
}

#[test]
fn inner_service_is_accessible() {
    let clock = ManualClock::new();
    let limit = RateLimitLayer::new(Arc::new(bucket(4, &clock)));
    let mut service = limit.layer(String::from("inner"));
    service.get_mut().push('!');
    assert_eq!(service.get_ref(), "inner!");
    assert_eq!(service.clone().into_inner(), "inner!");
    assert_eq!(limit.gate().available(), 4);
    // Responses may have any body.
    let numbers = service_fn(|_: Request<u8>| ready(Ok::<_, ()>(Response::new(7_u64))));
    let answer = limit.layer(numbers).oneshot(Request::new(1));
    let answer = answer.now_or_never().expect("ready at once");
    assert_eq!(answer.expect("served").into_body(), 7);
    assert_eq!(limit.gate().available(), 3);
}
