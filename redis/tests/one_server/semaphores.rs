//! Semaphores: permits of several nodes on one server that always answers.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use tidegate::Denied;
use tidegate_redis::{
    AcquireError, AdmittedBy, BuildError, RedisSemaphore, RedisStore, SemaphoreOptions,
    SemaphorePermit,
};
use tokio::task::JoinSet;

use super::{each_server, ms};
use crate::support::holds::{Holds, assert_never_more_held};
use crate::support::limiters::{HOUR, connect};
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::{PATIENCE, eventually};

fn semaphore(store: &RedisStore, limit: u64) -> RedisSemaphore {
    let options = SemaphoreOptions::new().poll_interval(Duration::from_millis(2));
    let options = options.ttl(HOUR);
    RedisSemaphore::with_options(store, "semaphore", limit, options).unwrap()
}

async fn all_back(semaphore: &RedisSemaphore) {
    eventually("all permits", async || {
        semaphore.in_use().await.unwrap() == 0
    })
    .await;
}

#[tokio::test]
async fn permits_come_back_when_they_are_dropped() {
    for server in Server::each_kind() {
        let store = connect(&server);
        let (one, two) = (semaphore(&store, 3), semaphore(&store, 3));
        let first = one.try_acquire(2).await.unwrap();
        assert_eq!((first.permits(), first.by()), (2, AdmittedBy::Server));
        assert!(first.is_held());
        let second = two.acquire(1).await.unwrap();
        assert_eq!(one.in_use().await.unwrap(), 3);
        for node in [&one, &two] {
            let busy = node.try_acquire(1).await.unwrap_err();
            assert!(matches!(busy.denied(), Some(Denied::Busy { .. })), "{busy}");
            assert!(busy.retry_after().is_some());
        }
        let never = one.acquire(4).await.unwrap_err().denied();
        assert_eq!(never, Some(Denied::Never { capacity: 3 }));
        assert_eq!(one.try_acquire(0).await.unwrap().permits(), 0);
        drop(first);
        let third = two.acquire(2).await.unwrap();
        assert_eq!(two.stats().out, 3);
        drop((second, third));
        all_back(&one).await;
        assert_eq!(one.stats().denied, 1);
        assert_eq!((two.stats().granted, two.stats().out), (3, 0));
    }
}

#[tokio::test]
async fn waiters_are_served_in_the_order_of_their_arrival() {
    let server = ServerOptions::default().start();
    let semaphore = semaphore(&connect(&server), 4);
    let first = semaphore.acquire(4).await.unwrap();
    let order = Mutex::new(Vec::new());
    let acquire = async |number: usize, n| {
        let permit = semaphore.acquire(n).await.unwrap();
        order.lock().unwrap().push(number);
        tokio::task::yield_now().await;
        drop(permit);
    };
    tokio::join!(
        acquire(0, 3),
        acquire(1, 2),
        acquire(2, 4),
        async {
            let brief = semaphore.acquire(4).timeout(Duration::from_millis(5)).await;
            assert!(matches!(brief, Err(AcquireError::TimedOut)), "{brief:?}");
            drop(first);
        },
        acquire(3, 1),
        acquire(4, 4),
    );
    assert_eq!(order.into_inner().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(semaphore.stats().waiting, 0);
    all_back(&semaphore).await;
}

#[tokio::test]
async fn numbers_that_no_semaphore_has_are_build_errors() {
    let server = ServerOptions::default().start();
    let store = connect(&server);
    for limit in [0, (1 << 40) + 1, u64::MAX] {
        let error = RedisSemaphore::new(&store, "semaphore", limit).unwrap_err();
        assert_eq!(error, BuildError::PermitCount { max: 1 << 40 });
    }
    let largest = RedisSemaphore::new(&store, "largest", 1 << 40).unwrap();
    let all = largest.try_acquire(1 << 40).await.unwrap();
    assert!(largest.try_acquire(1).await.is_err());
    drop(all);
    all_back(&largest).await;
}

/// Three nodes with more callers than permits, some of which give up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_than_the_limit_is_held() {
    for server in Server::each_kind() {
        let mut callers = JoinSet::new();
        let nodes: Vec<_> = (0..3).map(|_| semaphore(&connect(&server), 3)).collect();
        for number in 0..12_u64 {
            let node = nodes[usize::try_from(number).unwrap() % 3].clone();
            callers.spawn(async move {
                let mut holds = Holds::default();
                for round in 0..12 {
                    let patience = Duration::from_millis((number + round) % 5);
                    let permits = 1 + (number + round) % 2;
                    let permit = if (number + round) % 3 == 0 {
                        tokio::time::timeout(patience, async { node.acquire(permits).await }).await
                    } else {
                        Ok(node.acquire(permits).await)
                    };
                    if let Ok(permit) = permit {
                        holds
                            .use_for(permit.unwrap(), Duration::from_millis(1))
                            .await;
                    }
                }
                holds
            });
        }
        let holds = callers.join_all().await;
        let served = holds.iter().map(Holds::len).sum::<usize>();
        assert!(served >= 12 * 8, "all that wait long are served: {served}");
        assert_never_more_held(3, holds);
        for node in &nodes {
            all_back(node).await;
            let stats = node.stats();
            assert_eq!((stats.out, stats.waiting, stats.lost), (0, 0, 0));
        }
    }
}

