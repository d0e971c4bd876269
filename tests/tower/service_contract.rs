//! The contract of tower services: readiness, errors, and futures that are sent, held or dropped.

use alloc::rc::Rc;
use alloc::sync::Arc;
use core::cell::Cell;
use core::future::{Pending, Ready, pending, ready};
use core::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::task::noop_waker_ref;
use http::{Request, Response};
use tidegate::layer::{RateLimit, RateLimitFuture, RateLimitLayer, TooManyRequests};
use tidegate::{ManualClock, TokenBucket};
use tower::{Layer, Service, service_fn};

use crate::{SECOND, bucket, drain, stats};

/// A service with set results, which counts its calls.
#[derive(Clone)]
struct Inner {
    ready: Poll<Result<(), &'static str>>,
    answers: Result<u16, &'static str>,
    polled: Rc<Cell<u32>>,
    called: Rc<Cell<u32>>,
}

impl Inner {
    fn new() -> Self {
        Self {
            ready: Poll::Ready(Ok(())),
            answers: Ok(201),
            polled: Rc::default(),
            called: Rc::default(),
        }
    }
}

impl Service<Request<()>> for Inner {
    type Response = Response<String>;
    type Error = &'static str;
    type Future = Ready<Result<Response<String>, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.polled.set(self.polled.get() + 1);
        self.ready
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        self.called.set(self.called.get() + 1);
        let response = |status| Response::builder().status(status).body(String::new());
        ready(self.answers.map(|status| response(status).expect("valid")))
    }
}

fn context() -> Context<'static> {
    Context::from_waker(noop_waker_ref())
}

#[test]
fn readiness_is_that_of_the_inner_service() {
    let clock = ManualClock::new();
    for is_full in [true, false] {
        let bucket = bucket(1, &clock);
        if !is_full {
            drain(&bucket);
        }
        let layer = RateLimitLayer::new(bucket);
        for ready in [
            Poll::Pending,
            Poll::Ready(Ok(())),
            Poll::Ready(Err("closed")),
        ] {
            let inner = Inner {
                ready,
                ..Inner::new()
            };
            let mut service = layer.layer(inner.clone());
            assert_eq!(service.poll_ready(&mut context()), ready);
            assert_eq!(service.poll_ready(&mut context()), ready);
            assert_eq!((inner.polled.get(), inner.called.get()), (2, 0));
        }
        // Polling readiness takes no permits.
        assert_eq!(layer.gate().available(), u64::from(is_full));
        assert_eq!(layer.stats(), stats(0, 0));
    }
}

#[test]
fn rejected_request_never_reaches_the_service() {
    let layer = RateLimitLayer::new(bucket(1, &ManualClock::new()));
    let inner = Inner::new();
    let mut service = layer.layer(inner.clone());
    let mut ask = || {
        let answer = service.call(Request::new(())).now_or_never();
        answer.expect("ready at once").expect("served").status()
    };
    assert_eq!((ask().as_u16(), inner.called.get()), (201, 1));
    assert_eq!((ask().as_u16(), inner.called.get()), (429, 1));
    assert_eq!((ask().as_u16(), inner.called.get()), (429, 1));
    assert_eq!(
        inner.polled.get(),
        0,
        "polling readiness is up to the caller"
    );
}

#[test]
fn errors_are_those_of_the_inner_service() {
    let layer = RateLimitLayer::new(bucket(1, &ManualClock::new()));
    let mut service = layer.layer(Inner {
        answers: Err("broken"),
        ..Inner::new()
    });
    let mut ask = || service.call(Request::new(())).now_or_never();
    let failed: Result<_, &'static str> = ask().expect("ready at once");
    assert_eq!(failed.expect_err("the service fails"), "broken");
    // A failed request has used its permit.
    let refused = ask()
        .expect("ready at once")
        .expect("a rejection is a response");
    assert_eq!(refused.status(), 429);
    assert_eq!(layer.stats(), stats(1, 1));
}

#[test]
fn decision_is_made_in_call() {
    let clock = ManualClock::new();
    let layer = RateLimitLayer::new(bucket(1, &clock));
    let mut service = layer.layer(Inner::new());
    let (first, second) = (
        service.call(Request::new(())),
        service.call(Request::new(())),
    );
    assert_eq!(layer.stats(), stats(1, 1));
    // The time and the order of polling do not matter.
    clock.advance(9 * SECOND);
    let status = |future: RateLimitFuture<_, _>| {
        let answer: Result<Response<String>, &'static str> = future.now_or_never().expect("done");
        answer.expect("served").status().as_u16()
    };
    assert_eq!((status(second), status(first)), (429, 201));
}

