//! Requests at the same time: a permit is kept until the response has ended or the client has left.

use alloc::sync::Arc;
use core::convert::Infallible;
use core::future::{pending, poll_fn};
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures_util::{FutureExt, StreamExt, stream};
use http::{Request, Response, StatusCode};
use hyper::body::Bytes;
use tidegate::layer::{InFlightPerKey, Named, PerKey, RateLimitLayer, RequestHead};
use tidegate::{Denied, FixedKeyed, InFlight, ManualClock, Quota, RetryAfter, TrackDenied};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::servers::{Client, serve, until};
use crate::{bucket, field, key_of, serve as served, stats, with_key};

#[test]
fn permits_are_counted_exactly() {
    let limit = InFlight::new(3);
    let permits: Vec<_> = (0..3).map(|_| limit.try_acquire().expect("room")).collect();
    assert_eq!(
        (limit.in_flight(), limit.available(), limit.limit()),
        (3, 0, 3)
    );
    let busy = Err(Denied::Busy {
        retry_after: RetryAfter::from_nanos(1_000_000_000),
    });
    assert_eq!(limit.try_acquire().map(drop), busy);
    assert_eq!(limit.peek(), busy);
    // A clone is the same limit. A lower limit takes nothing away.
    let clone = limit.clone();
    clone.set_limit(2);
    assert_eq!((limit.in_flight(), limit.available()), (3, 0));
    drop(permits);
    assert_eq!((clone.in_flight(), clone.available()), (0, 2));
    let none = InFlight::new(0);
    assert_eq!(
        none.try_acquire().map(drop),
        Err(Denied::Never { capacity: 0 })
    );
    let all = InFlight::new(u64::MAX);
    assert_eq!(all.peek(), Ok(()));
}

#[test]
fn threads_never_hold_more_than_the_limit() {
    let limit = InFlight::new(3);
    let held = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (limit, held) = (&limit, &held);
            scope.spawn(move || {
                for _ in 0..10_000 {
                    if let Ok(permit) = limit.try_acquire() {
                        let now = held.fetch_add(1, SeqCst) + 1;
                        assert!(now <= 3, "{now} of 3");
                        held.fetch_sub(1, SeqCst);
                        drop(permit);
                    }
                }
            });
        }
    });
    assert_eq!(limit.in_flight(), 0);
}

