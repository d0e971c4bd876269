//! Limits on the bytes of responses, which are charged while they are sent.

use alloc::sync::Arc;
use core::convert::Infallible;
use core::future::{pending, ready};
use core::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures_util::{FutureExt, StreamExt, stream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body as _, Bytes, Frame};
use proptest::prelude::*;
use tidegate::layer::{Named, PerKey, RateLimitLayer, RequestHead};
use tidegate::{
    Combined, FixedKeyed, InFlight, Limiter, ManualClock, Quota, ShardedTokenBucket, SlidingWindow,
    TokenBucket, TrackDenied,
};
use tower::{Layer, ServiceExt, service_fn};

use crate::servers::{Client, in_time, serve, until};
use crate::{Bucket, SECOND, bucket, field, key_of, stats, with_key};

/// A frame of a body, or its failure.
type Piece = Result<Frame<Bytes>, &'static str>;

#[expect(clippy::unnecessary_wraps, reason = "other pieces are failures")]
fn data(bytes: usize) -> Piece {
    Ok(Frame::data(Bytes::from(vec![b'x'; bytes])))
}

/// What a bucket has left, negative in debt.
fn level(bucket: &Bucket) -> i128 {
    i128::from(bucket.available()) - i128::from(bucket.debt())
}

/// Returns the response of a service behind `layer` that sends these pieces, without a length.
macro_rules! send {
    ($layer:expr, $request:expr, $pieces:expr) => {{
        let pieces: Vec<Piece> = Vec::from($pieces);
        let mut body = Some(Body::new(StreamBody::new(stream::iter(pieces))));
        let serve = move |_: Request<()>| {
            let body = body.take().expect("one call");
            ready(Ok::<_, Infallible>(Response::new(body)))
        };
        let sent = $layer.layer(service_fn(serve)).oneshot($request);
        sent.now_or_never().expect("ready").expect("no error")
    }};
}

/// Takes the next piece of a body as a server does; `None` at its end.
macro_rules! take {
    ($body:expr) => {
        $body.frame().now_or_never().expect("ready")
    };
}

#[test]
fn pieces_are_charged_one_by_one() {
    let clock = ManualClock::new();
    let bytes = Arc::new(bucket(1_000, &clock));
    let layer = RateLimitLayer::builder(())
        .content_bytes(Arc::clone(&bytes))
        .build();
    let trailers = || Ok(Frame::trailers(HeaderMap::new()));
    let pieces = [data(300), data(0), data(900), trailers()];
    let mut body = send!(layer, Request::new(()), pieces).into_body();
    assert_eq!(level(&bytes), 1_000);
    for left in [700, 700, -200, -200] {
        assert!(take!(body).is_some_and(|piece| piece.is_ok()));
        assert_eq!(level(&bytes), left);
    }
    assert!(take!(body).is_none());

    // A response that fails has sent what came before.
    bytes.reset();
    let mut body = send!(
        layer,
        Request::new(()),
        [data(10), Err("broken"), data(500)]
    )
    .into_body();
    assert!(take!(body).is_some_and(|piece| piece.is_ok()));
    assert!(take!(body).is_some_and(|piece| piece.is_err()));
    assert_eq!(level(&bytes), 990);

    // A client that leaves pays for what was sent, and nothing if that was nothing.
    let mut body = send!(layer, Request::new(()), [data(40), data(500)]).into_body();
    assert!(take!(body).is_some());
    drop(body);
    assert_eq!(level(&bytes), 950);
    drop(send!(layer, Request::new(()), [data(40)]));
    let mut empty = send!(layer, Request::new(()), []).into_body();
    assert!(take!(empty).is_none());
    assert_eq!(level(&bytes), 950);
    assert_eq!(layer.stats(), stats(5, 0));
}

/// What a server knows of the length stays, so that it sends `Content-Length`.
#[test]
fn size_hints_stay() {
    let layer = RateLimitLayer::builder(())
        .content_bytes(bucket(1, &ManualClock::new()))
        .build();
    let serve = |_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Body::from(
            "whole".to_owned(),
        ))))
    };
    let sent = layer.layer(service_fn(serve)).oneshot(Request::new(()));
    let mut body = sent
        .now_or_never()
        .expect("ready")
        .expect("no error")
        .into_body();
    assert_eq!(
        (body.size_hint().exact(), body.is_end_stream()),
        (Some(5), false)
    );
    assert!(take!(body).is_some());
    assert!(body.is_end_stream());
}

