//! Several nodes, and many tasks, on one bucket.

use tidegate::Quota;
use tidegate_redis::{RedisKeyed, RedisStore, RedisTokenBucket};
use tokio::task::JoinSet;

use super::{forgetful, node, on_each, refused};
use crate::support::until::PATIENCE;

#[tokio::test]
async fn nodes_share_what_has_one_name() {
    on_each(async |server| {
        let quota = Quota::per_day(10);
        let bucket =
            |store| RedisTokenBucket::with_options(store, "b", quota, forgetful()).unwrap();
        let table = |store| RedisKeyed::with_options(store, "t", quota, forgetful()).unwrap();
        let (one, two) = (node(server), node(server));
        for _ in 0..5 {
            bucket(&one).try_acquire(1).await.unwrap();
            bucket(&two).try_acquire(1).await.unwrap();
            table(&one).try_acquire("key", 1).await.unwrap();
            table(&two).try_acquire("key", 1).await.unwrap();
        }
        for store in [&one, &two] {
            refused(bucket(store).try_acquire(1).await);
            refused(table(store).try_acquire("key", 1).await);
        }
        let apart = RedisStore::builder().prefix("other").timeout(PATIENCE);
        let apart = apart.connect(server.url()).unwrap();
        assert_eq!(bucket(&apart).available().await.unwrap(), 10);
        assert_eq!(table(&apart).available("key").await.unwrap(), [10]);
        bucket(&two).reset().await.unwrap();
        bucket(&one).try_acquire(10).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_tasks_as_many_as_the_capacity_are_admitted() {
    on_each(async |server| {
        // Clones are one node; every fifth task is on another.
        let stores: Vec<RedisStore> = (0..5).map(|_| node(server)).collect();
        let mut tasks = JoinSet::new();
        for task in 0..200 {
            let store = stores[task % 5].clone();
            tasks.spawn(async move {
                let quota = Quota::per_hour(1).burst(50);
                let bucket =
                    RedisTokenBucket::with_options(&store, "b", quota, forgetful()).unwrap();
                bucket.try_acquire(1).await.is_ok()
            });
        }
        let admitted = tasks
            .join_all()
            .await
            .into_iter()
            .filter(|admitted| *admitted);
        assert_eq!(admitted.count(), 50);
    })
    .await;
}
