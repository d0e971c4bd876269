//! Buckets that API limiters share, whose quotas an operator changes.
//!
//! The script's arithmetic is tested in `scripts/api_protocol/live_shared`.

use core::time::Duration;
use std::sync::Arc;

use tidegate::{LimitKind, Quota, RateLimitConfig, TokenEstimate};
use tidegate_redis::{
    ApiError, ApiShared, CallEnding, RedisApiRateLimiter, RedisKeyed, RedisSlidingWindow,
    RedisTokenBucket,
};

use super::each_server;
use crate::support::limiters::{HOUR, bucket, connect, keyed, uncached};
use crate::support::server::Server;

const CONFIG: RateLimitConfig = RateLimitConfig {
    enable_backoff: false,
    ..RateLimitConfig::UNLIMITED
};

/// So slow that no token refills while a test runs.
fn quota(tokens: u64) -> Quota {
    Quota::new(tokens, Duration::from_secs(10_000_000)).unwrap()
}

/// A limiter in a process of its own, with the configuration of the first day.
fn node(server: &Server) -> (RedisApiRateLimiter, RedisTokenBucket) {
    let store = connect(server);
    let org = bucket(&store, "org", quota(100));
    let builder = RedisApiRateLimiter::builder(&store, "model", CONFIG);
    let builder = builder.cache_denials(Duration::ZERO);
    let limiter = builder.shared_tokens("org", &org).build().unwrap();
    (limiter, org)
}

/// Whether a refusal by the shared bucket is permanent.
#[track_caller]
fn is_never<T: core::fmt::Debug>(result: Result<T, ApiError>) -> bool {
    let error = result.expect_err("limited");
    let status = error.status().expect("a status");
    assert_eq!(status.limited_by, Some(LimitKind::Shared));
    status.is_permanent
}

#[tokio::test]
async fn every_step_follows_a_changed_quota_and_no_old_node_undoes_it() {
    for server in each_server() {
        let operator = bucket(&connect(&server), "org", quota(100));
        let (one, org) = node(&server);
        let settled = one.reserve_tokens(40).await.unwrap();
        let mut reported = one.reserve_tokens(10).await.unwrap();
        let canceled = one.reserve_tokens(20).await.unwrap();
        operator.set_quota(quota(1_000)).await.unwrap();
        assert_eq!(operator.available().await.unwrap(), 30);

        // Each node is told by its first step, whatever that is. What was charged under the old
        // quota comes back in tokens: the same time would be ten times as many.
        assert_eq!(settled.settle(25).await.unwrap(), CallEnding::Done);
        assert_eq!(operator.available().await.unwrap(), 45);
        assert_eq!(org.quota(), quota(1_000));
        let (late, _) = node(&server);
        let id = canceled.hand_over();
        assert_eq!(late.cancel(id).await.unwrap(), CallEnding::Done);
        assert_eq!(operator.available().await.unwrap(), 65);
        reported.report(15).await.unwrap();
        reported.settle(15).await.unwrap();
        let (late, _) = node(&server);
        late.record_tokens(5).await.unwrap();
        assert_eq!(operator.available().await.unwrap(), 55);
        let (late, org) = node(&server);
        assert_eq!(late.check().await.unwrap().tokens_remaining, 55);
        assert_eq!(org.quota(), quota(1_000));
        assert!(!is_never(late.reserve_tokens(1_000).await));
        assert!(is_never(late.reserve_tokens(1_001).await));
        let (late, _) = node(&server);
        late.resume().await.unwrap();
        assert_eq!(operator.available().await.unwrap(), 1_000);

        // Less than before: an estimate is decided, and a guess is cut, by the new capacity.
        operator.set_quota(quota(20)).await.unwrap();
        assert!(is_never(late.reserve_tokens(30).await));
        let permit = one.reserve_tokens(TokenEstimate::guess(500)).await.unwrap();
        assert_eq!(operator.available().await.unwrap(), 0);
        permit.settle(8).await.unwrap();
        assert_eq!(operator.available().await.unwrap(), 12);
        assert_eq!(one.stats().await.unwrap().in_flight, 0);
    }
}

