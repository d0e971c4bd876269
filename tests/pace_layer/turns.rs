//! Who has its turn when.

use alloc::sync::Arc;
use core::time::Duration;
use std::sync::Mutex;

use http::{Request, StatusCode};
use tidegate::tower::PaceLayer;
use tidegate::{Clock, SlidingWindow, TokioClock, TokioTimer};
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};

use crate::{TOKEN, answers, bucket};

/// Clones of a service, as servers make them for each request, wait in one line: one token's time apart.
#[tokio::test(start_paused = true)]
async fn clones_wait_in_one_line() {
    let limiter = bucket(1);
    let clock = *limiter.clock();
    let layer = PaceLayer::new(limiter, TokioTimer);
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
    for (place, (number, at)) in (0..).zip(served.iter()) {
        assert_eq!(*number, place);
        // tokio sleeps in whole milliseconds, and never for less than asked.
        let due = TOKEN * place;
        let late = Duration::from_nanos(at.as_nanos()).checked_sub(due);
        let late = late.expect("not early");
        assert!(late <= Duration::from_millis(1), "{number}: {late:?} late");
    }
    assert_eq!(layer.stats().allowed, 100);
}

/// The inner service is not called before the turn, and is not kept waiting after it.
#[tokio::test(start_paused = true)]
async fn the_turn_comes_before_the_call() {
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
    let service = PaceLayer::new(limiter, TokioTimer).layer(inner);
    let request = tokio::spawn(service.oneshot(Request::new(())));
    tokio::time::sleep(TOKEN / 2).await;
    assert_eq!(*called.lock().unwrap(), None);
    request.await.unwrap().unwrap();
    let at = called.lock().unwrap().unwrap();
    assert!(at.as_nanos() >= 100_000_000, "{at:?}");
}

/// What costs nothing and what is exempt does not wait, and takes nothing from those who do.
#[tokio::test(start_paused = true)]
async fn some_do_not_wait() {
    let limiter = bucket(5);
    let layer = PaceLayer::builder(limiter, TokioTimer)
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

/// At a window requests wait in a line as well, and each leaves it for the next.
#[tokio::test(start_paused = true)]
async fn a_window_serves_all() {
    let second = Duration::from_secs(1);
    let window = SlidingWindow::with_clock(10, second, TokioClock::new()).unwrap();
    let layer = PaceLayer::new(Arc::new(window), TokioTimer);
    let service = layer.layer(answers());
    let start = layer.limiter().clock().now();
    let mut requests = JoinSet::new();
    for _ in 0..35 {
        requests.spawn(service.clone().oneshot(Request::new(())));
    }
    let responses = requests.join_all().await;
    assert!(responses.iter().all(Result::is_ok));
    // 10 at once, and three more windows (each with a slot of 1/64) of which the last has 5.
    let took = layer.limiter().clock().now() - start;
    assert!(took >= 3 * second && took < 4 * second, "{took:?}");
    assert_eq!(layer.limiter().waiting(), 0);
}
