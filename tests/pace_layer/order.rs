//! The order in which requests are admitted.

use alloc::sync::Arc;
use core::time::Duration;
use std::sync::Mutex;

use http::{Request, StatusCode};
use tidegate::layer::PaceLayer;
use tidegate::{Clock, SlidingWindow, TokioClock};
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};

use crate::{TOKEN, answers, bucket};

/// Servers clone a service for each request. The clones' requests are admitted one token apart.
#[tokio::test(start_paused = true)]
async fn clones_share_one_queue() {
    let limiter = bucket(1);
    let clock = *limiter.clock();
    let layer = PaceLayer::new(limiter);
    let service = layer.layer(answers());
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut requests = JoinSet::new();
    for number in 0..100_u32 {
        let (service, served) = (service.clone(), Arc::clone(&served));
        requests.spawn(async move {
            let response = service.oneshot(Request::new(())).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            served.lock().unwrap().push((number, clock.now()));
        });
    }
    requests.join_all().await;
    let served = served.lock().unwrap();
    for (position, (number, at)) in (0..).zip(served.iter()) {
        assert_eq!(*number, position);
        // tokio sleeps in whole milliseconds, and never too short.
        let due = TOKEN * position;
        let late = Duration::from_nanos(at.as_nanos()).checked_sub(due);
        let late = late.expect("not early");
        assert!(late <= Duration::from_millis(1), "{number}: {late:?} late");
    }
    assert_eq!(layer.stats().allowed, 100);
}

/// The inner service is called once the request is admitted, not before.
#[tokio::test(start_paused = true)]
async fn admission_precedes_the_call() {
    let limiter = bucket(1);
    limiter.try_acquire(1).unwrap();
    let clock = *limiter.clock();
    let called = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&called);
    let inner = tower::service_fn(move |_: Request<()>| {
        *seen.lock().unwrap() = Some(clock.now());
        core::future::ready(Ok::<_, core::convert::Infallible>(http::Response::new(
            String::new(),
        )))
    });
    let service = PaceLayer::new(limiter).layer(inner);
    let request = tokio::spawn(service.oneshot(Request::new(())));
    tokio::time::sleep(TOKEN / 2).await;
    assert_eq!(*called.lock().unwrap(), None);
    request.await.unwrap().unwrap();
    let at = called.lock().unwrap().unwrap();
    assert!(at.as_nanos() >= 100_000_000, "{at:?}");
}

/// Neither takes permits from requests that wait.
#[tokio::test(start_paused = true)]
async fn free_and_exempt_requests_do_not_wait() {
    let limiter = bucket(5);
    let layer = PaceLayer::builder(limiter)
        .cost(|request| if request.path() == "/free" { 0 } else { 5 })
        .exempt(|request| request.path() == "/health")
        .build();
    let service = layer.layer(answers());
    let ask = async |path: &str| {
        let before = layer.limiter().clock().now();
        let request = Request::get(path).body(()).unwrap();
        service.clone().oneshot(request).await.unwrap();
        layer.limiter().clock().now() - before
    };
    assert_eq!(ask("/").await, Duration::ZERO);
    assert_eq!(ask("/free").await, Duration::ZERO);
    assert_eq!(ask("/health").await, Duration::ZERO);
    assert!(ask("/").await >= 5 * TOKEN);
    let stats = layer.stats();
    assert_eq!((stats.allowed, stats.exempt, stats.denied), (3, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn window_serves_all_waiting_requests() {
    let second = Duration::from_secs(1);
    let window = SlidingWindow::with_clock(10, second, TokioClock::new()).unwrap();
    let layer = PaceLayer::new(Arc::new(window));
    let service = layer.layer(answers());
    let start = layer.limiter().clock().now();
    let mut requests = JoinSet::new();
    for _ in 0..35 {
        requests.spawn(service.clone().oneshot(Request::new(())));
    }
    let responses = requests.join_all().await;
    assert!(responses.iter().all(Result::is_ok));
    // 10 at once, then 10, 10 and 5 in three more windows, each with a slot of 1/64.
    let took = layer.limiter().clock().now() - start;
    assert!(took >= 3 * second && took < 4 * second, "{took:?}");
    assert_eq!(layer.limiter().waiting(), 0);
}
