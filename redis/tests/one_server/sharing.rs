//! Several nodes and many tasks share a bucket.

use tidegate::Quota;
use tidegate_redis::{BuildError, LeaseOptions, RedisKeyed, RedisStore};
use tokio::task::JoinSet;

use super::each_server;
use crate::support::limiters::{bucket, connect, denied, keyed, patient_store, uncached};
use crate::support::wait::eventually;

#[tokio::test]
async fn nodes_share_limits_of_the_same_name_and_prefix() {
    for server in each_server() {
        let quota = Quota::per_day(10);
        let bucket = |store| bucket(store, "bucket", quota);
        let keyed = |store| keyed(store, "keyed", quota);
        let (one, two) = (connect(&server), connect(&server));
        for _ in 0..5 {
            for store in [&one, &two] {
                bucket(store).try_acquire(1).await.unwrap();
                keyed(store).try_acquire("key", 1).await.unwrap();
            }
        }
        for store in [&one, &two] {
            denied(bucket(store).try_acquire(1).await);
            denied(keyed(store).try_acquire("key", 1).await);
        }
        let other = patient_store().prefix("other");
        let other = other.connect(server.url()).unwrap();
        assert_eq!(bucket(&other).available().await.unwrap(), 10);
        assert_eq!(keyed(&other).available("key").await.unwrap(), [10]);
        bucket(&two).reset().await.unwrap();
        bucket(&one).try_acquire(10).await.unwrap();
    }
}

/// Whatever asks, the table, its bucket of that key or a lease of it, takes from the same tokens.
#[tokio::test]
async fn bucket_of_a_key_is_that_of_its_table() {
    for server in each_server() {
        let (one, two) = (connect(&server), connect(&server));
        let quota = Quota::per_day(20);
        for name in [None, Some("day")] {
            let table = |store| match name {
                None => RedisKeyed::with_options(store, "plain", quota, uncached()),
                Some(name) => RedisKeyed::with_options(store, "named", [(name, quota)], uncached()),
            };
            let (table, other) = (table(&one).unwrap(), table(&two).unwrap());
            let key = "a:{hot} key";
            let bucket = other.bucket(key).unwrap();
            assert_eq!(bucket.quota(), quota);
            bucket.try_acquire(5).await.unwrap();
            assert_eq!(table.available(key).await.unwrap(), [15]);
            assert_eq!(table.available("other").await.unwrap(), [20]);
            table.try_acquire(key, 4).await.unwrap();
            assert_eq!(bucket.available().await.unwrap(), 11);

            let lease = bucket.lease(LeaseOptions::new().max_batch(1)).await;
            lease.acquire(3).await.unwrap();
            // The node's task may fetch a token between the two numbers.
            eventually("nothing is lost", async || {
                let left = table.available(key).await.unwrap()[0];
                (left + lease.held() == 8).then_some(())
            })
            .await;
            lease.close().await;
            assert_eq!(table.available(key).await.unwrap(), [8]);
            denied(table.try_acquire(key, 9).await);
        }
        let several = [("a", quota), ("b", quota)];
        let several = RedisKeyed::new(&one, "several", several).unwrap();
        let error = several.bucket("key").unwrap_err();
        assert_eq!(error, BuildError::SeveralLimits);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_tasks_are_admitted_exactly_the_capacity() {
    for server in each_server() {
        let stores: Vec<RedisStore> = (0..5).map(|_| connect(&server)).collect();
        let mut tasks = JoinSet::new();
        for task in 0..200 {
            // A clone belongs to the same node.
            let store = stores[task % 5].clone();
            tasks.spawn(async move {
                let bucket = bucket(&store, "bucket", Quota::per_hour(1).burst(50));
                bucket.try_acquire(1).await.is_ok()
            });
        }
        let results = tasks.join_all().await;
        assert_eq!(results.iter().filter(|admitted| **admitted).count(), 50);
    }
}
