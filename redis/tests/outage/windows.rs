//! Windows while the server is missing, and after it was killed.

use core::time::Duration;

use tidegate_redis::{
    AdmittedBy, FailurePolicy, LimiterOptions, RedisCombined, RedisSlidingWindow, RedisStore,
    SharedLimit,
};

use super::policies::LOCAL;
use super::store;
use crate::support::limiters::{HOUR, slow};
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;

fn window(store: &RedisStore, limit: u64, policy: FailurePolicy) -> RedisSlidingWindow {
    let options = LimiterOptions::new().on_failure(policy);
    RedisSlidingWindow::with_options(store, "window", limit, HOUR, options).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_and_open_windows_decide_without_the_server() {
    let server = ServerOptions::default().start();
    let store = store(server.url());
    let (closed, open) = (
        window(&store, 10, FailurePolicy::Closed),
        window(&store, 10, FailurePolicy::Open),
    );
    eventually("the server", async || closed.try_acquire(10).await.ok()).await;
    server.pause();
    let error = closed.acquire(1).await.unwrap_err();
    assert!(
        error.is_unavailable() || error.denied().is_some(),
        "{error}"
    );
    assert!(closed.available().await.unwrap_err().is_unavailable());
    let admitted = open.try_acquire(10).await.unwrap();
    assert_eq!(
        (admitted.by(), admitted.available()),
        (AdmittedBy::FailOpen, None)
    );
    server.resume();
    eventually("a denial by the server", async || {
        open.try_acquire(1).await.err()?.denied()
    })
    .await;
}

/// The share of a window is a part of its limit, which is reported when the server is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_share_is_charged_once_when_the_server_is_back() {
    for server in Server::each_kind() {
        let store = store(server.url());
        let alone = window(&store, 100, LOCAL);
        let limits = [
            ("calls", SharedLimit::from(slow(1_000))),
            ("hour", SharedLimit::window(200, HOUR)),
        ];
        let options = LimiterOptions::new().on_failure(LOCAL);
        let mixed = RedisCombined::with_options(&store, "mixed", limits, options).unwrap();
        eventually("the server", async || alone.available().await.ok()).await;
        server.pause();
        let (mut share, mut both) = (0, 0);
        while alone.try_acquire(1).await.is_ok() {
            share += 1;
        }
        while mixed.try_acquire(1).await.is_ok() {
            both += 1;
        }
        assert_eq!((share, both), (25, 50));
        assert_eq!(
            mixed.try_acquire(1).await.unwrap_err().limit(),
            Some("hour")
        );
        server.resume();
        // The first call may have reached the server and been charged there as well.
        for _ in 0..2 {
            let left = eventually("the server", async || alone.available().await.ok()).await;
            assert!((74..=75).contains(&left), "{left}");
            let left = eventually("the server", async || mixed.available().await.ok()).await;
            assert!((149..=150).contains(&left[1]), "{left:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_remembers_its_windows() {
    let mut server = ServerOptions::default().durable().start();
    let store = store(server.url());
    let window = window(&store, 10, FailurePolicy::Closed);
    let mut admitted = 0;
    for round in 1..=3 {
        for _ in 0..3 {
            eventually("the server", async || {
                let result = window.try_acquire(1).await;
                // A lost reply may have been charged.
                admitted += u64::from(
                    result
                        .as_ref()
                        .map_or_else(tidegate_redis::AcquireError::is_unavailable, |_| true),
                );
                result.is_ok() || admitted >= 10
            })
            .await;
        }
        let blocking = tokio::task::spawn_blocking(move || {
            server.restart();
            server
        });
        server = blocking.await.unwrap();
        let left = eventually("the server", async || window.available().await.ok()).await;
        assert!(
            left <= 10 - 3 * round && left + admitted >= 10,
            "{left} of 10"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
