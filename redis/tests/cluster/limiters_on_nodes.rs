//! Each kind of limiter works on each node.

use tidegate::{Quota, RateLimitConfig};
use tidegate_redis::inspect::ScanCursor;
use tidegate_redis::{
    BuildError, CallEnding, RedisApiRateLimiter, RedisSemaphore, RedisSlidingWindow, SharedLimit,
};

use crate::support::cluster::Cluster;
use crate::support::limiters::{HOUR, bucket, combined, connect_cluster, keyed, lease};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_limiter_works_on_every_node() {
    for cluster in Cluster::each_kind() {
        let store = connect_cluster(&cluster).await;
        let quota = Quota::per_day(100);
        let limits = [("x", quota), ("y", quota)];
        let keyed = keyed(&store, "keyed", limits);
        for node in 0..cluster.len() {
            // The text in braces selects the slot, so a name is on the node of the equal key.
            let name = cluster.key_on(node, "name");
            let bucket = bucket(&store, &name, quota);
            let both = combined(&store, &name, limits);
            let leased = lease(&store, &name, quota).await;
            for n in 1..=5 {
                bucket.try_acquire(1).await.unwrap();
                both.try_acquire_each(&[1, 2]).await.unwrap();
                keyed.try_acquire_each(&name, &[1, 2]).await.unwrap();
                leased.acquire(1).await.unwrap();
                let available = both.available().await.unwrap();
                assert_eq!(available, [100 - n, 100 - 2 * n]);
            }
            leased.close().await;
            let available = bucket.available().await.unwrap();
            assert_eq!(available, 90, "the lease takes from the same bucket");
            assert_eq!(keyed.available(&name).await.unwrap(), [95, 90]);
            bucket.try_acquire(91).await.unwrap_err();
            bucket.reset().await.unwrap();
            assert_eq!(bucket.available().await.unwrap(), 100);
            let name = cluster.key_on(node, "window");
            let window = RedisSlidingWindow::new(&store, &name, 100, HOUR).unwrap();
            let mixed = [
                ("bucket", SharedLimit::from(quota)),
                ("window", SharedLimit::window(100, HOUR)),
            ];
            let mixed = combined(&store, &name, mixed);
            for n in 1..=5 {
                window.acquire(1).await.unwrap();
                mixed.try_acquire_each(&[1, 2]).await.unwrap();
                let available = mixed.available().await.unwrap();
                assert_eq!(available, [100 - n, 100 - 2 * n]);
            }
            assert_eq!(window.available().await.unwrap(), 95);
            let name = cluster.key_on(node, "semaphore");
            let semaphore = RedisSemaphore::new(&store, &name, 2).unwrap();
            let permit = semaphore.acquire(2).await.unwrap();
            assert!(semaphore.try_acquire(1).await.is_err());
            drop(permit);
            assert_eq!(semaphore.acquire(1).await.unwrap().permits(), 1);
            // The node received each of the three scripts once.
            assert_eq!(cluster.node(node).calls("eval"), 3);
            for other in node + 1..cluster.len() {
                assert_eq!(cluster.node(other).calls("evalsha"), 0);
            }
        }
        let stats = store.stats();
        assert_eq!((stats.errors, stats.evals), (0, 9));
        assert_eq!((stats.open_breakers, stats.breakers), (0, 64));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn script_is_sent_once_to_the_node_that_lost_it() {
    for cluster in Cluster::each_kind() {
        let store = connect_cluster(&cluster).await;
        let keyed = keyed(&store, "keyed", Quota::per_day(100));
        let keys = cluster.key_on_each("key");
        for round in 0..3 {
            for key in &keys {
                keyed.try_acquire(key, 1).await.unwrap();
            }
            if round == 0 {
                cluster.node(1).flush_scripts();
            }
        }
        let evals = |node: usize| cluster.node(node).calls("eval");
        assert_eq!([0, 1, 2].map(evals), [1, 2, 1]);
        for key in &keys {
            // Each call was charged once.
            assert_eq!(keyed.available(key).await.unwrap(), [97]);
        }
        assert_eq!(store.stats().errors, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scan_asks_every_node() {
    for cluster in Cluster::each_kind() {
        let store = connect_cluster(&cluster).await;
        let keyed = keyed(&store, "keyed", Quota::per_day(100));
        let keys = cluster.key_on_each("key");
        for key in &keys {
            keyed.try_acquire(key, 1).await.unwrap();
        }
        let (mut found, mut cursor) = (Vec::new(), ScanCursor::default());
        loop {
            let page = store.scan("keyed:*", cursor, 10).await.unwrap();
            found.extend(page.limits.iter().map(|limit| limit.key().to_vec()));
            let Some(next) = page.next else { break };
            cursor = next;
        }
        found.sort();
        let key_of = |key: &String| store.bucket_key("keyed", Some(key.as_bytes()), None);
        let mut expected: Vec<_> = keys.iter().map(key_of).collect();
        expected.sort();
        assert_eq!(found, expected);
        for (key, of_server) in keys.iter().zip(keys.iter().map(key_of)) {
            store.reset_key(&of_server).await.unwrap();
            assert_eq!(keyed.available(key).await.unwrap(), [100]);
        }
        keyed.set_quota(Quota::per_day(200)).await.unwrap();
        assert_eq!(keyed.available(&keys[0]).await.unwrap(), [200]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_keys_of_an_api_limiter_are_on_one_node() {
    let cluster = Cluster::each_kind().next().unwrap();
    let store = connect_cluster(&cluster).await;
    let config = RateLimitConfig {
        max_in_flight: Some(2),
        ..RateLimitConfig::DEFAULT
    };
    for name in cluster.key_on_each("model") {
        let limiter = RedisApiRateLimiter::new(&store, &name, config).unwrap();
        let permit = limiter.reserve_tokens(1_000).await.unwrap();
        let other = limiter.reserve_tokens(1_000).await.unwrap();
        limiter.reserve_tokens(1_000).await.unwrap_err();
        assert_eq!(permit.settle(10).await.unwrap(), CallEnding::Done);
        assert_eq!(other.cancel().await.unwrap(), CallEnding::Done);
        limiter.pause_for(HOUR).await.unwrap();
        store.reset_key(&store.api_key(&name)).await.unwrap();
        let found = store.inspect(&store.api_key(&name)).await.unwrap();
        assert_eq!(found.unwrap().limit.api().unwrap().pause_ends_in, None);
        // A bucket of the same name is in the same slot, and any other is not.
        let same = bucket(&store, &name, Quota::per_day(10));
        let builder = || RedisApiRateLimiter::builder(&store, &name, config);
        let shares = builder().shared("org", &same).build().unwrap();
        assert!(!shares.try_acquire().await.unwrap().is_limited);
        assert_eq!(same.available().await.unwrap(), 9);
        let elsewhere = bucket(&store, &format!("{name} org"), Quota::per_day(10));
        let error = builder().shared("org", &elsewhere).build().unwrap_err();
        assert_eq!(error, BuildError::OtherServer("org".into()));
    }
    assert_eq!(store.stats().errors, 0);
}