/// The bucket of one key in a table, whose quota is kept beside the table.
#[tokio::test]
async fn a_bucket_of_a_table_follows_the_table() {
    for server in each_server() {
        let tenants = |server| -> RedisKeyed { keyed(&connect(server), "tenants", quota(100)) };
        let operator = tenants(&server);
        let store = connect(&server);
        let own = keyed(&store, "tenants", quota(100));
        let acme = own.bucket("acme").unwrap();
        let builder = RedisApiRateLimiter::builder(&store, "model", CONFIG);
        let limiter = builder.shared_tokens("acme", &acme).build().unwrap();
        let permit = limiter.reserve_tokens(40).await.unwrap();
        operator.set_quota(quota(1_000)).await.unwrap();
        // The key is converted by the first call of a node that knows of the change.
        assert_eq!(operator.available("acme").await.unwrap(), [60]);
        permit.settle(30).await.unwrap();
        assert_eq!(operator.available("acme").await.unwrap(), [70]);
        assert_eq!(limiter.check().await.unwrap().tokens_remaining, 70);
        assert_eq!(acme.quota(), quota(1_000));
    }
}

#[tokio::test]
async fn a_window_is_charged_with_the_others_or_not_at_all() {
    for server in each_server() {
        let store = connect(&server);
        // Its slots are so long that none ends while a test runs.
        let length = HOUR * 200_000;
        let window = || RedisSlidingWindow::with_options(&store, "org", 3, length, uncached());
        let window = Arc::new(window().unwrap());
        let tokens = bucket(&store, "org tokens", quota(100));
        let model = |name| {
            let builder = RedisApiRateLimiter::builder(&store, name, CONFIG);
            let builder = builder.cache_denials(Duration::ZERO);
            let builder = builder.shared("org", &window);
            builder.shared_tokens("tokens", &tokens).build().unwrap()
        };
        let (small, large) = (model("small"), model("large"));
        window.try_acquire(1).await.unwrap();
        let permit = small.reserve_tokens(60).await.unwrap();
        assert!(!is_never(large.reserve_tokens(60).await));
        assert_eq!(window.available().await.unwrap(), 1, "all or none");
        large
            .reserve_tokens(10)
            .await
            .unwrap()
            .settle(10)
            .await
            .unwrap();
        let error = large.try_acquire().await.unwrap_err();
        assert_eq!(error.status().unwrap().limit_name(), Some("org"));
        assert!(window.try_acquire(1).await.is_err());
        // Its request comes back, because the slot has not ended.
        assert_eq!(permit.cancel().await.unwrap(), CallEnding::Done);
        assert_eq!(window.available().await.unwrap(), 1);
    }
}

/// As far as the server has forgotten them.
#[tokio::test]
async fn limits_that_start_empty_do_so_here() {
    for server in each_server() {
        let store = connect(&server);
        let options = uncached().start_empty(HOUR);
        let org = RedisTokenBucket::with_options(&store, "org", quota(100), options).unwrap();
        let window = RedisSlidingWindow::with_options(&store, "all", 3, HOUR, options).unwrap();
        let build = |limit: ApiShared<'_>| {
            let builder = RedisApiRateLimiter::builder(&store, "model", CONFIG);
            builder.shared("empty", limit).build().unwrap()
        };
        for limit in [ApiShared::from(&org), ApiShared::from(&window)] {
            assert!(!is_never(build(limit).try_acquire().await));
        }
        let keys: Vec<String> = server.query(&["KEYS", "*org*"]);
        let ttl: i64 = server.query(&["PTTL", &keys[0]]);
        assert_eq!(ttl, -1, "it stays, so that it does not start empty again");
    }
}
