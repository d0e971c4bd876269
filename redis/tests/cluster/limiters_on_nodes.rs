//! Each kind of limiter works on each node.

use tidegate::{Quota, RateLimitConfig};
use tidegate_redis::{BuildError, CallEnding, RedisApiRateLimiter};

use crate::support::cluster::Cluster;
use crate::support::limiters::{bucket, combined, connect_cluster, keyed, lease};

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
            let combined = combined(&store, &name, limits);
            let leased = lease(&store, &name, quota).await;
            for n in 1..=5 {
                bucket.try_acquire(1).await.unwrap();
                combined.try_acquire_each(&[1, 2]).await.unwrap();
                keyed.try_acquire_each(&name, &[1, 2]).await.unwrap();
                leased.acquire(1).await.unwrap();
                let available = combined.available().await.unwrap();
                assert_eq!(available, [100 - n, 100 - 2 * n]);
            }
            leased.close().await;
            let available = bucket.available().await.unwrap();
            assert_eq!(available, 90, "the lease takes from the same bucket");
            assert_eq!(keyed.available(&name).await.unwrap(), [95, 90]);
            bucket.try_acquire(91).await.unwrap_err();
            bucket.reset().await.unwrap();
            assert_eq!(bucket.available().await.unwrap(), 100);
            // The node received each of the two scripts once.
            assert_eq!(cluster.node(node).calls("eval"), 2);
            for other in node + 1..cluster.len() {
                assert_eq!(cluster.node(other).calls("evalsha"), 0);
            }
        }
        let stats = store.stats();
        assert_eq!((stats.errors, stats.evals), (0, 6));
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
