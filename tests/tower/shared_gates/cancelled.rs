//! Requests whose client leaves while the shared limit decides, and those that wait together.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use alloc::boxed::Box;

use axum::Router;
use axum::routing::get;
use http::Request;
use tidegate::layer::{RateLimitLayer, RequestHead, TooManyRequests};
use tidegate::{InFlight, ManualClock};
use tower::{Layer, Service, service_fn};

use super::{Remote, refused};
use crate::servers::{Client, in_time, serve as serve_http};
use crate::{Bucket, bucket, serve, stats};

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    core::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A limit of five here, another on requests at the same time, and one that is elsewhere.
fn layer(
    remote: &Remote,
    busy: &InFlight,
) -> RateLimitLayer<Bucket, InFlight, TooManyRequests, Remote> {
    RateLimitLayer::builder(bucket(5, &ManualClock::new()))
        .in_flight(busy.clone())
        .shared(remote.clone())
        .build()
}

#[test]
fn client_that_leaves_gives_back_what_it_got_here() {
    let (remote, busy) = (Remote::silent([]), InFlight::new(2));
    let layer = layer(&remote, &busy);
    let mut service = layer.layer(service_fn(serve));
    for is_polled in [true, false] {
        let mut waiting = Box::pin(service.call(Request::new(())));
        if is_polled {
            assert!(poll(&mut waiting).is_pending());
        }
        assert_eq!((layer.gate().available(), busy.in_flight()), (4, 1));
        drop(waiting);
        assert_eq!((layer.gate().available(), busy.in_flight()), (5, 0));
    }
    // It was asked once, and may have charged the request.
    assert_eq!((remote.asked(), layer.stats()), (vec![1], stats(0, 0)));
}

/// A bucket gives nothing back once it has decided another request, and says so.
#[test]
fn charge_that_another_followed_is_forfeited() {
    let (remote, busy) = (Remote::silent([refused()]), InFlight::new(2));
    let layer = layer(&remote, &busy);
    let mut service = layer.layer(service_fn(serve));
    let mut first = Box::pin(service.call(Request::new(())));
    let mut second = Box::pin(service.call(Request::new(())));
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    assert_eq!((layer.gate().available(), busy.in_flight()), (3, 2));
    drop(first);
    assert_eq!((layer.gate().available(), busy.in_flight()), (3, 1));
    assert_eq!(layer.stats().forfeited, 1);

    // That of the last one comes back.
    remote.answer(1);
    let Poll::Ready(Ok(response)) = poll(&mut second) else {
        panic!("it has answered")
    };
    assert_eq!(response.status(), 429);
    assert_eq!((layer.gate().available(), busy.in_flight()), (4, 0));
    let mut counts = stats(0, 1);
    counts.forfeited = 1;
    assert_eq!(layer.stats(), counts);
}

#[test]
fn refusal_after_another_charge_is_counted_as_forfeited() {
    let (remote, busy) = (Remote::silent([refused()]), InFlight::new(2));
    let layer = layer(&remote, &busy);
    let mut service = layer.layer(service_fn(serve));
    let mut first = Box::pin(service.call(Request::new(())));
    let mut second = Box::pin(service.call(Request::new(())));
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    remote.answer(2);
    assert!(poll(&mut first).is_ready() && poll(&mut second).is_ready());
    let mut counts = stats(1, 1);
    counts.forfeited = 1;
    assert_eq!((layer.stats(), layer.gate().available()), (counts, 3));
}

#[test]
fn decision_by_hand_can_be_dropped_too() {
    let (remote, busy) = (Remote::silent([]), InFlight::new(2));
    let layer = layer(&remote, &busy);
    let request = Request::new(());
    let head = RequestHead::new(&request);
    {
        let mut waiting = pin!(layer.decide_shared::<String>(&head));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        assert_eq!((layer.gate().available(), busy.in_flight()), (4, 1));
    }
    assert_eq!((layer.gate().available(), busy.in_flight()), (5, 0));
}

/// Waits until another task has come as far.
async fn until(mut is_so: impl FnMut() -> bool) {
    in_time(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_answers_those_that_stay() {
    let (remote, busy) = (Remote::silent([refused()]), InFlight::new(3));
    let layer = layer(&remote, &busy);
    let route = get(|| async { "hello" }).layer(layer.clone());
    let client = Client::http2(serve_http(Router::new().route("/", route)).await).await;
    let ask = || {
        let client = client.clone();
        tokio::spawn(async move { client.get("/").await })
    };
    let (stays, also_stays) = (ask(), ask());
    until(|| remote.asked().len() == 2).await;
    let leaves = ask();
    until(|| remote.asked().len() == 3).await;
    assert_eq!((layer.gate().available(), busy.in_flight()), (2, 3));
    leaves.abort();
    until(|| busy.in_flight() == 2).await;
    assert_eq!(layer.gate().available(), 3);

    remote.answer(2);
    let answers = [stays.await, also_stays.await].map(|answer| answer.expect("no panic"));
    let mut statuses = answers.map(|answer| answer.status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429]);
    until(|| busy.in_flight() == 0).await;
}
