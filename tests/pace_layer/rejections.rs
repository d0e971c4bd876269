//! Requests that are rejected without waiting.

use core::time::Duration;

use http::header::RETRY_AFTER;
use http::{Request, Response, StatusCode};
use tidegate::layer::{PaceLayer, Reason};
use tidegate::{Clock, Denied, SlidingWindow, TokioClock};
use tower::{Layer, ServiceExt};

use crate::{TOKEN, answers, bucket};

/// The rejection states the wait that would have been needed.
#[tokio::test(start_paused = true)]
async fn wait_beyond_the_timeout_is_rejected_at_once() {
    let limiter = bucket(1);
    limiter.debit(15);
    let layer = PaceLayer::builder(limiter)
        .timeout(Duration::from_secs(1))
        .build();
    let before = layer.limiter().clock().now();
    let response = layer.layer(answers()).oneshot(Request::new(())).await;
    let response = response.unwrap();
    assert_eq!(layer.limiter().clock().now(), before);
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    // 1.5 s, rounded up.
    assert_eq!(response.headers()[RETRY_AFTER], "2");
    assert_eq!((layer.stats().denied, layer.stats().allowed), (1, 0));
}

/// Requests beyond the timeout are rejected, and all others are served.
#[tokio::test(start_paused = true)]
async fn timeout_bounds_the_queue() {
    let layer = PaceLayer::builder(bucket(1)).timeout(10 * TOKEN).build();
    let service = layer.layer(answers());
    let requests = (0..50).map(|_| tokio::spawn(service.clone().oneshot(Request::new(()))));
    let mut statuses = Vec::new();
    for request in requests.collect::<Vec<_>>() {
        statuses.push(request.await.unwrap().unwrap().status());
    }
    // One at once, and ten within the timeout.
    assert!(
        statuses[..11]
            .iter()
            .all(|status| *status == StatusCode::OK)
    );
    let refused = StatusCode::TOO_MANY_REQUESTS;
    assert!(statuses[11..].iter().all(|status| *status == refused));
    assert_eq!((layer.stats().allowed, layer.stats().denied), (11, 39));
}

#[tokio::test(start_paused = true)]
async fn cost_above_the_capacity_is_rejected_without_a_hint() {
    let layer = PaceLayer::builder(bucket(3)).cost(|_| 4).build();
    let response = layer.layer(answers()).oneshot(Request::new(())).await;
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(!response.headers().contains_key(RETRY_AFTER));
    assert_eq!(layer.limiter().available(), 3);
}

#[tokio::test(start_paused = true)]
async fn full_wait_queue_rejects() {
    let second = Duration::from_secs(1);
    let window = SlidingWindow::with_clock(1, second, TokioClock::new()).unwrap();
    window.try_acquire(1).unwrap();
    let layer = PaceLayer::new(window.max_waiters(1));
    let service = layer.layer(answers());
    let first = tokio::spawn(service.clone().oneshot(Request::new(())));
    tokio::task::yield_now().await;
    assert_eq!(layer.limiter().waiting(), 1);
    let second = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
}

/// The function sees the whole rejection. Its `Retry-After` stays, and otherwise one is added.
#[tokio::test(start_paused = true)]
async fn custom_rejection_keeps_its_retry_after_or_gets_one() {
    let limiter = bucket(1);
    limiter.debit(3);
    let builder = PaceLayer::builder(limiter).name("uploads").timeout(TOKEN);
    let layer = builder
        .reject_with(|rejection| {
            assert_eq!(rejection.limit(), "uploads");
            assert_eq!(rejection.request().path(), "/big");
            let retry_after = 3 * TOKEN;
            let denied = Reason::Limited(Denied::NotYet {
                retry_after: retry_after.into(),
            });
            assert_eq!(rejection.reason(), denied);
            let busy = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
            let busy = match rejection.request().method().as_str() {
                "PUT" => busy.header(RETRY_AFTER, "60"),
                _ => busy,
            };
            busy.body(String::from("later")).unwrap()
        })
        .build();
    let service = layer.layer(answers());
    for (method, retry_after) in [("POST", "1"), ("PUT", "60")] {
        let request = Request::builder().method(method).uri("/big").body(());
        let response = service.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let fields = response.headers().get_all(RETRY_AFTER).iter();
        assert_eq!(fields.collect::<Vec<_>>(), [retry_after]);
    }
}
