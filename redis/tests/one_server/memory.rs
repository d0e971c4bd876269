//! Refusals that a node remembers.

use core::time::Duration;

use tidegate::Quota;
use tidegate_redis::{LimiterOptions, RedisKeyed, RedisStore, RedisTokenBucket};

use super::{HOUR, node, on_each, refused};
use crate::support::until::PATIENCE;

/// For longer than a test takes on any machine.
const fn mindful() -> LimiterOptions {
    LimiterOptions::new().cache_denials(HOUR)
}

fn calls(store: &RedisStore) -> u64 {
    store.stats().calls
}

#[tokio::test]
async fn who_comes_again_too_early_is_refused_here() {
    on_each(async |server| {
        let store = node(server);
        let bucket =
            RedisTokenBucket::with_options(&store, "bucket", Quota::per_day(10), mindful())
                .unwrap();
        bucket.try_acquire(8).await.unwrap();
        let first = refused(bucket.try_acquire(4).await);
        let asked = calls(&store);
        let mut last = first;
        for n in [4, 5, 10, 4] {
            let hint = refused(bucket.try_acquire(n).await);
            assert!(hint <= last, "{hint:?} after {last:?}");
            last = hint;
        }
        assert_eq!(calls(&store), asked);
        assert_eq!(bucket.stats().denied_from_cache, 4);
        assert_eq!(bucket.stats().denied, 1);

        // Less may be there.
        assert_eq!(bucket.try_acquire(1).await.unwrap().available(), Some(1));
        refused(bucket.try_acquire(3).await);
        assert_eq!(calls(&store), asked + 2);
        // What was refused last is what counts now.
        refused(bucket.try_acquire(3).await);
        // A look is never remembered.
        refused(bucket.peek(4).await);
        bucket.available().await.unwrap();
        assert_eq!(calls(&store), asked + 4);
    })
    .await;
}

#[tokio::test]
async fn a_reset_forgets() {
    on_each(async |server| {
        let store = node(server);
        let bucket =
            RedisTokenBucket::with_options(&store, "bucket", Quota::per_day(10), mindful())
                .unwrap();
        let table =
            RedisKeyed::with_options(&store, "table", Quota::per_day(10), mindful()).unwrap();
        bucket.try_acquire(10).await.unwrap();
        table.try_acquire("key", 10).await.unwrap();
        refused(bucket.try_acquire(1).await);
        refused(table.try_acquire("key", 1).await);
        bucket.reset().await.unwrap();
        table.reset("key").await.unwrap();
        bucket.try_acquire(10).await.unwrap();
        table.try_acquire("key", 10).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_forgotten_when_its_hint_has_passed() {
    on_each(async |server| {
        let store = node(server);
        let quota = Quota::per_second(20).burst(1);
        let bucket = RedisTokenBucket::with_options(&store, "bucket", quota, mindful()).unwrap();
        for _ in 0..5 {
            // The bucket may fill up between any two calls, so nothing here says that one is refused.
            let Err(error) = bucket.try_acquire(1).await else {
                continue;
            };
            tokio::time::sleep(error.retry_after().unwrap()).await;
            let asked = calls(&store);
            // It may be refused once more, by as little as the first call took to the server.
            drop(bucket.try_acquire(1).await);
            assert_eq!(calls(&store), asked + 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_remembered_for_so_long_at_most() {
    on_each(async |server| {
        let store = node(server);
        let shortly = LimiterOptions::new().cache_denials(Duration::from_millis(20));
        let bucket =
            RedisTokenBucket::with_options(&store, "bucket", Quota::per_day(1), shortly).unwrap();
        let other = RedisTokenBucket::new(&node(server), "bucket", Quota::per_day(1)).unwrap();
        bucket.try_acquire(1).await.unwrap();
        let hint = refused(bucket.try_acquire(1).await);
        assert!(hint > HOUR * 12, "the hint is the server's: {hint:?}");
        other.reset().await.unwrap();
        let admitted = tokio::time::timeout(PATIENCE, async {
            while bucket.try_acquire(1).await.is_err() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        admitted.await.expect("it is there again");
    })
    .await;
}

#[tokio::test]
async fn none_is_remembered_for_no_time() {
    on_each(async |server| {
        let store = node(server);
        let bucket =
            RedisTokenBucket::with_options(&store, "bucket", Quota::per_day(1), super::forgetful())
                .unwrap();
        bucket.try_acquire(1).await.unwrap();
        let asked = calls(&store);
        for _ in 0..10 {
            refused(bucket.try_acquire(1).await);
        }
        assert_eq!(calls(&store), asked + 10);
        assert_eq!(bucket.stats().denied_from_cache, 0);
    })
    .await;
}

#[tokio::test]
async fn tables_remember_by_key_and_not_more_keys_than_they_may() {
    on_each(async |server| {
        let store = node(server);
        let few = mindful().cached_keys(100);
        let table = RedisKeyed::with_options(&store, "table", Quota::per_day(1), few).unwrap();
        table.try_acquire("a", 1).await.unwrap();
        refused(table.try_acquire("a", 1).await);
        table.try_acquire("b", 1).await.unwrap();

        let keys = || (0..1_000).map(|key| key.to_string());
        for key in keys() {
            table.try_acquire(&key, 1).await.unwrap();
            refused(table.try_acquire(&key, 1).await);
        }
        let (asked, remembered) = (calls(&store), table.stats().denied_from_cache);
        // In the order of their coming, so that one which is asked for again has pushed out none that is still to come.
        for key in keys().rev() {
            refused(table.try_acquire(&key, 1).await);
        }
        let here = table.stats().denied_from_cache - remembered;
        assert_eq!(here + calls(&store) - asked, 1_000, "here or there");
        assert!((1..=200).contains(&here), "{here} of 1000 are remembered");
    })
    .await;
}

#[tokio::test]
async fn of_several_limits_the_remembered_one_counts() {
    on_each(async |server| {
        let store = node(server);
        let limits = [("a", Quota::per_day(10)), ("b", Quota::per_day(10))];
        let table = RedisKeyed::with_options(&store, "table", limits, mindful()).unwrap();
        table.try_acquire_each("key", &[9, 0]).await.unwrap();
        let error = table.try_acquire_each("key", &[2, 1]).await.unwrap_err();
        assert_eq!(error.limit(), Some("a"));
        let asked = calls(&store);
        let error = table.try_acquire_each("key", &[2, 0]).await.unwrap_err();
        assert_eq!(error.limit(), Some("a"));
        assert_eq!(calls(&store), asked);
        table.try_acquire_each("key", &[1, 10]).await.unwrap();
        assert_eq!(calls(&store), asked + 1);
    })
    .await;
}
