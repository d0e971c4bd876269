//! Scripts go by their names, and a decision is one round trip.

use tidegate::Quota;
use tidegate_redis::{LeaseOptions, RedisCombined, RedisKeyed, RedisTokenBucket};
use tokio::task::JoinSet;

use super::{node, on_each};

#[tokio::test]
async fn a_decision_is_one_round_trip() {
    on_each(async |server| {
        let store = node(server);
        let bucket = RedisTokenBucket::new(&store, "bucket", Quota::per_hour(1_000)).unwrap();
        let limits = [("a", Quota::per_hour(1_000)), ("b", Quota::per_hour(1_000))];
        let several = RedisCombined::new(&store, "several", limits).unwrap();
        let table = RedisKeyed::new(&store, "table", limits).unwrap();
        assert_eq!(store.stats().calls, 0, "making them sends nothing");
        bucket.try_acquire(1).await.unwrap();
        assert_eq!(
            (store.stats().calls, store.stats().evals),
            (2, 1),
            "it is new there"
        );
        let named = server.calls("evalsha");
        for _ in 0..10 {
            bucket.try_acquire(1).await.unwrap();
            several.try_acquire(1).await.unwrap();
            table.try_acquire("key", 1).await.unwrap();
            several.available().await.unwrap();
            several.debit_each(&[1, 2]).await.unwrap();
        }
        assert_eq!(server.calls("evalsha"), named + 50);
        assert_eq!(server.calls("eval"), 1);
        assert_eq!((store.stats().calls, store.stats().evals), (52, 1));
        assert_eq!((store.stats().errors, store.stats().in_flight), (0, 0));
        // Nothing but the scripts and what they call: the time once, and each bucket read and written.
        assert_eq!(server.calls("time"), 51);
        assert_eq!(server.calls("get"), 11 + 4 * 2 * 10);
        assert_eq!(server.calls("set"), 11 + 3 * 2 * 10);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_told_once() {
    on_each(async |server| {
        let store = node(server);
        let bucket = RedisTokenBucket::new(&store, "bucket", Quota::per_hour(100)).unwrap();
        for flushes in 1..=3 {
            for _ in 0..5 {
                bucket.try_acquire(1).await.unwrap();
            }
            assert_eq!(server.calls("eval"), flushes);
            server.flush_scripts();
        }
        assert_eq!(
            bucket.available().await.unwrap(),
            85,
            "each is charged once"
        );
        // The other script is another text.
        let leased = bucket.lease(LeaseOptions::new());
        leased.acquire(1).await.unwrap();
        leased.close().await;
        assert_eq!(server.calls("eval"), 5);
        assert_eq!(store.stats().errors, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_come_right_after_a_flush_succeed() {
    on_each(async |server| {
        let store = node(server);
        for round in 0..5_u64 {
            let name = format!("bucket {round}");
            let mut tasks = JoinSet::new();
            for task in 0..50 {
                let bucket = RedisTokenBucket::new(&store, &name, Quota::per_day(1_000)).unwrap();
                tasks.spawn(async move {
                    for _ in 0..4 {
                        bucket.try_acquire(1).await.unwrap();
                    }
                    task
                });
                if task == 25 {
                    server.flush_scripts();
                }
            }
            server.flush_scripts();
            assert_eq!(tasks.join_all().await.len(), 50);
            let bucket = RedisTokenBucket::new(&store, &name, Quota::per_day(1_000)).unwrap();
            assert_eq!(bucket.available().await.unwrap(), 800);
        }
        assert_eq!(store.stats().errors, 0);
    })
    .await;
}