/// A refusal by either takes nothing from the other.
#[test]
fn rate_and_permits_are_taken_both_or_neither() {
    let clock = ManualClock::new();
    let (rate, busy) = (Arc::new(bucket(3, &clock)), InFlight::new(2));
    let gate = Named::new("rate", Arc::clone(&rate));
    let layer = RateLimitLayer::builder(gate)
        .in_flight(Named::new("busy", busy.clone()))
        .build();
    let ask = || {
        let answer = layer.layer(service_fn(served)).oneshot(Request::new(()));
        answer.now_or_never().expect("ready").expect("no error")
    };
    let first = ask();
    let policies = r#""rate";q=3;w=3, "busy";q=2;qu="concurrent-requests""#;
    assert_eq!(field(&first, "ratelimit-policy"), Some(policies));
    // Its own permit is back when its client has read it.
    assert_eq!(field(&first, "ratelimit"), Some(r#""rate";r=2;t=1"#));
    let second = ask();
    let refusal = ask();
    assert_eq!(refusal.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(field(&refusal, "ratelimit-policy"), Some(policies));
    assert_eq!(field(&refusal, "ratelimit"), Some(r#""busy";r=0;t=1"#));
    assert_eq!(field(&refusal, "retry-after"), Some("1"));
    assert_eq!((rate.available(), busy.in_flight()), (1, 2));

    drop((first, second));
    assert_eq!(busy.in_flight(), 0);
    drop(ask());
    // Now the rate refuses, and keeps no permit.
    let refusal = ask();
    assert_eq!(field(&refusal, "ratelimit"), Some(r#""rate";r=0;t=1"#));
    assert_eq!((rate.available(), busy.in_flight()), (0, 0));
    assert_eq!(layer.stats(), stats(3, 2));
}

#[test]
fn keys_have_permits_of_their_own_and_leave_nothing() {
    let clock = ManualClock::new();
    let users = Arc::new(InFlight::new(4));
    let layer = RateLimitLayer::builder(bucket(100, &clock))
        .in_flight((InFlightPerKey::new(2, key_of), (*users).clone()))
        .build();
    let ask = |key| {
        let answer = layer.layer(service_fn(served)).oneshot(with_key(key));
        answer.now_or_never().expect("ready").expect("no error")
    };
    let keys = ["a", "a", "a", "b", "b", "b", "c"];
    let answers = keys.map(ask);
    let statuses = answers.each_ref().map(|answer| answer.status().as_u16());
    // The fifth in flight is one too many for all together.
    assert_eq!(statuses, [200, 200, 429, 200, 200, 429, 429]);
    assert_eq!(users.in_flight(), 4);
    drop(answers);
    assert_eq!(users.in_flight(), 0);
    assert_eq!(ask("c").status(), 200);
    // A request without the key is the client's mistake, and a free one needs it, too.
    let none = layer.layer(service_fn(served)).oneshot(Request::new(()));
    let none = none.now_or_never().expect("ready").expect("no error");
    assert_eq!(none.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn free_request_without_a_key_of_the_gate_is_in_flight() {
    let clock = ManualClock::new();
    let table = tidegate::Keyed::new(move |_: &String| bucket(1, &clock));
    let busy = InFlight::new(1);
    let layer = RateLimitLayer::builder(tidegate::layer::PerKey::new(table, key_of))
        .cost(|_| 0)
        .in_flight(busy.clone())
        .build();
    let ask = || {
        let answer = layer.layer(service_fn(served)).oneshot(Request::new(()));
        answer.now_or_never().expect("ready").expect("no error")
    };
    let first = ask();
    assert_eq!((first.status().as_u16(), busy.in_flight()), (200, 1));
    assert_eq!(ask().status().as_u16(), 429);
}

/// Whether the next frame of a body is one, and not an error; `None` at its end.
fn next<B: hyper::body::Body + Unpin>(body: &mut B) -> Option<bool> {
    let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).now_or_never();
    frame.expect("ready").map(|frame| frame.is_ok())
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The permit of a request whose service is pending, fails or is dropped.
#[test]
fn permit_comes_back_at_every_stage() {
    let clock = ManualClock::new();
    let busy = InFlight::new(1);
    let layer = RateLimitLayer::builder(bucket(100, &clock))
        .in_flight(busy.clone())
        .build();
    // Dropped while the service is pending.
    let never = service_fn(|_: Request<()>| pending::<Result<Response<String>, Infallible>>());
    let mut waiting = Box::pin(layer.layer(never).call(Request::new(())));
    assert!(poll(waiting.as_mut()).is_pending());
    assert_eq!(busy.in_flight(), 1);
    drop(waiting);
    assert_eq!(busy.in_flight(), 0);

    // The service fails.
    let fails = service_fn(|_: Request<()>| async { Err::<Response<String>, &str>("broken") });
    let failed = layer.layer(fails).oneshot(Request::new(())).now_or_never();
    assert_eq!(failed.expect("ready").map(drop), Err("broken"));
    assert_eq!(busy.in_flight(), 0);

    // The body streams, ends, and fails.
    let frames = |frames: Vec<Result<&'static str, &'static str>>| {
        let body = Body::from_stream(stream::iter(frames));
        let mut body = Some(body);
        let serve = service_fn(move |_: Request<()>| {
            core::future::ready(Ok::<_, Infallible>(Response::new(
                body.take().expect("once"),
            )))
        });
        let response = layer.layer(serve).oneshot(Request::new(()));
        response
            .now_or_never()
            .expect("ready")
            .expect("no error")
            .into_body()
    };
    let mut whole = frames(vec![Ok("one"), Ok("two")]);
    assert_eq!((next(&mut whole), busy.in_flight()), (Some(true), 1));
    assert_eq!((next(&mut whole), busy.in_flight()), (Some(true), 1));
    assert_eq!((next(&mut whole), busy.in_flight()), (None, 0));
    let mut broken = frames(vec![Ok("one"), Err("broken")]);
    assert_eq!((next(&mut broken), busy.in_flight()), (Some(true), 1));
    assert_eq!((next(&mut broken), busy.in_flight()), (Some(false), 0));
    drop(whole);
    let left = frames(vec![Ok("one"), Ok("two")]);
    assert_eq!(busy.in_flight(), 1);
    drop(left);
    assert_eq!(busy.in_flight(), 0);
}

/// Clients of a real server that leave in the middle of a response, and before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn disconnects_leak_no_permit() {
    let busy = InFlight::new(8);
    let layer = RateLimitLayer::builder(tidegate::TokenBucket::new(tidegate::Quota::per_second(
        1_000_000,
    )))
    .in_flight(busy.clone())
    .build();
    let endless = || async {
        let chunks = stream::repeat(()).then(|()| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok::<_, Infallible>(Bytes::from_static(b"chunk"))
        });
        Body::from_stream(chunks)
    };
    let app = Router::new()
        .route("/endless", get(endless))
        .route("/never", get(pending::<()>))
        .route("/", get(|| async { "hello" }))
        .layer(layer.clone());
    let server = serve(app).await;
    for round in 0..10 {
        let mut clients = Vec::new();
        for number in 0..8 {
            let (busy, before) = (busy.clone(), number);
            let path = if number % 2 == 0 {
                "/endless"
            } else {
                "/never"
            };
            clients.push(tokio::spawn(async move {
                let client = Client::http1(server).await;
                // Reads until it is dropped.
                let _ = tokio::time::timeout(Duration::from_secs(60), client.get(path)).await;
            }));
            until("admitted", || busy.in_flight() == before + 1).await;
        }
        let ninth = Client::http1(server).await.get("/").await;
        assert_eq!(ninth.status, StatusCode::TOO_MANY_REQUESTS, "round {round}");
        for client in clients {
            client.abort();
            let _ = client.await;
        }
        until("all have left", || busy.in_flight() == 0).await;
        let next = Client::http1(server).await.get("/").await;
        assert_eq!(next.status, StatusCode::OK, "round {round}");
        until("served", || busy.in_flight() == 0).await;
    }
    let counts = layer.stats();
    assert_eq!((counts.allowed, counts.denied), (90, 10));
}

/// One connection sends a hundred streams, and ten are served at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn streams_of_one_connection_are_requests_at_the_same_time() {
    let (busy, go) = (InFlight::new(10), Arc::new(tokio::sync::Semaphore::new(0)));
    let rate = tidegate::TokenBucket::new(tidegate::Quota::per_hour(100));
    let layer = RateLimitLayer::builder(rate)
        .in_flight(busy.clone())
        .build();
    let wait = Arc::clone(&go);
    let handler = || async move {
        let _ = wait.acquire().await;
        "served"
    };
    let app = Router::new().route("/", get(handler)).layer(layer.clone());
    let client = Client::http2(serve(app).await).await;
    let streams: Vec<_> = (0..100)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.get("/").await.status })
        })
        .collect();
    until("all are decided", || {
        let counts = layer.stats();
        (counts.allowed, counts.denied) == (10, 90)
    })
    .await;
    assert_eq!(busy.in_flight(), 10);
    go.close();
    let statuses = futures_util::future::join_all(streams).await;
    let served = statuses.into_iter().filter(|status| {
        let status = status.as_ref().expect("no panic");
        *status == StatusCode::OK
    });
    assert_eq!(served.count(), 10);
    until("all are over", || busy.in_flight() == 0).await;
    // The refused ones took nothing from the rate.
    assert_eq!(layer.gate().available(), 90);
}

#[test]
fn refusals_of_a_rate_beside_it_are_counted_by_key() {
    let clock = ManualClock::new();
    let limits = FixedKeyed::with_clock(Quota::per_hour(2), 100, clock);
    let users = Arc::new(TrackDenied::<_, String>::new(limits, 10));
    let layer = RateLimitLayer::builder(PerKey::new(Arc::clone(&users), key_of))
        .in_flight(InFlight::new(5))
        .build();
    for _ in 0..7 {
        let request = with_key("alice");
        let _ = layer.decide::<String>(&RequestHead::new(&request));
    }
    let denied = users.most_denied().top(10).keys.into_iter();
    let denied: Vec<_> = denied.map(|it| (it.key, it.at_least)).collect();
    assert_eq!(denied, [("alice".to_owned(), 5)]);
}