#[test]
fn key_in_debt_is_refused_until_it_is_paid() {
    let clock = ManualClock::new();
    let rate = Arc::new(bucket(100, &clock));
    let quota = Quota::per_second(1_000).burst(4_000);
    let bytes = Arc::new(FixedKeyed::with_clock(quota, 100, clock.clone()));
    let layer = RateLimitLayer::builder(Named::new("requests", Arc::clone(&rate)))
        .content_bytes(Named::new("bytes", PerKey::new(Arc::clone(&bytes), key_of)))
        .build();
    let policies = r#""requests";q=100;w=100, "bytes";q=4000;w=4;qu="content-bytes""#;
    let first = send!(layer, with_key("a"), [data(4_000), data(2_500)]);
    assert_eq!(field(&first, "ratelimit-policy"), Some(policies));
    assert_eq!(field(&first, "ratelimit"), Some(r#""requests";r=99;t=1"#));
    let mut body = first.into_body();
    while take!(body).is_some() {}
    assert_eq!(bytes.at("a").debt(), 2_500);

    let refused = |wait| {
        let refusal = send!(layer, with_key("a"), [data(1)]);
        assert_eq!(refusal.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(field(&refusal, "ratelimit-policy"), Some(policies));
        assert_eq!(field(&refusal, "retry-after"), Some(wait));
        let shown = format!(r#""bytes";r=0;t={wait}"#);
        assert_eq!(field(&refusal, "ratelimit"), Some(&*shown));
    };
    refused("3");
    assert_eq!(rate.available(), 99, "the refusal takes no request");
    // Another key has its own bytes, and each further one, too.
    assert_eq!(send!(layer, with_key("b"), [data(1)]).status(), 200);
    clock.advance(Duration::from_millis(2_500));
    refused("1");
    clock.advance(Duration::from_millis(1));
    assert_eq!(send!(layer, with_key("a"), [data(1)]).status(), 200);
    // A request without the key is the client's mistake.
    assert_eq!(send!(layer, Request::new(()), []).status(), 400);
}

#[test]
fn windows_and_combinations_are_charged_as_far_as_there_is_room() {
    let clock = ManualClock::new();
    let window = SlidingWindow::with_clock(1_000, 60 * SECOND, clock.clone());
    let window = Arc::new(window.expect("valid"));
    let combined = Combined::builder()
        .limit("a", bucket(1_000, &clock))
        .limit("b", bucket(2_000, &clock));
    let combined = Arc::new(combined.build());
    let quota = Quota::per_second(1).burst(1_000);
    let sharded = Arc::new(ShardedTokenBucket::with_clock(quota, clock.clone()));
    let gate = (
        Arc::clone(&window),
        Arc::clone(&combined),
        Arc::clone(&sharded),
    );
    let layer = RateLimitLayer::builder(()).content_bytes(gate).build();
    let mut body = send!(layer, Request::new(()), [data(600), data(600)]).into_body();
    assert!(take!(body).is_some());
    assert_eq!((window.available(), combined.available()), (400, 400));
    while take!(body).is_some() {}
    assert_eq!((window.available(), combined.available()), (0, 0));
    assert_eq!(sharded.available(), 0);
    assert_eq!(send!(layer, Request::new(()), []).status(), 429);
    // The others have room, and the window needs a whole minute.
    clock.advance(61 * SECOND);
    let now = Limiter::now(&*window);
    assert_eq!(window.available_at(now), 1_000);
    assert_eq!(send!(layer, Request::new(()), []).status(), 200);
}

/// Neither refusals, nor exempt requests, nor those that a dry run lets pass.
#[test]
fn only_admitted_responses_are_charged() {
    let clock = ManualClock::new();
    let bytes = Arc::new(bucket(10, &clock));
    let big = |_: &tidegate::layer::Rejection<'_>| -> Response<_> {
        let mut refusal = Response::new(Body::from(vec![b'x'; 5_000]));
        *refusal.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        refusal
    };
    let serve = |_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Body::from(vec![
            b'x';
            1_000
        ]))))
    };
    let exempt = |request: &RequestHead<'_>| request.path() == "/health";
    for is_dry_run in [false, true] {
        bytes.reset();
        let layer = RateLimitLayer::builder(())
            .content_bytes(Arc::clone(&bytes))
            .exempt(exempt)
            .dry_run(is_dry_run)
            .reject_with(big)
            .build();
        let read = |path| {
            let request = Request::get(path).body(()).expect("valid");
            let sent = layer.layer(service_fn(serve)).oneshot(request);
            let response = sent.now_or_never().expect("ready").expect("no error");
            let body = response.into_body().collect().now_or_never();
            body.expect("ready").expect("no error").to_bytes().len()
        };
        assert_eq!((read("/health"), level(&bytes)), (1_000, 10));
        assert_eq!((read("/"), level(&bytes)), (1_000, -990));
        let refused = if is_dry_run { 1_000 } else { 5_000 };
        assert_eq!((read("/"), level(&bytes)), (refused, -990));
    }
}