/// One request asks for 1,024 calls, so those behind them are asked for with the next.
#[tokio::test]
async fn no_call_is_refused_that_was_not_asked_for() {
    let server = ServerOptions::default().start();
    let semaphore = semaphore(&connect(&server), 1 << 20);
    let calls = (0..3_000).map(|_| {
        let semaphore = semaphore.clone();
        async move { semaphore.try_acquire(1).await }
    });
    let permits = calls.collect::<JoinSet<_>>().join_all().await;
    assert!(permits.iter().all(Result::is_ok), "{:?}", semaphore.stats());
    assert_eq!(semaphore.in_use().await.unwrap(), 3_000);
}

/// The node looks at the server again in a quarter of an hour.
#[tokio::test]
async fn a_call_that_does_not_wait_keeps_no_other_waiting() {
    let server = ServerOptions::default().start();
    let store = connect(&server);
    let options = SemaphoreOptions::new().poll_interval(HOUR).ttl(HOUR);
    let [one, two] =
        [(); 2].map(|()| RedisSemaphore::with_options(&store, "semaphore", 4, options).unwrap());
    let _held = two.acquire(2).await.unwrap();
    let both = async { tokio::join!(one.try_acquire(3), one.acquire(1)) };
    let (refused, granted) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    assert!(refused.is_err() && granted.is_ok());
}

/// Handles that are made for one call each are nodes of their own.
#[tokio::test]
async fn a_handle_that_holds_nothing_leaves_nothing_on_the_server() {
    let server = ServerOptions::default().start();
    let store = connect(&server);
    let held = semaphore(&store, 1).try_acquire(1).await.unwrap();
    for _ in 0..50 {
        assert!(semaphore(&store, 1).try_acquire(1).await.is_err());
    }
    let length: u64 = server.query(&["STRLEN", "tidegate:{semaphore}"]);
    assert_eq!(length, 22 + 58);
    drop(held);
    for _ in 0..50 {
        drop(semaphore(&store, 1).acquire(1).await.unwrap());
    }
    // The time to live is an hour.
    eventually("no record", async || {
        server.query::<u64>(&["EXISTS", "tidegate:{semaphore}"]) == 0
    })
    .await;
}

/// A runtime that ends takes its tasks along, as a process that is killed.
fn take_and_die(server: &Server, limit: u64, n: u64) -> SemaphorePermit {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let permit = runtime.block_on(async {
        let semaphore = semaphore(&connect(server), limit);
        semaphore.acquire(n).await.unwrap()
    });
    runtime.shutdown_timeout(PATIENCE);
    permit
}

