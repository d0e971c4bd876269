//! The API limiter of a fleet while its server is missing, and while answers are lost.

use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::Arc;

use tidegate::{LimitKind, Quota, RateLimitConfig};
use tidegate_redis::{
    AdmittedBy, ApiError, CallEnding, FailurePolicy, RedisApiRateLimiter, RedisSlidingWindow,
    RedisStore, RedisTokenBucket,
};
use tokio::task::JoinSet;

use super::proxy::Proxy;
use super::store;
use crate::support::limiters::connect;
use crate::support::server::ServerOptions;
use crate::support::wait::eventually;

/// Nothing comes back while a test runs, except what calls give back.
const CONFIG: RateLimitConfig = RateLimitConfig {
    requests_per_day: Some(1_000_000),
    tokens_per_day: Some(1_000_000),
    enable_backoff: false,
    ..RateLimitConfig::UNLIMITED
};

fn limiter(store: &RedisStore, policy: FailurePolicy) -> RedisApiRateLimiter {
    let builder = RedisApiRateLimiter::builder(store, "model", CONFIG);
    builder.on_failure(policy).build().unwrap()
}

/// Calls whose answers are lost again and again, because the connection breaks with every third
/// part of them. Each call is counted once, and what was not admitted is not counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_admitted_and_settled_once_whatever_answers_are_lost() {
    let server = ServerOptions::default().tcp().start();
    let proxy = Arc::new(Proxy::start(server.port().unwrap()).await);
    let store = store(proxy.url());
    let limiter = limiter(&store, FailurePolicy::Closed);
    let observer = connect(&server);
    let observer = RedisApiRateLimiter::new(&observer, "model", CONFIG).unwrap();
    let mut calls = JoinSet::new();
    for number in 0..8_u64 {
        let limiter = limiter.clone();
        calls.spawn(async move {
            let mut used = (0, 0);
            for round in 0..40 {
                match limiter.reserve_tokens(100).await {
                    Ok(mut permit) if round % 4 < 3 => {
                        permit.commit();
                        let tokens = 50 + number + 20 * (round % 4);
                        drop(permit.settle(tokens));
                        used = (used.0 + 1, used.1 + tokens);
                    }
                    Ok(permit) => drop(permit),
                    Err(error) => {
                        assert!(error.is_unavailable(), "{error}");
                        tokio::time::sleep(error.retry_after().unwrap()).await;
                    }
                }
            }
            used
        });
    }
    let breaks = tokio::spawn({
        let proxy = Arc::clone(&proxy);
        async move {
            loop {
                tokio::time::sleep(Duration::from_millis(7)).await;
                proxy.lose_answers();
            }
        }
    });
    let used = calls.join_all().await;
    breaks.abort();
    limiter.delivered().await;
    let stats = observer.stats().await.unwrap();
    let requests: u64 = used.iter().map(|(requests, _)| requests).sum();
    let tokens: u64 = used.iter().map(|(_, tokens)| tokens).sum();
    assert!(store.stats().outages > 0, "answers were lost");
    assert_eq!(
        (stats.total_requests, stats.total_tokens_used),
        (requests, tokens)
    );
    assert_eq!(stats.in_flight, 0);
    // A few tokens flow in: 11 in each second.
    let left = stats.tokens_remaining_day.unwrap();
    assert!(left >= 1_000_000 - tokens, "{left}");
    // A canceled request counts if its slot of 22 minutes is over.
    let counted = 1_000_000 - stats.requests_remaining_day.unwrap();
    assert_eq!(counted, requests + stats.forfeited);
}

#[tokio::test]
async fn a_call_is_settled_after_its_server_was_restarted() {
    for options in ServerOptions::each_kind() {
        let mut server = options.durable().start();
        let store = store(server.url());
        let limiter = limiter(&store, FailurePolicy::Closed);
        let permit = limiter.reserve_tokens(600_000).await.unwrap();
        server.kill();
        let error = limiter.reserve_tokens(1).await.unwrap_err();
        assert!(matches!(error, ApiError::Unavailable { .. }), "{error}");
        assert!(core::error::Error::source(&error).is_some());
        // Sent until the server is back.
        let settled = permit.settle(400_000);
        server.restart();
        assert_eq!(settled.await.unwrap(), CallEnding::Done);
        eventually("the server", async || limiter.check().await.is_ok()).await;
        let stats = limiter.stats().await.unwrap();
        assert_eq!(
            (stats.total_requests, stats.total_tokens_used),
            (1, 400_000)
        );
        assert!(limiter.reserve_tokens(700_000).await.is_err());
    }
}

#[tokio::test]
async fn a_share_is_admitted_and_reported() {
    let mut server = ServerOptions::default().durable().start();
    let store = store(server.url());
    let nodes = NonZeroU32::new(4).unwrap();
    let limiter = limiter(&store, FailurePolicy::Local { nodes });
    let permit = limiter.reserve_tokens(1_000).await.unwrap();
    assert_eq!(permit.by(), AdmittedBy::Server);
    permit.settle(1_000).await.unwrap();
    server.kill();
    let permit = limiter.reserve_tokens(200_000).await.unwrap();
    assert_eq!(permit.by(), AdmittedBy::LocalShare);
    let error = limiter.reserve_tokens(100_000).await.unwrap_err();
    let limited_by = error.status().and_then(|status| status.limited_by);
    assert_eq!(limited_by, Some(LimitKind::TokensPerDay));
    permit.settle(150_000).await.unwrap();
    drop(limiter.reserve_tokens(5).await.unwrap());
    assert!(!limiter.try_acquire().await.unwrap().is_limited);
    // No other node can end a call that the server does not know, so its estimate counts.
    let _ = limiter.reserve_tokens(90_000).await.unwrap().hand_over();
    assert!(limiter.reserve_tokens(20_000).await.is_err());
    server.restart();
    eventually("an admission of the server", async || {
        let permit = limiter.reserve_tokens(0).await.unwrap();
        permit.by() == AdmittedBy::Server
    })
    .await;
    limiter.delivered().await;
    let stats = limiter.stats().await.unwrap();
    let left = stats.tokens_remaining_day.unwrap();
    assert!((759_000..759_900).contains(&left), "{left}");
    let counted = 1_000_000 - stats.requests_remaining_day.unwrap();
    assert!(
        counted >= 4,
        "{counted}: one, the settled one, one without tokens, and the one that was handed over"
    );
}

