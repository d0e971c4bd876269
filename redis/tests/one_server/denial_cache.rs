//! The denial cache answers repeated requests without a round trip.

use core::time::Duration;

use tidegate::Quota;
use tidegate_redis::{LimiterOptions, RedisKeyed, RedisStore, RedisTokenBucket};

use super::each_server;
use crate::support::limiters::{HOUR, bucket, connect, denied};
use crate::support::wait::eventually;

/// Caches denials for longer than a test takes on any machine. Tables do not ask for changes of
/// their quotas, whose calls would be counted from time to time.
const fn cached() -> LimiterOptions {
    LimiterOptions::new()
        .cache_denials(HOUR)
        .follow_changes(Duration::ZERO)
}

fn cached_bucket(store: &RedisStore, quota: Quota) -> RedisTokenBucket {
    RedisTokenBucket::with_options(store, "bucket", quota, cached()).unwrap()
}

fn calls(store: &RedisStore) -> u64 {
    store.stats().calls
}

#[tokio::test]
async fn repeated_request_is_denied_from_the_cache() {
    for server in each_server() {
        let store = connect(&server);
        let bucket = cached_bucket(&store, Quota::per_day(10));
        bucket.try_acquire(8).await.unwrap();
        let mut last = denied(bucket.try_acquire(4).await);
        let before = calls(&store);
        for n in [4, 5, 10, 4] {
            let hint = denied(bucket.try_acquire(n).await);
            assert!(hint <= last, "{hint:?} after {last:?}");
            last = hint;
        }
        assert_eq!(calls(&store), before);
        let stats = bucket.stats();
        assert_eq!((stats.denied_from_cache, stats.denied), (4, 1));

        // A smaller request may succeed, so it reaches the server.
        assert_eq!(bucket.try_acquire(1).await.unwrap().available(), Some(1));
        denied(bucket.try_acquire(3).await);
        assert_eq!(calls(&store), before + 2);
        // The last denial replaces the one before it.
        denied(bucket.try_acquire(3).await);
        // Peeks and `available` are never answered from the cache.
        denied(bucket.peek(4).await);
        bucket.available().await.unwrap();
        assert_eq!(calls(&store), before + 4);
    }
}

#[tokio::test]
async fn reset_clears_the_cache() {
    for server in each_server() {
        let store = connect(&server);
        let bucket = cached_bucket(&store, Quota::per_day(10));
        let keyed = RedisKeyed::with_options(&store, "keyed", Quota::per_day(10), cached());
        let keyed = keyed.unwrap();
        bucket.try_acquire(10).await.unwrap();
        keyed.try_acquire("key", 10).await.unwrap();
        denied(bucket.try_acquire(1).await);
        denied(keyed.try_acquire("key", 1).await);
        bucket.reset().await.unwrap();
        keyed.reset("key").await.unwrap();
        bucket.try_acquire(10).await.unwrap();
        keyed.try_acquire("key", 10).await.unwrap();
    }
}

#[tokio::test]
async fn cached_denial_ends_with_its_hint() {
    for server in each_server() {
        let store = connect(&server);
        let bucket = cached_bucket(&store, Quota::per_second(20).burst(1));
        for _ in 0..5 {
            // The bucket may refill between any two calls, so not every call is denied.
            let Err(error) = bucket.try_acquire(1).await else {
                continue;
            };
            tokio::time::sleep(error.retry_after().unwrap()).await;
            let before = calls(&store);
            // The server may deny once more, by the time that the first call took to reach it.
            drop(bucket.try_acquire(1).await);
            assert_eq!(calls(&store), before + 1);
        }
    }
}

#[tokio::test]
async fn denials_are_cached_no_longer_than_configured() {
    for server in each_server() {
        let (store, quota) = (connect(&server), Quota::per_day(1));
        let briefly = LimiterOptions::new().cache_denials(Duration::from_millis(20));
        let cached = RedisTokenBucket::with_options(&store, "bucket", quota, briefly).unwrap();
        cached.try_acquire(1).await.unwrap();
        let hint = denied(cached.try_acquire(1).await);
        assert!(hint > HOUR * 12, "the server's own hint: {hint:?}");
        bucket(&connect(&server), "bucket", quota)
            .reset()
            .await
            .unwrap();
        eventually("an admission", async || cached.try_acquire(1).await.ok()).await;
    }
}

#[tokio::test]
async fn duration_zero_disables_the_cache() {
    for server in each_server() {
        let store = connect(&server);
        let bucket = bucket(&store, "bucket", Quota::per_day(1));
        bucket.try_acquire(1).await.unwrap();
        let before = calls(&store);
        for _ in 0..10 {
            denied(bucket.try_acquire(1).await);
        }
        assert_eq!(calls(&store), before + 10);
        assert_eq!(bucket.stats().denied_from_cache, 0);
    }
}

#[tokio::test]
async fn cache_holds_a_limited_number_of_keys() {
    for server in each_server() {
        let store = connect(&server);
        let options = cached().cached_keys(100);
        let keyed = RedisKeyed::with_options(&store, "keyed", Quota::per_day(1), options).unwrap();
        keyed.try_acquire("a", 1).await.unwrap();
        denied(keyed.try_acquire("a", 1).await);
        keyed.try_acquire("b", 1).await.unwrap();

        let keys = || (0..1_000).map(|key| key.to_string());
        for key in keys() {
            keyed.try_acquire(&key, 1).await.unwrap();
            denied(keyed.try_acquire(&key, 1).await);
        }
        let (calls_before, before) = (calls(&store), keyed.stats().denied_from_cache);
        // The latest keys first, so that no repeated denial evicts a key that is still to come.
        for key in keys().rev() {
            denied(keyed.try_acquire(&key, 1).await);
        }
        let from_cache = keyed.stats().denied_from_cache - before;
        let from_server = calls(&store) - calls_before;
        assert_eq!(from_cache + from_server, 1_000);
        assert!((1..=200).contains(&from_cache), "{from_cache} of 1000");
    }
}

#[tokio::test]
async fn cached_denial_of_one_limit_denies_the_call() {
    for server in each_server() {
        let store = connect(&server);
        let limits = [("a", Quota::per_day(10)), ("b", Quota::per_day(10))];
        let keyed = RedisKeyed::with_options(&store, "keyed", limits, cached()).unwrap();
        keyed.try_acquire_each("key", &[9, 0]).await.unwrap();
        let error = keyed.try_acquire_each("key", &[2, 1]).await.unwrap_err();
        assert_eq!(error.limit(), Some("a"));
        let before = calls(&store);
        let error = keyed.try_acquire_each("key", &[2, 0]).await.unwrap_err();
        assert_eq!(error.limit(), Some("a"));
        assert_eq!(calls(&store), before);
        keyed.try_acquire_each("key", &[1, 10]).await.unwrap();
        assert_eq!(calls(&store), before + 1);
    }
}
