//! Semaphores while the server is missing, loses its data, or its answers do not arrive.

use core::num::NonZeroU32;
use core::time::Duration;

use tidegate::Denied;
use tidegate_redis::{
    AdmittedBy, FailurePolicy, RedisSemaphore, RedisStore, SemaphoreOptions, SemaphorePermit,
};
use tokio::task::JoinSet;

use super::proxy::Proxy;
use super::store;
use crate::support::holds::{Holds, assert_never_more_held};
use crate::support::limiters::patient_store;
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::{PATIENCE, eventually};

const fn options() -> SemaphoreOptions {
    SemaphoreOptions::new().poll_interval(Duration::from_millis(2))
}

fn semaphore(store: &RedisStore, limit: u64, options: SemaphoreOptions) -> RedisSemaphore {
    RedisSemaphore::with_options(store, "semaphore", limit, options).unwrap()
}

/// A permit as soon as the server grants one.
async fn from_server(semaphore: &RedisSemaphore) -> SemaphorePermit {
    eventually("a permit", async || {
        let permit = semaphore.try_acquire(1).await.ok()?;
        (permit.by() == AdmittedBy::Server).then_some(permit)
    })
    .await
}

async fn all_back(semaphore: &RedisSemaphore) {
    eventually("all permits", async || {
        semaphore.in_use().await.is_ok_and(|n| n == 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_refuses_those_that_wait_and_goes_on_afterwards() {
    let server = ServerOptions::default().start();
    let semaphore = semaphore(&store(server.url()), 1, options());
    let permit = from_server(&semaphore).await;
    server.pause();
    let mut waiting = JoinSet::new();
    for _ in 0..3 {
        let semaphore = semaphore.clone();
        waiting.spawn(async move { semaphore.acquire(1).await.unwrap_err() });
    }
    for error in waiting.join_all().await {
        assert!(error.is_unavailable(), "{error}");
    }
    // Ten seconds have not passed, or the machine stood still for as long.
    assert!(permit.is_held() || semaphore.stats().lost > 0);
    server.resume();
    drop(permit);
    drop(from_server(&semaphore).await);
    all_back(&semaphore).await;
}

/// The requests of a node take much longer than ten polls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_far_node_keeps_its_turn() {
    let server = ServerOptions::default().tcp().start();
    let proxy = Proxy::slow(server.port().unwrap(), Duration::from_millis(100)).await;
    let options = SemaphoreOptions::new().poll_interval(Duration::from_millis(1));
    let options = options.ttl(Duration::from_secs(600));
    let near = semaphore(&patient_store().connect(server.url()).unwrap(), 2, options);
    let far = semaphore(&patient_store().connect(proxy.url()).unwrap(), 2, options);
    let held = near.try_acquire(1).await.unwrap();
    let waiting = tokio::spawn({
        let far = far.clone();
        async move { far.acquire(2).await }
    });
    // One has been answered.
    eventually("two requests", async || far.stats().requests >= 2).await;
    for _ in 0..30 {
        assert!(near.try_acquire(1).await.is_err(), "the far node waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(held);
    let both = tokio::time::timeout(PATIENCE, waiting).await;
    assert_eq!(both.unwrap().unwrap().unwrap().permits(), 2);
}

/// The store asks a server that is down once an hour. An error is no outage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_failed_is_repeated_in_time() {
    let server = ServerOptions::default().start();
    let store = patient_store().probe_interval(Duration::from_secs(3_600));
    let store = store.connect(server.url()).unwrap();
    let options = options().ttl(Duration::from_secs(24));
    let semaphore = semaphore(&store, 2, options);
    let permits = [from_server(&semaphore).await, from_server(&semaphore).await];
    let () = server.query(&["SET", "tidegate:{semaphore}", "something else"]);
    let [_held, back] = permits;
    drop(back);
    eventually("an error", async || store.last_error().is_some()).await;
    let before = semaphore.stats().requests;
    server.query::<u64>(&["DEL", "tidegate:{semaphore}"]);
    eventually("the next request", async || {
        semaphore.stats().requests > before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_policies_admit_counts_when_the_server_is_back() {
    let nodes = NonZeroU32::new(2).unwrap();
    for policy in [FailurePolicy::Open, FailurePolicy::Local { nodes }] {
        let server = ServerOptions::default().start();
        let store = store(server.url());
        let semaphore = semaphore(&store, 4, options().on_failure(policy));
        let first = from_server(&semaphore).await;
        server.pause();
        let admitted = semaphore.acquire(1).await.unwrap();
        assert!(admitted.is_held());
        let more = semaphore.try_acquire(4).await;
        let mut out = 2;
        if policy == FailurePolicy::Open {
            assert_eq!(more.as_ref().unwrap().by(), AdmittedBy::FailOpen);
            assert_eq!(semaphore.stats().open_admitted, 5);
            out += 4;
        } else {
            // The share of two permits is out.
            assert_eq!(admitted.by(), AdmittedBy::LocalShare);
            let busy = more.as_ref().unwrap_err().denied();
            assert!(matches!(busy, Some(Denied::Busy { .. })), "{busy:?}");
            assert_eq!(semaphore.stats().local_admitted, 1);
            // One that waits is served when another comes back.
            let waits = semaphore.acquire(1);
            let (second, ()) = tokio::join!(waits, async { drop(admitted) });
            drop(second.unwrap());
            out -= 1;
        }
        server.resume();
        // The first one may be lost by now if the machine stood still.
        let lost = async || u64::from(!first.is_held());
        eventually("the report", async || {
            let expected = out - lost().await;
            semaphore
                .in_use()
                .await
                .is_ok_and(|in_use| in_use == expected)
        })
        .await;
        drop((first, more));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_reach_the_server_knows_what_it_has_lost() {
    for server in Server::each_kind() {
        let options = options().ttl(Duration::from_millis(400));
        let semaphore = semaphore(&store(server.url()), 2, options);
        let permit = from_server(&semaphore).await;
        let kept = tokio::time::timeout(Duration::from_millis(600), permit.lost()).await;
        // It is renewed, unless the machine stands still.
        assert!(kept.is_err() || semaphore.stats().lost > 0);
        server.pause();
        let lost = tokio::time::timeout(PATIENCE, permit.lost()).await;
        assert!(lost.is_ok() && !permit.is_held());
        server.resume();
        let both = eventually("two permits", async || {
            semaphore
                .try_acquire(2)
                .await
                .ok()
                .filter(SemaphorePermit::is_held)
        })
        .await;
        // A lost permit stays lost, and nothing comes back when it is dropped.
        assert!(!permit.is_held());
        permit.lost().await;
        drop(permit);
        assert_eq!(both.permits(), 2);
        drop(both);
        all_back(&semaphore).await;
        assert!(semaphore.stats().lost >= 1);
    }
}

/// With its file the server knows all permits. Without, the nodes tell it what they hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permits_outlive_a_restart_of_the_server() {
    for durable in [true, false] {
        let options = options().ttl(Duration::from_secs(60));
        let mut server = if durable {
            ServerOptions::default().durable().start()
        } else {
            ServerOptions::default().start()
        };
        let nodes = [(); 2].map(|()| semaphore(&store(server.url()), 3, options));
        let permits = [from_server(&nodes[0]).await, from_server(&nodes[0]).await];
        let other = from_server(&nodes[1]).await;
        let blocking = tokio::task::spawn_blocking(move || {
            server.restart();
            server
        });
        server = blocking.await.unwrap();
        // A node tells all that it holds with its next request.
        for node in &nodes {
            eventually("an answer", async || {
                node.try_acquire(3)
                    .await
                    .is_err_and(|error| !error.is_unavailable())
            })
            .await;
        }
        assert_eq!(nodes[0].in_use().await.unwrap(), 3);
        assert!(permits.iter().chain([&other]).all(SemaphorePermit::is_held));
        drop((permits, other));
        all_back(&nodes[0]).await;
        drop(server);
    }
}

/// Connections end in the middle of answers. So the server knows of permits of which no node does,
/// until the next request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_leak_no_permit() {
    for options_of_server in ServerOptions::each_kind() {
        let server = options_of_server.tcp().start();
        let proxy = Proxy::losing(server.port().unwrap(), 9).await;
        let options = options().ttl(Duration::from_secs(60));
        let nodes: Vec<_> = (0..3)
            .map(|_| semaphore(&store(proxy.url()), 2, options))
            .collect();
        let mut callers = JoinSet::new();
        for number in 0..6 {
            let node = nodes[number % 3].clone();
            callers.spawn(async move {
                let mut holds = Holds::default();
                while holds.len() < 10 {
                    // Refused while the server counts as down.
                    match node.acquire(1).await {
                        Ok(permit) => holds.use_for(permit, Duration::from_millis(1)).await,
                        Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
                    }
                }
                holds
            });
        }
        let holds = tokio::time::timeout(PATIENCE, callers.join_all()).await;
        assert_never_more_held(2, holds.expect("permits go on"));
        let failed: u64 = nodes.iter().map(|node| node.stats().unavailable).sum();
        assert!(failed > 0, "some answers were lost");
        // Long before the time to live.
        let observer = semaphore(&store(server.url()), 2, options);
        all_back(&observer).await;
        assert_eq!(from_server(&observer).await.permits(), 1);
    }
}