#[tokio::test]
async fn shares_of_shared_limits_follow_their_quotas() {
    let quota = |tokens: u64| Quota::new(tokens, Duration::from_secs(1_000_000)).unwrap();
    let mut server = ServerOptions::default().start();
    let store = store(server.url());
    let org = RedisTokenBucket::new(&store, "org", quota(100)).unwrap();
    let nodes = NonZeroU32::new(4).unwrap();
    let window = RedisSlidingWindow::new(&store, "all", 8, Duration::from_secs(1_000_000)).unwrap();
    let limiter = RedisApiRateLimiter::builder(&store, "model", CONFIG)
        .shared("all", &window)
        .shared_tokens("org", &org)
        .on_failure(FailurePolicy::Local { nodes })
        .build()
        .unwrap();
    let operator = RedisTokenBucket::new(&connect(&server), "org", quota(100)).unwrap();
    operator.set_quota(quota(1_000)).await.unwrap();
    // The limiter is told, and so is the bucket that it shares.
    assert!(!limiter.check().await.unwrap().is_limited);
    assert_eq!(org.quota(), quota(1_000));
    server.kill();
    let permit = limiter.reserve_tokens(20).await.unwrap();
    assert_eq!(permit.by(), AdmittedBy::LocalShare);
    // The share has a capacity of 250 now, and is no fuller than before.
    for (tokens, is_permanent) in [(250, false), (251, true)] {
        let error = limiter.reserve_tokens(tokens).await.unwrap_err();
        let status = error.status().unwrap();
        assert_eq!(status.limit_name(), Some("org"));
        assert_eq!(status.is_permanent, is_permanent, "{tokens}");
    }
    // That of the window has two permits.
    assert!(!limiter.try_acquire().await.unwrap().is_limited);
    let error = limiter.try_acquire().await.unwrap_err();
    assert_eq!(error.status().unwrap().limit_name(), Some("all"));
}

#[tokio::test]
async fn limiters_that_share_a_bucket_have_one_share_of_it() {
    let quota = |tokens: u64| Quota::new(tokens, Duration::from_secs(1_000_000)).unwrap();
    let mut server = ServerOptions::default().start();
    let store = store(server.url());
    let requests = RedisTokenBucket::new(&store, "org requests", quota(8)).unwrap();
    let tokens = RedisTokenBucket::new(&store, "org tokens", quota(100)).unwrap();
    let nodes = NonZeroU32::new(4).unwrap();
    let model = |name| {
        let builder = RedisApiRateLimiter::builder(&store, name, CONFIG);
        let builder = builder.shared("requests", &requests);
        let builder = builder.shared_tokens("tokens", &tokens);
        let builder = builder.on_failure(FailurePolicy::Local { nodes });
        builder.build().unwrap()
    };
    let (small, large) = (model("small"), model("large"));
    server.kill();
    small
        .reserve_tokens(20)
        .await
        .unwrap()
        .settle(20)
        .await
        .unwrap();
    let refused = |error: ApiError| error.status().unwrap().limit_name();
    let error = large.reserve_tokens(6).await.unwrap_err();
    assert_eq!(refused(error), Some("tokens"));
    let permit = large.reserve_tokens(5).await.unwrap();
    assert_eq!(permit.by(), AdmittedBy::LocalShare);
    permit.settle(4).await.unwrap();
    let error = small.try_acquire().await.unwrap_err();
    assert_eq!(refused(error), Some("requests"));
}

#[tokio::test]
async fn an_open_limiter_admits_everything_without_its_server() {
    let mut server = ServerOptions::default().start();
    let limiter = limiter(&store(server.url()), FailurePolicy::Open);
    server.kill();
    for _ in 0..20 {
        let permit = limiter.reserve_tokens(900_000).await.unwrap();
        assert_eq!(permit.by(), AdmittedBy::FailOpen);
        permit.settle(900_000).await.unwrap();
        assert!(!limiter.try_acquire().await.unwrap().is_limited);
    }
    assert_eq!(limiter.node_stats().open_admitted, 40);
}

#[tokio::test]
async fn a_dropped_call_is_canceled() {
    let server = ServerOptions::default().tcp().start();
    // Slow enough that the call is dropped before its answer.
    let proxy = Proxy::slow(server.port().unwrap(), Duration::from_millis(200)).await;
    let store = crate::support::limiters::patient_store()
        .connect(proxy.url())
        .unwrap();
    let limiter = limiter(&store, FailurePolicy::Closed);
    let _ = limiter.check().await.unwrap();
    for tokens in [10, 20] {
        let call = limiter.reserve_tokens(tokens);
        let dropped = tokio::time::timeout(Duration::from_millis(20), call).await;
        assert!(dropped.is_err());
    }
    limiter.delivered().await;
    let stats = limiter.stats().await.unwrap();
    assert_eq!((stats.total_requests, stats.in_flight), (0, 0));
    assert_eq!(stats.tokens_remaining_day, Some(1_000_000));
}
