//! Requests that are dropped while they wait lose no permits.

use alloc::sync::Arc;
use core::future::Future;
use core::pin::pin;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use futures_util::future::join_all;
use http::{Request, StatusCode};
use tidegate::layer::{PaceGate, PaceLayer, PerKey, RequestHead};
use tidegate::{
    ApiRateLimiter, Clock, Combined, FixedKeyed, Keyed, ManualClock, Quota, RateLimitConfig,
    ShardedTokenBucket, SlidingWindow, TokenBucket, TokioClock,
};
use tower::{Layer, Service, ServiceExt};

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

/// One request is served. A hundred wait, and hang up after 10 s: one at a time while others wait,
/// and the rest together. Returns how long the next request waits, in milliseconds.
async fn wait_after_hang_ups<G: PaceGate>(gate: G) -> u128 {
    let service = PaceLayer::new(gate).layer(answers());
    let send = || service.clone().oneshot(Request::new(()));
    // Uses the burst, and leaves 0.5 s until the next permit.
    while let Ok(served) = tokio::time::timeout(Duration::ZERO, send()).await {
        assert_eq!(served.unwrap().status(), StatusCode::OK);
    }
    let clock = TokioClock::new();
    let hang_ups = (0..100_u64).map(|number| {
        // Before the next permit comes, so that all of them hang up.
        let patience = Duration::from_millis(if number < 50 { 1 + number } else { 60 });
        tokio::time::timeout(patience, send())
    });
    assert!(join_all(hang_ups).await.iter().all(Result::is_err));
    let start = clock.now();
    assert_eq!(send().await.unwrap().status(), StatusCode::OK);
    (clock.now() - start).as_millis()
}

/// At two per second, one that comes after a hundred hang-ups waits for its own permit, and not for
/// theirs. They waited at any limiter, or at the key of a table.
#[tokio::test(start_paused = true)]
async fn hang_ups_cost_nothing() {
    let quota = Quota::per_second(2).burst(1);
    let clock = TokioClock::new();
    let bucket = move || TokenBucket::with_clock(quota, clock);
    // The half second, less what the hundred waited.
    let expected = 438..=441;
    let check = |waited: u128| assert!(expected.contains(&waited), "{waited} ms");

    check(wait_after_hang_ups(bucket()).await);
    check(wait_after_hang_ups(Arc::new(bucket())).await);
    check(wait_after_hang_ups(ShardedTokenBucket::with_clock(quota, clock)).await);
    check(wait_after_hang_ups(Combined::builder().limit("rate", bucket()).build()).await);
    // A window and a slot of 1/64.
    let window = SlidingWindow::with_clock(1, Duration::from_millis(500), clock).unwrap();
    let waited = wait_after_hang_ups(window).await;
    assert!((438..=450).contains(&waited), "{waited} ms");
    let config = RateLimitConfig {
        requests_per_minute: 120,
        burst_size: 1,
        ..RateLimitConfig::DEFAULT
    };
    check(wait_after_hang_ups(ApiRateLimiter::with_clock(config, clock).unwrap()).await);

    let key = |_: &RequestHead<'_>| Some(7_u32);
    let fixed = FixedKeyed::with_clock(quota, 100, clock);
    check(wait_after_hang_ups(PerKey::new(fixed, key)).await);
    let table = Arc::new(Keyed::new(move |_: &u32| bucket()));
    check(wait_after_hang_ups(PerKey::new(Arc::clone(&table), key)).await);
    assert_eq!(table.waiting(), 0);
}
