//! Requests that are dropped while they wait: nothing is lost.

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

/// Sleeps for ever: those who wait do so until they are dropped.
fn never(_: Duration) -> core::future::Pending<()> {
    core::future::pending()
}

/// Half a million requests at a window that has room for 1 000, in four threads, and none is waited for: 1 000 are served, and the
/// line is empty afterwards.
#[test]
fn at_a_window() {
    let window = SlidingWindow::with_clock(1_000, Duration::from_secs(60), ManualClock::new());
    let layer = PaceLayer::new(Arc::new(window.unwrap()), never);
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
    // Who finds somebody waiting waits behind them, although there is room: so what is left is taken now.
    let left = layer.limiter().available();
    assert_eq!(served.into_inner() + left, 1_000);
    layer.limiter().try_acquire(left).unwrap();
}

/// A million requests in one line at a bucket that is empty: each one that is dropped before anybody comes behind it gives its token
/// back, so the last of them would wait no longer than the first.
#[test]
fn at_a_bucket() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(1), clock.clone());
    bucket.try_acquire(1).unwrap();
    let layer = PaceLayer::new(bucket, never);
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
