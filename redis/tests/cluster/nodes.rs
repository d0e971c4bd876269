//! Each kind of limiter on each node.

use tidegate::Quota;
use tidegate_redis::{LeaseOptions, RedisCombined, RedisKeyed, RedisTokenBucket};

use super::{forgetful, node, on_each};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_limiters_work_on_all_nodes() {
    on_each(async |cluster| {
        let store = node(cluster).await;
        let quota = Quota::per_day(100);
        let limits = [("x", quota), ("y", quota)];
        let table = RedisKeyed::with_options(&store, "table", limits, forgetful()).unwrap();
        for place in 0..cluster.len() {
            // What is in braces decides, so a name is where a key of that name is.
            let name = cluster.key_on(place, "name");
            let bucket = RedisTokenBucket::with_options(&store, &name, quota, forgetful()).unwrap();
            let several = RedisCombined::with_options(&store, &name, limits, forgetful()).unwrap();
            let leased = RedisTokenBucket::with_options(&store, &name, quota, forgetful()).unwrap();
            let leased = leased.lease(LeaseOptions::new());
            for n in 1..=5 {
                bucket.try_acquire(1).await.unwrap();
                several.try_acquire_each(&[1, 2]).await.unwrap();
                table.try_acquire_each(&name, &[1, 2]).await.unwrap();
                leased.acquire(1).await.unwrap();
                assert_eq!(several.available().await.unwrap(), [100 - n, 100 - 2 * n]);
            }
            leased.close().await;
            assert_eq!(bucket.available().await.unwrap(), 90, "both take from it");
            assert_eq!(table.available(&name).await.unwrap(), [95, 90]);
            bucket.try_acquire(91).await.unwrap_err();
            bucket.reset().await.unwrap();
            assert_eq!(bucket.available().await.unwrap(), 100);
            // Each node learned both scripts, once.
            assert_eq!(cluster.node(place).calls("eval"), 2);
            for other in (0..cluster.len()).filter(|other| *other > place) {
                assert_eq!(cluster.node(other).calls("evalsha"), 0);
            }
        }
        let stats = store.stats();
        assert_eq!(
            (
                stats.errors,
                stats.evals,
                stats.open_breakers,
                stats.breakers
            ),
            (0, 6, 0, 64)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_forgot_the_scripts_is_told_once() {
    on_each(async |cluster| {
        let store = node(cluster).await;
        let table = RedisKeyed::new(&store, "t", Quota::per_day(100)).unwrap();
        let keys: Vec<String> = (0..3).map(|place| cluster.key_on(place, "k")).collect();
        for key in &keys {
            table.try_acquire(key, 1).await.unwrap();
        }
        cluster.node(1).flush_scripts();
        for _ in 0..2 {
            for key in &keys {
                table.try_acquire(key, 1).await.unwrap();
            }
        }
        let texts: Vec<u64> = (0..3)
            .map(|place| cluster.node(place).calls("eval"))
            .collect();
        assert_eq!(texts, [1, 2, 1]);
        for key in &keys {
            assert_eq!(
                table.available(key).await.unwrap(),
                [97],
                "each is charged once"
            );
        }
        assert_eq!(store.stats().errors, 0);
    })
    .await;
}