/// A rate that refuses, and bytes that refuse: both are tracked once, and neither takes anything.
#[test]
fn refusals_are_tracked() {
    let clock = ManualClock::new();
    let table = |capacity| {
        let quota = Quota::per_second(1).burst(capacity);
        let table = FixedKeyed::with_clock(quota, 100, clock.clone());
        Arc::new(TrackDenied::<_, String>::new(table, 10))
    };
    let (rate, bytes) = (table(2), table(100));
    let layer = RateLimitLayer::builder(PerKey::new(Arc::clone(&rate), key_of))
        .content_bytes(PerKey::new(Arc::clone(&bytes), key_of))
        .build();
    let denied = || {
        [&rate, &bytes].map(|table| {
            let top = table.most_denied().top(1).keys;
            top.first().map_or(0, |key| key.at_least)
        })
    };
    let mut body = send!(layer, with_key("a"), [data(150)]).into_body();
    assert_eq!(denied(), [0, 0]);
    while take!(body).is_some() {}
    assert_eq!(send!(layer, with_key("a"), []).status(), 429);
    assert_eq!(denied(), [0, 1]);
    clock.advance(60 * SECOND);
    for status in [200, 200, 429] {
        assert_eq!(send!(layer, with_key("a"), []).status(), status);
    }
    assert_eq!(denied(), [1, 1]);
}

/// A server with bodies of its own charges by hand.
#[test]
fn permits_of_a_decision_charge() {
    let bytes = Arc::new(bucket(100, &ManualClock::new()));
    let layer = RateLimitLayer::builder(())
        .content_bytes(Arc::clone(&bytes))
        .build();
    let request = Request::new(());
    let admission = layer.decide::<String>(&RequestHead::new(&request));
    let ((), charge) = admission.expect("room").into_permits().expect("a charge");
    charge.charge(0);
    charge.charge(150);
    assert_eq!(level(&bytes), -50);
    assert!(layer.decide::<String>(&RequestHead::new(&request)).is_err());
}

proptest! {
    /// On a frozen clock a bucket has what it had, less the bytes of the pieces that were taken.
    #[test]
    fn bucket_pays_exactly_what_was_taken(
        responses in prop::collection::vec(
            (prop::collection::vec(0_usize..500, 0..6), 0_usize..8),
            0..12,
        ),
    ) {
        let bytes = Arc::new(bucket(2_000, &ManualClock::new()));
        let layer = RateLimitLayer::builder(())
            .content_bytes(Arc::clone(&bytes))
            .build();
        let mut left = 2_000;
        for (sizes, taken) in responses {
            let pieces: Vec<_> = sizes.iter().map(|size| data(*size)).collect();
            let response = send!(layer, Request::new(()), pieces);
            prop_assert_eq!(response.status() == 200, left > 0);
            if left <= 0 {
                continue;
            }
            let mut body = response.into_body();
            for size in sizes.iter().take(taken) {
                prop_assert!(take!(body).is_some());
                left -= i128::try_from(*size).expect("small");
                prop_assert_eq!(level(&bytes), left);
            }
            drop(body);
            prop_assert_eq!(level(&bytes), left);
        }
    }
}

