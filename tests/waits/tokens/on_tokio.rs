//! On tokio's threads, and in its paused time.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use std::sync::Mutex;

use tidegate::TokioClock;
use tokio::task::JoinSet;

use super::*;

/// One permit, a thousand tasks, and several threads to run them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_permit_is_handed_through_a_thousand_tasks() {
    let clock = ManualClock::new();
    let limiter = Arc::new(narrow(1, &clock));
    let inside = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for number in 0..1_000_u64 {
        let (limiter, inside) = (Arc::clone(&limiter), Arc::clone(&inside));
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
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let stats = limiter.stats();
    assert_eq!((stats.in_flight, stats.total_requests), (0, 667));
}

/// In order, 10 tokens each, a hundred seconds in no time.
#[tokio::test(start_paused = true)]
async fn ten_thousand_in_order() {
    let api = ApiRateLimiter::with_clock(CONFIG, TokioClock::new()).unwrap();
    api.record_tokens(1_000);
    let api = Arc::new(api);
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for number in 0..10_000_u32 {
        let (api, served) = (Arc::clone(&api), Arc::clone(&served));
        tasks.spawn(async move {
            let permit = api.acquire_tokens(10).await.unwrap();
            assert_eq!(
                permit.admitted_at(),
                Timestamp::ZERO + 10 * MILLI * (number + 1)
            );
            served.lock().unwrap().push(number);
            permit.settle(10);
        });
        // So that they come in this order.
        tokio::task::yield_now().await;
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    assert!(served.lock().unwrap().iter().copied().eq(0..10_000));
    assert_eq!(api.stats().total_tokens_used, 101_000);
}

#[tokio::test(start_paused = true)]
async fn timeouts_in_paused_time() {
    let config = RateLimitConfig {
        max_in_flight: Some(1),
        ..CONFIG
    };
    let api = ApiRateLimiter::with_clock(config, TokioClock::new()).unwrap();
    let permit = api.acquire_tokens(1_000).await.unwrap();
    let status = api
        .acquire_tokens_timeout(500, 499 * MILLI)
        .await
        .unwrap_err();
    assert_eq!(status.limited_by, Some(LimitKind::Tokens));
    assert_eq!(api.clock().now(), Timestamp::ZERO);
    // First for the tokens, and then for the permit.
    let status = api.acquire_tokens_timeout(500, SECOND).await.unwrap_err();
    assert_eq!(status.limited_by, Some(LimitKind::InFlight));
    assert!(api.clock().now() >= Timestamp::ZERO + SECOND);
    permit.settle(1_000);
    drop(api.acquire_tokens_timeout(500, SECOND).await.unwrap());
}
