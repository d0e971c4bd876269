//! Calls that wait: many at once, in order, with a time limit.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use tidegate::{Denied, Quota};
use tidegate_redis::{AcquireError, RedisStore};
use tokio::task::JoinSet;

use crate::support::limiters::{bucket, combined, connect, keyed, slow};
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiters_are_served_in_the_order_of_their_arrival() {
    let server = ServerOptions::default().start();
    let store = connect(&server);
    let bucket = bucket(&store, "bucket", Quota::per_second(200).burst(20));
    bucket.try_acquire(20).await.unwrap();
    let order = Mutex::new(Vec::new());
    let acquire = async |number: usize, n| {
        bucket.acquire(n).await.unwrap();
        order.lock().unwrap().push(number);
    };
    tokio::join!(
        acquire(0, 10),
        acquire(1, 1),
        acquire(2, 20),
        acquire(3, 7),
        async {
            // Leaves the line, which goes on without it.
            let brief = bucket.acquire(19).timeout(Duration::from_millis(5));
            assert!(brief.await.is_err());
        },
        acquire(4, 2),
        acquire(5, 20),
    );
    assert_eq!(order.into_inner().unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_timeout_that_cannot_be_met_is_refused_at_once() {
    for server in Server::each_kind() {
        let store = connect(&server);
        let bucket = bucket(&store, "bucket", slow(5));
        bucket
            .acquire(5)
            .timeout(Duration::from_secs(9))
            .await
            .unwrap();
        let refused = bucket.acquire(1).timeout(Duration::from_secs(60)).await;
        let denied = refused.unwrap_err().denied();
        assert!(matches!(denied, Some(Denied::NotYet { .. })), "{denied:?}");
        let never = bucket.acquire(6).await.unwrap_err().denied();
        assert_eq!(never, Some(Denied::Never { capacity: 5 }));

        // Behind one that waits long, the time ends in the line.
        let line = tokio::time::timeout(Duration::from_millis(200), bucket.acquire(1));
        let behind = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            bucket.acquire(1).timeout(Duration::from_millis(20)).await
        };
        let (first, behind) = tokio::join!(line, behind);
        assert!(first.is_err());
        assert!(matches!(behind, Err(AcquireError::TimedOut)), "{behind:?}");
        assert_eq!(bucket.available().await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn combinations_and_keys_wait_too() {
    let server = ServerOptions::default().start();
    let store = connect(&server);
    let quotas = [
        ("requests", Quota::per_second(100).burst(2)),
        ("tokens", Quota::per_second(1_000).burst(20)),
    ];
    let model = combined(&store, "model", quotas);
    let users = keyed(&store, "users", quotas);
    for _ in 0..6 {
        model.acquire_each(&[1, 10]).await.unwrap();
        users.acquire("alice", 1).await.unwrap();
    }
    model.acquire(2).await.unwrap();
    let count = model.acquire_each(&[1]).await;
    assert!(matches!(count, Err(AcquireError::CostCount { limits: 2 })));
    let never = users.acquire("alice", 3).await.unwrap_err();
    assert_eq!(never.limit(), Some("requests"));
}

/// A burst of callers is sent in turns, so none of them times out after it was charged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_flight_are_bounded() {
    for server in Server::each_kind() {
        let builder = RedisStore::builder().timeout(crate::support::wait::PATIENCE);
        let store = builder.max_in_flight(8).connect(server.url()).unwrap();
        let bucket = Arc::new(bucket(&store, "bucket", slow(100_000)));
        bucket.try_acquire(1).await.unwrap();
        let mut calls = JoinSet::new();
        for _ in 0..5_000 {
            let bucket = Arc::clone(&bucket);
            calls.spawn(async move { bucket.try_acquire(1).await.is_ok() });
        }
        let mut most = 0;
        while let Some(admitted) = calls.join_next().await {
            assert!(admitted.unwrap());
            most = most.max(store.stats().in_flight);
        }
        assert!(most <= 8, "{most}");
        assert_eq!(bucket.available().await.unwrap(), 100_000 - 5_001);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_those_that_may_wait_are_refused() {
    let server = ServerOptions::default().start();
    let builder = RedisStore::builder().timeout(crate::support::wait::PATIENCE);
    let builder = builder.max_in_flight(2).max_waiting(3);
    let store = builder.connect(server.url()).unwrap();
    let bucket = Arc::new(bucket(&store, "bucket", slow(1_000)));
    bucket.try_acquire(1).await.unwrap();
    server.pause();
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let bucket = Arc::clone(&bucket);
        calls.spawn(async move { bucket.try_acquire(1).await });
    }
    for _ in 0..15 {
        let refused = calls.join_next().await.unwrap().unwrap();
        assert!(
            matches!(refused, Err(AcquireError::Overloaded)),
            "{refused:?}"
        );
    }
    eventually("two calls in flight", async || store.stats().in_flight == 2).await;
    server.resume();
    assert!(calls.join_all().await.into_iter().all(|call| call.is_ok()));
    assert_eq!(bucket.available().await.unwrap(), 1_000 - 6);
}

/// The tests of a program often share a store, though each has its own runtime.
#[test]
fn a_store_outlives_its_runtime() {
    for server in Server::each_kind() {
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().unwrap()
        };
        let first = runtime();
        let bucket = first.block_on(async {
            let bucket = bucket(&connect(&server), "bucket", slow(1_000));
            bucket.try_acquire(1).await.unwrap();
            bucket
        });
        drop(first);
        let mut admitted = 1;
        for _ in 0..40 {
            let next = runtime();
            for _ in 0..2 {
                next.block_on(bucket.try_acquire(1)).unwrap();
                admitted += 1;
            }
        }
        // Two at the same time, in turns.
        let two = [runtime(), runtime()];
        for number in 0..20 {
            two[number % 2].block_on(bucket.try_acquire(1)).unwrap();
            admitted += 1;
        }
        let left = two[0].block_on(bucket.available()).unwrap();
        assert_eq!(left, 1_000 - admitted);
        assert_eq!(two[1].block_on(async { bucket.stats().admitted }), admitted);
    }
}
