//! API limiters on tokio's threads, and in its paused time.

use alloc::sync::Arc;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use tidegate::{ApiRateLimiter, Clock, LimitKind, Timestamp, TokioClock};
use tokio::task::JoinSet;

use super::{TOKENS, limiter, max_in_flight};
use crate::tokio_tasks::assert_served_in_order;
use crate::{MILLISECOND, SECOND};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thousand_tasks_share_one_permit() {
    let (limiter, ..) = limiter(max_in_flight(1));
    let inside = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for number in 0..1_000_u64 {
        let (limiter, inside) = (limiter.clone(), Arc::clone(&inside));
        tasks.spawn(async move {
            let mut permit = limiter.acquire_tokens(1).await.unwrap();
            assert_eq!(inside.fetch_add(1, Relaxed), 0);
            tokio::task::yield_now().await;
            inside.fetch_sub(1, Relaxed);
            match number % 3 {
                0 => permit.settle(0),
                1 => drop(permit),
                _ => {
                    permit.commit();
                    permit.settle(0);
                }
            }
        });
    }
    tasks.join_all().await;
    let stats = limiter.stats();
    assert_eq!((stats.in_flight, stats.total_requests), (0, 667));
}

/// With 10 tokens each, in a hundred seconds of paused time.
#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_are_served_in_order() {
    let api = ApiRateLimiter::with_clock(TOKENS, TokioClock::new()).unwrap();
    api.record_tokens(1_000);
    assert_served_in_order(|number| {
        let call = api.acquire_tokens(10);
        async move {
            let permit = call.await.unwrap();
            let due = Timestamp::ZERO + 10 * MILLISECOND * (number + 1);
            assert_eq!(permit.admitted_at(), due);
            permit.settle(10);
        }
    })
    .await;
    assert_eq!(api.stats().total_tokens_used, 101_000);
}

#[tokio::test(start_paused = true)]
async fn timeouts_in_paused_time() {
    let api = ApiRateLimiter::with_clock(max_in_flight(1), TokioClock::new()).unwrap();
    let permit = api.acquire_tokens(1_000).await.unwrap();
    let status = api
        .acquire_tokens(500)
        .timeout(499 * MILLISECOND)
        .await
        .unwrap_err();
    assert_eq!(status.limited_by, Some(LimitKind::Tokens));
    assert_eq!(api.clock().now(), Timestamp::ZERO);
    // Waits for the tokens, and then for the call in flight.
    let status = api.acquire_tokens(500).timeout(SECOND).await.unwrap_err();
    assert_eq!(status.limited_by, Some(LimitKind::InFlight));
    assert!(api.clock().now() >= Timestamp::ZERO + SECOND);
    permit.settle(1_000);
    drop(api.acquire_tokens(500).timeout(SECOND).await.unwrap());
}
