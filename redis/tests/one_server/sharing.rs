//! Several nodes and many tasks share a bucket.

use tidegate::Quota;
use tidegate_redis::RedisStore;
use tokio::task::JoinSet;

use super::each_server;
use crate::support::limiters::{bucket, connect, denied, keyed, patient_store};

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