#[test]
fn dropped_future_returns_no_permits() {
    let layer = RateLimitLayer::new(bucket(2, &ManualClock::new()));
    let waiting = |_: Request<()>| -> Pending<Result<Response<String>, ()>> { pending() };
    let mut service = layer.layer(service_fn(waiting));
    drop(service.call(Request::new(())));
    assert_eq!(layer.gate().available(), 1);
    let mut polled = Box::pin(service.call(Request::new(())));
    assert!(polled.as_mut().poll_unpin(&mut context()).is_pending());
    drop(polled);
    assert_eq!(layer.gate().available(), 0);
    assert_eq!(layer.stats(), stats(2, 0));
    drop(service.call(Request::new(())));
    assert_eq!(layer.stats(), stats(2, 1));
}

#[test]
fn pending_inner_future_stays_pending() {
    let layer = RateLimitLayer::new(bucket(2, &ManualClock::new()));
    let (sender, receiver) = tokio::sync::oneshot::channel::<Response<String>>();
    let receiver = Cell::new(Some(receiver));
    let mut service = layer.layer(service_fn(|_: Request<()>| receiver.take().expect("once")));
    let mut answer = Box::pin(service.call(Request::new(())));
    assert!(answer.as_mut().poll_unpin(&mut context()).is_pending());
    assert!(answer.as_mut().poll_unpin(&mut context()).is_pending());
    sender
        .send(Response::new("late".to_owned()))
        .expect("the receiver exists");
    let Poll::Ready(Ok(answer)) = answer.as_mut().poll_unpin(&mut context()) else {
        panic!("the response was sent");
    };
    assert_eq!(answer.body(), "late");
    assert!(answer.headers().contains_key("ratelimit"));
}

#[test]
#[should_panic(expected = "polled after it was ready")]
fn rejection_polled_again_panics() {
    let bucket = bucket(1, &ManualClock::new());
    drain(&bucket);
    let mut service = RateLimitLayer::new(bucket).layer(Inner::new());
    let mut refused = Box::pin(service.call(Request::new(())));
    for _ in 0..2 {
        assert!(refused.as_mut().poll_unpin(&mut context()).is_ready());
    }
}

/// All types can be named, so that fields need no box.
struct Held<S, F> {
    layer: RateLimitLayer<Arc<TokenBucket<ManualClock>>>,
    service: RateLimit<S, Arc<TokenBucket<ManualClock>>, (), TooManyRequests>,
    future: RateLimitFuture<F, String>,
}

#[test]
fn types_can_be_named() {
    let layer = RateLimitLayer::new(Arc::new(bucket(2, &ManualClock::new())));
    let mut service = layer.layer(Inner::new());
    let future = service.call(Request::new(()));
    let held = Held {
        layer,
        service,
        future,
    };
    let debug = format!("{:?}", held.future);
    assert!(debug.contains("is_rejected: false"), "{debug}");
    assert_eq!(held.service.get_ref().called.get(), 1);
    assert_eq!(held.layer.gate().available(), 1);
}

#[test]
fn futures_and_services_are_send_and_sync() {
    const fn is_send_and_sync<T: Send + Sync>() {}
    const fn is_unpin<T: Unpin>() {}
    type Gate = TokenBucket<ManualClock>;
    is_send_and_sync::<RateLimitLayer<Gate>>();
    is_send_and_sync::<RateLimit<u8, Gate, (), TooManyRequests>>();
    is_send_and_sync::<RateLimitFuture<Ready<()>, String>>();
    is_unpin::<RateLimitFuture<Ready<()>, String>>();
}

#[test]
fn future_is_at_most_160_bytes_larger_than_its_parts() {
    type Future<const N: usize> = RateLimitFuture<[u64; N], String>;
    let response = size_of::<Response<String>>();
    // A future needs space for a rejection in any case.
    assert!(
        size_of::<Future<0>>() <= response + 160,
        "{}",
        size_of::<Future<0>>()
    );
    let own = size_of::<Future<1_000>>() - 8_000;
    assert!(own <= 160, "{own}");
}

#[test]
fn clones_need_no_cloneable_parts() {
    // Neither limiters nor this type implement `Clone`.
    struct NotClone;
    let hold = NotClone;
    let layer = RateLimitLayer::builder(bucket(1, &ManualClock::new())).reject_with(move |_| {
        let _: &NotClone = &hold;
        Response::new(String::new())
    });
    let service = layer.build().clone().layer(Inner::new()).clone();
    assert_eq!(service.into_inner().called.get(), 0);
}
