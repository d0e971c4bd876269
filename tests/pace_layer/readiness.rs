//! The inner service is polled for readiness after a request is admitted, not before.

use core::future::{Ready, ready};
use core::task::{Context, Poll};
use core::time::Duration;

use http::{Request, Response};
use tidegate::layer::PaceLayer;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};

use crate::{TOKEN, answers, bucket};

/// A waiting request does not occupy the inner service, so an exempt one passes.
#[tokio::test(start_paused = true)]
async fn waiting_request_does_not_block_the_inner_service() {
    let limiter = bucket(1);
    limiter.debit(1_000);
    let layer = PaceLayer::builder(limiter)
        .exempt(|request| request.path() == "/health")
        .build();
    let service = layer.layer(ConcurrencyLimit::new(answers(), 1));
    let waits = tokio::spawn(service.clone().oneshot(Request::new(())));
    tokio::task::yield_now().await;
    let health = service.oneshot(Request::get("/health").body(()).unwrap());
    let within = tokio::time::timeout(TOKEN, health).await;
    assert!(within.expect("does not wait").is_ok());
    assert!(!waits.is_finished());
    waits.await.unwrap().unwrap();
}

/// A service that is ready at its second poll, or fails, and that checks readiness when called.
#[derive(Clone, Default)]
struct Slow {
    polls: u32,
    is_broken: bool,
}

impl Service<Request<()>> for Slow {
    type Response = Response<u32>;
    type Error = &'static str;
    type Future = Ready<Result<Response<u32>, &'static str>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.polls += 1;
        if self.is_broken {
            return Poll::Ready(Err("broken"));
        }
        if self.polls < 2 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(self.polls >= 2, "called before it was ready");
        ready(Ok(Response::new(self.polls)))
    }
}

#[tokio::test(start_paused = true)]
async fn inner_service_is_polled_until_ready() {
    let service = PaceLayer::new(bucket(1)).layer(Slow::default());
    for _ in 0..3 {
        let response = service.clone().oneshot(Request::new(())).await.unwrap();
        assert_eq!(*response.body(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn readiness_errors_are_passed_on() {
    let broken = Slow {
        is_broken: true,
        ..Slow::default()
    };
    let service = PaceLayer::new(bucket(1)).layer(broken);
    let outcome = service.oneshot(Request::new(())).await;
    assert_eq!(outcome.unwrap_err(), "broken");
}

/// All types can be named, so that fields need no box.
struct Client {
    service: tidegate::layer::Paced<Slow, tidegate::TokenBucket>,
    call: Option<
        tidegate::layer::PacedFuture<
            Slow,
            (),
            tidegate::TokenBucket,
            tidegate::DefaultTimer,
            tidegate::layer::TooManyRequests,
        >,
    >,
}

#[tokio::test]
async fn service_and_future_types_can_be_named_and_sent() {
    fn everywhere<T: Send + 'static>(_: &T) {}
    let bucket = tidegate::TokenBucket::new(tidegate::Quota::per_second(10));
    let layer = PaceLayer::builder(bucket).timeout(Duration::ZERO);
    let mut client = Client {
        service: layer.build().layer(Slow::default()),
        call: None,
    };
    client.call = Some(client.service.call(Request::new(())));
    everywhere(&client);
    let response = client.call.take().unwrap().await.unwrap();
    assert_eq!(*response.body(), 2);
}