#[test]
fn permits_of_a_dead_node_come_back_after_its_time_to_live_and_not_before() {
    for server in each_server() {
        let permit = take_and_die(&server, 3, 2);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let other = semaphore(&connect(&server), 3);
            let one = other.try_acquire(1).await.unwrap();
            server.set_clock_offset_ms(ms(HOUR) - 120_000);
            assert!(other.try_acquire(1).await.is_err());
            assert_eq!(other.in_use().await.unwrap(), 3);
            // This node has renewed its own just now.
            server.set_clock_offset_ms(ms(HOUR + Duration::from_secs(1)));
            let rest = other.try_acquire(2).await.unwrap();
            assert_eq!(other.in_use().await.unwrap(), 3);
            drop((one, rest));
            all_back(&other).await;
        });
        drop(permit);
    }
}

/// A permit that is used in one runtime while the task was started in another, which ends.
#[test]
fn a_semaphore_outlives_its_runtime() {
    let server = ServerOptions::default().start();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let first = runtime();
    let (semaphore, permit) = first.block_on(async {
        let semaphore = semaphore(&connect(&server), 2);
        let permit = semaphore.acquire(1).await.unwrap();
        (semaphore, permit)
    });
    drop(first);
    let second = runtime();
    second.block_on(async {
        let more = semaphore.acquire(1).await.unwrap();
        assert!(semaphore.try_acquire(1).await.is_err());
        assert!(permit.is_held());
        drop((permit, more));
        all_back(&semaphore).await;
        let _all = semaphore.acquire(2).await.unwrap();
    });
}

/// The task ends with its runtime while permits are in use in another one, which makes no calls.
#[test]
fn permits_are_renewed_in_each_runtime_that_uses_them() {
    let server = ServerOptions::default().start();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    };
    let (first, ended, second) = (runtime(), runtime(), runtime());
    let semaphore = {
        let _inside = second.enter();
        semaphore(&connect(&server), 3)
    };
    let take = |runtime: &tokio::runtime::Runtime| {
        let permit = runtime.block_on(async { semaphore.acquire(1).await });
        permit.unwrap()
    };
    let permits = [take(&first), take(&second), take(&ended)];
    ended.shutdown_timeout(PATIENCE);
    // A server without data learns what the node holds with its next request.
    server.query::<u64>(&["DEL", "tidegate:{semaphore}"]);
    first.shutdown_timeout(PATIENCE);
    second.block_on(async {
        eventually("the next request", async || {
            semaphore.in_use().await.unwrap() == 3
        })
        .await;
        drop(permits);
        all_back(&semaphore).await;
    });
}

/// While others wait, a node that gives permits back does not keep them for itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_wait_take_turns() {
    let server = ServerOptions::default().start();
    let nodes: Vec<_> = (0..3).map(|_| semaphore(&connect(&server), 1)).collect();
    let counts = Arc::new(Mutex::new([0_u64; 3]));
    let mut callers = JoinSet::new();
    for (number, node) in nodes.iter().enumerate() {
        // The first node has many more callers.
        for _ in 0..[8, 1, 1][number] {
            let (node, counts) = (node.clone(), Arc::clone(&counts));
            callers.spawn(async move {
                for _ in 0.. {
                    let permit = node.acquire(1).await.unwrap();
                    let mut counts = counts.lock().unwrap();
                    counts[number] += 1;
                    let is_over = counts.iter().all(|counts| *counts >= 5);
                    drop(counts);
                    drop(permit);
                    if is_over {
                        return;
                    }
                }
            });
        }
    }
    let ended = tokio::time::timeout(PATIENCE, callers.join_all()).await;
    assert!(ended.is_ok(), "{:?}", counts.lock().unwrap());
}
