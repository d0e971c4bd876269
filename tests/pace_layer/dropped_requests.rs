//! Requests that are dropped while they wait lose no permits.

use alloc::sync::Arc;
use core::future::Future;
use core::pin::pin;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use http::Request;
use tidegate::tower::PaceLayer;
use tidegate::{ManualClock, Quota, SlidingWindow, TokenBucket};
use tower::{Layer, Service};

use crate::answers;

/// Sleeps forever, so that requests wait until they are dropped.
fn never(_: Duration) -> core::future::Pending<()> {
    core::future::pending()
}

/// Four threads drop half a million requests after their first poll, at a window of 1 000.
/// Afterwards 1 000 permits are used or left, and the queue is empty.
#[test]
fn requests_dropped_at_a_window_leave_the_queue() {
    let window = SlidingWindow::with_clock(1_000, Duration::from_secs(60), ManualClock::new());
    let layer = PaceLayer::builder(Arc::new(window.unwrap()))
        .timer(never)
        .build();
    let service = layer.layer(answers());
    let served = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut context = Context::from_waker(Waker::noop());
                for _ in 0..125_000 {
                    let future = service.clone().call(Request::new(()));
                    if let Poll::Ready(response) = pin!(future).poll(&mut context) {
                        assert!(response.unwrap().status().is_success());
                        served.fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(layer.limiter().waiting(), 0);
    // A request queues behind another waiter even if permits are left, so some may be left.
    let left = layer.limiter().available();
    assert_eq!(served.into_inner() + left, 1_000);
    layer.limiter().try_acquire(left).unwrap();
}

/// A million requests at an empty bucket. Each is dropped before the next one arrives and returns
/// its token, so the last would wait no longer than the first.
#[test]
fn requests_dropped_at_a_bucket_return_their_tokens() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(1), clock.clone());
    bucket.try_acquire(1).unwrap();
    let layer = PaceLayer::builder(bucket).timer(never).build();
    let mut service = layer.layer(answers());
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1_000_000 {
        let future = service.call(Request::new(()));
        assert!(pin!(future).poll(&mut context).is_pending());
    }
    assert_eq!(
        layer.limiter().wait_time(1),
        Some(Duration::from_millis(100))
    );
    assert_eq!(layer.stats().allowed, 0);
}
