//! How a store connects: its own connections, those of the caller, addresses, and access rights.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "servers live in real time")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have `std`")]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod old_servers;
mod ping;

use redis::ErrorKind;
use redis::aio::ConnectionManager;
use tidegate::{Quota, RateLimitConfig};
use tidegate_redis::{
    CallEnding, Connection, LeaseOptions, RedisApiRateLimiter, RedisSemaphore, RedisSlidingWindow,
    RedisStore, RedisTokenBucket,
};

use support::limiters::{HOUR, bucket, combined, keyed, patient_store, uncached};
use support::server::ServerOptions;

/// Uses every kind of limiter and every operation, on new buckets.
async fn check_every_limiter(store: &RedisStore, name: &str) {
    let quota = Quota::per_day(10);
    let limits = [("x", quota), ("y", quota)];
    let bucket = bucket(store, name, quota);
    assert_eq!(bucket.peek(1).await.unwrap().available(), Some(10));
    assert_eq!(bucket.try_acquire(1).await.unwrap().available(), Some(9));
    bucket.debit(3).await.unwrap();
    assert_eq!(bucket.available().await.unwrap(), 6);
    bucket.reset().await.unwrap();
    assert_eq!(bucket.available().await.unwrap(), 10);

    let combined = combined(store, name, limits);
    combined.try_acquire_each(&[1, 2]).await.unwrap();
    assert_eq!(combined.available().await.unwrap(), [9, 8]);
    let keyed = keyed(store, name, limits);
    keyed.try_acquire_each(name, &[1, 2]).await.unwrap();
    assert_eq!(keyed.available(name).await.unwrap(), [9, 8]);
    keyed.reset(name).await.unwrap();

    let leased = bucket.lease(LeaseOptions::new()).await;
    leased.acquire(1).await.unwrap();
    leased.close().await;
    assert_eq!(leased.bucket().available().await.unwrap(), 9);

    let window = format!("{name}-window");
    let window = RedisSlidingWindow::new(store, &window, 10, HOUR).unwrap();
    for left in [9, 8] {
        assert_eq!(window.try_acquire(1).await.unwrap().available(), Some(left));
    }
    window.try_acquire(9).await.unwrap_err();
    window.debit(3).await.unwrap();
    assert_eq!(window.available().await.unwrap(), 5);
    window.reset().await.unwrap();

    let semaphore = format!("{name}-semaphore");
    let semaphore = RedisSemaphore::new(store, &semaphore, 2).unwrap();
    let permit = semaphore.acquire(2).await.unwrap();
    assert_eq!(semaphore.in_use().await.unwrap(), 2);
    drop(permit);
    drop(semaphore.acquire(1).await.unwrap());

    let config = RateLimitConfig::DEFAULT;
    let api = RedisApiRateLimiter::new(store, name, config).unwrap();
    let permit = api.reserve_tokens(1_000).await.unwrap();
    assert_eq!(permit.settle(400).await.unwrap(), CallEnding::Done);
    drop(api.reserve_tokens(1_000).await.unwrap());
    api.delivered().await;
    api.record_tokens(100).await.unwrap();
    api.resume().await.unwrap();
    let stats = api.stats().await.unwrap();
    assert_eq!((stats.total_requests, stats.total_tokens_used), (1, 500));

    // Writes a bucket that never expires.
    let starts_empty = uncached().start_empty(HOUR);
    let name = format!("{name}-empty");
    let empty = RedisTokenBucket::with_options(store, &name, quota, starts_empty).unwrap();
    assert_eq!(empty.available().await.unwrap(), 0);
    let stats = store.stats();
    assert_eq!((stats.errors, stats.open_breakers), (0, 0));
}

fn store_on(connection: impl Into<Connection>, prefix: &str) -> RedisStore {
    patient_store().prefix(prefix).connection(connection)
}

#[tokio::test]
async fn caller_may_provide_the_connection() {
    for options in ServerOptions::each_kind() {
        let server = options.tcp().start();
        for (prefix, url) in [("tcp", server.url()), ("unix", server.socket_url())] {
            let client = redis::Client::open(url).unwrap();
            let manager = ConnectionManager::new(client.clone()).await.unwrap();
            let store = store_on(manager, &format!("{prefix} manager"));
            check_every_limiter(&store, "name").await;
            assert!(format!("{store:?}").contains("ConnectionManager"));
            let multiplexed = client.get_multiplexed_async_connection().await.unwrap();
            let store = store_on(multiplexed, &format!("{prefix} multiplexed"));
            check_every_limiter(&store, "name").await;
            assert!(format!("{store:?}").contains("MultiplexedConnection"));
            assert_eq!(store.stats().breakers, 1);
        }
    }
}

#[tokio::test]
async fn address_may_name_a_database_and_a_protocol() {
    for options in ServerOptions::each_kind() {
        let server = options.tcp().start();
        // Each database has its own buckets, although the names are the same.
        for path in ["/0", "/5", "/6?protocol=resp3"] {
            let store = patient_store().connect(server.url() + path).unwrap();
            check_every_limiter(&store, "name").await;
        }
    }
}

#[tokio::test]
async fn invalid_addresses_are_rejected() {
    for url in [
        "",
        "no address",
        "http://127.0.0.1/",
        "redis://",
        "redis://127.0.0.1/x",
        "redis://a:b:c",
    ] {
        let error = RedisStore::connect(url).expect_err(url);
        assert_eq!(
            error.kind(),
            ErrorKind::InvalidClientConfig,
            "{url:?}: {error}"
        );
    }
}

#[cfg(feature = "cluster")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caller_may_provide_a_cluster_connection() {
    use redis::cluster::ClusterClient;
    use support::cluster::Cluster;

    for cluster in Cluster::each_kind() {
        // One node is enough to find the others.
        let nodes = [cluster.node(1).url()];
        let client = ClusterClient::builder(nodes).retries(0).build().unwrap();
        let connection = client.get_async_connection().await.unwrap();
        let store = store_on(connection, "prefix");
        check_every_limiter(&store, "name").await;
        assert!(format!("{store:?}").contains("ClusterConnection"));
        assert_eq!(store.stats().breakers, 64);
    }
    let unreachable = patient_store().connect_cluster(["redis://127.0.0.1:1"]);
    unreachable.await.unwrap_err();
}