/// Chunks of a hundred bytes, and then nothing more, without an end.
fn unfinished(chunks: usize) -> Body {
    let chunk = || Ok::<_, Infallible>(Bytes::from(vec![b'x'; 100]));
    let chunks = stream::repeat_with(chunk).take(chunks);
    Body::from_stream(chunks.chain(stream::once(pending())))
}

/// Real responses over both protocols: sized, streamed, empty, without content, and left midway.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn real_server_charges_what_it_sent() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(1).burst(1_000_000);
    let bytes = Arc::new(TokenBucket::with_clock(quota, clock.clone()));
    let busy = InFlight::new(100);
    let layer = RateLimitLayer::builder(())
        .in_flight(busy.clone())
        .content_bytes(Arc::clone(&bytes))
        .build();
    let streamed = || async {
        let chunks = stream::iter([1_usize, 70_000, 0, 9]);
        let chunks = chunks.map(|size| Ok::<_, Infallible>(Bytes::from(vec![b'x'; size])));
        Body::from_stream(chunks)
    };
    let app = Router::new()
        .route("/sized", get(|| async { "x".repeat(50_000) }))
        .route("/streamed", get(streamed))
        .route("/empty", get(|| async { StatusCode::NO_CONTENT }))
        .route("/unfinished", get(|| async { unfinished(30) }))
        .layer(layer.clone());
    let server = serve(app).await;
    for client in [Client::http1(server).await, Client::http2(server).await] {
        bytes.reset();
        let used = || 1_000_000 - bytes.available();
        let sized = client.get("/sized").await;
        assert_eq!(sized.headers["content-length"], "50000");
        assert_eq!(used(), 50_000);
        assert!(
            !client
                .get("/streamed")
                .await
                .headers
                .contains_key("content-length")
        );
        assert_eq!(used(), 120_010);
        assert_eq!(client.get("/empty").await.status, StatusCode::NO_CONTENT);
        let head = client.send(Request::head("/sized")).await;
        assert_eq!((head.status.as_u16(), used()), (200, 120_010));
        assert_eq!(head.headers["content-length"], "50000");
        // A client that leaves has paid for all that was there to be sent.
        let leaving = tokio::spawn({
            let client = client.clone();
            async move { client.get("/unfinished").await }
        });
        until("all was sent", || used() == 123_010).await;
        leaving.abort();
        let _ = leaving.await;
        drop(client);
        until("the permit is back", || busy.in_flight() == 0).await;
        assert_eq!(used(), 123_010);
    }
}

/// Many responses of one key at the same time: no byte is lost between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_responses_are_charged_exactly() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(1).burst(10_000);
    let bytes = Arc::new(FixedKeyed::with_clock(quota, 100, clock.clone()));
    let layer = RateLimitLayer::builder(())
        .content_bytes(PerKey::new(Arc::clone(&bytes), key_of))
        .build();
    let streamed = || async {
        let chunk = || Ok::<_, Infallible>(Bytes::from_static(b"chunk"));
        Body::from_stream(stream::repeat_with(chunk).take(1_000))
    };
    let app = Router::new().route("/", get(streamed)).layer(layer.clone());
    let server = serve(app).await;
    let ask = |key: &'static str| async move {
        let client = Client::http2(server).await;
        let asks = (0..10).map(|_| client.send(Request::get("/").header("key", key)));
        let answers = in_time(futures_util::future::join_all(asks)).await;
        let admitted = answers.iter().filter(|answer| answer.status == 200);
        admitted.count() as u64
    };
    let (a, b) = tokio::join!(ask("a"), ask("b"));
    for (key, served) in [("a", a), ("b", b)] {
        assert!((2..=10).contains(&served), "{key}: {served}");
        let view = bytes.at(key);
        let used = 10_000 - i128::from(view.available()) + i128::from(view.debt());
        assert_eq!(used, i128::from(served) * 5_000, "{key}");
    }
    // All that either key may have is spent, and the next request of both is refused.
    assert_eq!((ask("a").await, ask("b").await), (0, 0));
}
