//! The API limiter of a fleet on a server that answers: two nodes, which are two limiters.

use core::time::Duration;

use tidegate::{LimitKind, RateLimitConfig, RateLimitStatus, TokenEstimate, TokenUsage};
use tidegate_redis::{
    ApiError, BuildError, CallEnding, CallId, RedisApiRateLimiter, RedisTokenBucket,
};

use super::{each_server, key_count};
use crate::support::limiters::{bucket, connect, slow};
use crate::support::server::Server;
use crate::support::wait::eventually;

/// No limit that could refuse by chance: each test sets those that it is about.
const CONFIG: RateLimitConfig = RateLimitConfig {
    requests_per_day: Some(1_000),
    // A thousand flow in within a quarter of an hour.
    tokens_per_day: Some(100_000),
    enable_backoff: false,
    ..RateLimitConfig::UNLIMITED
};

/// Two nodes, each with a store of its own and no denial cache.
fn nodes(server: &Server, config: RateLimitConfig) -> [RedisApiRateLimiter; 2] {
    [0, 1].map(|_| {
        let builder = RedisApiRateLimiter::builder(&connect(server), "model", config);
        builder.cache_denials(Duration::ZERO).build().unwrap()
    })
}

#[track_caller]
fn limited<T: core::fmt::Debug>(result: Result<T, ApiError>) -> RateLimitStatus {
    let error = result.expect_err("limited");
    *error.status().expect("a status")
}

#[tokio::test]
async fn tokens_and_requests_are_shared_and_settled_once() {
    for server in each_server() {
        let [one, two] = nodes(&server, CONFIG);
        let mut permit = one.reserve_tokens(60_000).await.unwrap();
        permit.commit();
        let refusal = limited(two.reserve_tokens(60_000).await);
        assert_eq!(refusal.limited_by, Some(LimitKind::TokensPerDay));
        assert_eq!(refusal.requests_remaining, 999);
        let id = permit.id();
        assert_eq!(permit.settle(20_000).await.unwrap(), CallEnding::Done);
        let stats = two.stats().await.unwrap();
        assert_eq!((stats.total_requests, stats.total_tokens_used), (1, 20_000));
        assert_eq!(
            (stats.in_flight, stats.requests_remaining_day),
            (0, Some(999))
        );
        let left = stats.tokens_remaining_day.unwrap();
        assert!((80_000..81_000).contains(&left), "{left}");

        // Another end of the same call changes nothing, from any node.
        assert_eq!(two.settle(id, 1).await.unwrap(), CallEnding::Unknown);
        assert_eq!(one.cancel(id).await.unwrap(), CallEnding::Unknown);
        assert_eq!(two.stats().await.unwrap().total_tokens_used, 20_000);

        // What is used beyond the estimate becomes debt.
        let permit = two.reserve_tokens(70_000).await.unwrap();
        permit.settle(TokenUsage::new(80_000, 5_000)).await.unwrap();
        assert_eq!(
            limited(one.try_acquire().await).limited_by,
            Some(LimitKind::TokensPerDay)
        );
        one.resume().await.unwrap();
        assert_eq!(
            two.stats().await.unwrap().tokens_remaining_day,
            Some(100_000)
        );
        two.record_tokens(99_000).await.unwrap();
        let refusal = one.try_acquire().await.unwrap();
        assert!(
            (1_000..2_000).contains(&refusal.tokens_remaining),
            "{refusal}"
        );
    }
}

#[tokio::test]
async fn dropped_canceled_reported_and_handed_over_permits() {
    for server in each_server() {
        let [one, two] = nodes(&server, CONFIG);
        drop(one.reserve_tokens(50_000).await.unwrap());
        one.delivered().await;
        let stats = two.stats().await.unwrap();
        assert_eq!((stats.total_requests, stats.in_flight), (0, 0));
        assert_eq!(stats.requests_remaining_day, Some(1_000));
        assert_eq!(stats.tokens_remaining_day, Some(100_000));

        let mut permit = one.reserve_tokens(TokenUsage::new(100, 200)).await.unwrap();
        permit.report(TokenUsage::new(0, 150)).await.unwrap();
        permit.report(TokenUsage::new(0, 250)).await.unwrap();
        let left = two.stats().await.unwrap().tokens_remaining_day.unwrap();
        assert!((99_500..99_900).contains(&left), "{left}");
        drop(permit);
        one.delivered().await;
        assert_eq!(two.stats().await.unwrap().total_tokens_used, 500);

        let mut permit = one.reserve_tokens(1_000).await.unwrap();
        permit.commit();
        drop(permit);
        one.delivered().await;
        assert_eq!(two.stats().await.unwrap().total_tokens_used, 1_500);

        let id = one.reserve_tokens(1_000).await.unwrap().hand_over();
        let text = id.to_string();
        assert_eq!(two.stats().await.unwrap().in_flight, 1);
        let ended = two.settle(text.parse::<CallId>().unwrap(), 10);
        assert_eq!(ended.await.unwrap(), CallEnding::Done);
        let stats = one.stats().await.unwrap();
        assert_eq!((stats.total_tokens_used, stats.in_flight), (1_510, 0));
    }
}

#[tokio::test]
async fn calls_in_flight_are_counted_over_all_nodes_and_expire() {
    for server in each_server() {
        let config = RateLimitConfig {
            max_in_flight: Some(2),
            ..CONFIG
        };
        let build = |seconds| {
            let builder = RedisApiRateLimiter::builder(&connect(&server), "model", config);
            let builder = builder.cache_denials(Duration::ZERO);
            builder
                .call_ttl(Duration::from_secs(seconds))
                .build()
                .unwrap()
        };
        let (one, two) = (build(3_600), build(1));
        let first = one.reserve_tokens(10).await.unwrap();
        // As after a crash: nothing renews it.
        let dead = two.reserve_tokens(10).await.unwrap().hand_over();
        // It ends by itself.
        let third = one.acquire_tokens(10).await.unwrap();
        let refusal = limited(two.reserve_tokens(10).await);
        assert_eq!(refusal.limited_by, Some(LimitKind::InFlight));
        assert_eq!(one.stats().await.unwrap().total_tokens_used, 10);
        // Its record is kept, for a node that was only cut off.
        assert_eq!(one.settle(dead, 4).await.unwrap(), CallEnding::Done);
        assert_eq!(one.stats().await.unwrap().total_tokens_used, 4);
        first.settle(1).await.unwrap();
        third.settle(1).await.unwrap();
        let stats = two.stats().await.unwrap();
        assert_eq!((stats.total_tokens_used, stats.in_flight), (6, 0));
    }
}

/// Longer than a time to live.
#[tokio::test]
async fn open_calls_are_renewed() {
    let server = each_server().next().unwrap();
    let builder = RedisApiRateLimiter::builder(&connect(&server), "model", CONFIG);
    let limiter = builder.call_ttl(Duration::from_secs(2)).build().unwrap();
    let permit = limiter.reserve_tokens(10).await.unwrap();
    let key = "tidegate:{model}:?ends";
    let ends = || {
        let ends: Vec<(Vec<u8>, f64)> = server.query(&["ZRANGE", key, "0", "-1", "WITHSCORES"]);
        ends[0].1
    };
    let first = ends();
    eventually("two renewals", async || ends() > first + 1e6).await;
    assert_eq!(permit.settle(1).await.unwrap(), CallEnding::Done);
    let left: usize = server.query(&["ZCARD", key]);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn pauses_are_of_all_nodes_until_one_resumes() {
    for server in each_server() {
        let [one, two] = nodes(&server, CONFIG);
        one.pause_for(Duration::from_secs(3_000)).await.unwrap();
        let refusal = limited(two.try_acquire().await);
        assert_eq!(refusal.limited_by, Some(LimitKind::Pause));
        assert!(refusal.retry_after() > Duration::from_secs(2_000));
        let waits = tokio::spawn({
            let two = two.clone();
            async move { two.acquire_tokens(5).await.map(|permit| permit.settle(5)) }
        });
        two.resume().await.unwrap();
        waits.await.unwrap().unwrap().await.unwrap();
        assert_eq!(one.stats().await.unwrap().total_tokens_used, 5);
    }
}

#[tokio::test]
async fn waiters_of_a_node_go_in_order() {
    for server in each_server() {
        let [one, _] = nodes(
            &server,
            RateLimitConfig {
                max_in_flight: Some(1),
                ..CONFIG
            },
        );
        let permit = one.reserve_tokens(1).await.unwrap();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..5_u64 {
            let (one, sender) = (one.clone(), sender.clone());
            let mut wait = Box::pin(async move {
                let permit = one.acquire_tokens(number).await.unwrap();
                sender.send(number).unwrap();
                permit.settle(1).await.unwrap();
            });
            // Takes its place in the line.
            let polled = core::future::poll_fn(|cx| {
                core::task::Poll::Ready(wait.as_mut().poll(cx).is_pending())
            });
            assert!(polled.await);
            tokio::spawn(wait);
        }
        let timeout = Duration::from_millis(1);
        let refusal = limited(one.acquire_tokens(1).timeout(timeout).await);
        assert_eq!(refusal.limited_by, Some(LimitKind::Queue));
        permit.settle(1).await.unwrap();
        for number in 0..5 {
            assert_eq!(receiver.recv().await, Some(number));
        }
    }
}

/// The refusal of a call that waits counts what another node has claimed, that of the others does
/// not.
#[tokio::test]
async fn calls_that_do_not_wait_overtake_claims_also_while_denials_are_cached() {
    for server in each_server() {
        let [one, two] = [0, 1].map(|_| {
            let builder = RedisApiRateLimiter::builder(&connect(&server), "model", CONFIG);
            let builder = builder.cache_denials(Duration::from_secs(3_600));
            builder.build().unwrap()
        });
        let permit = one.reserve_tokens(50_000).await.unwrap();
        let waits = tokio::spawn(async move { one.acquire_tokens(100_000).await });
        // It claims after a second.
        let short = Duration::from_secs(1);
        eventually("a claim", async || {
            let refused = two.acquire_tokens(100).timeout(short).await;
            refused.is_err_and(|error| error.status().is_some())
        })
        .await;
        drop(two.reserve_tokens(100).await.expect("no claim counts"));
        waits.abort();
        drop(permit);
    }
}

#[tokio::test]
async fn impossible_estimates_and_denials_like_the_last_cost_no_round_trip() {
    for server in each_server() {
        let store = connect(&server);
        let limiter = RedisApiRateLimiter::new(&store, "model", CONFIG).unwrap();
        let refusal = limited(limiter.reserve_tokens(100_001).await);
        assert!(refusal.is_permanent);
        assert_eq!(store.stats().calls, 0);
        let permit = limiter
            .reserve_tokens(TokenEstimate::guess(500_000))
            .await
            .unwrap();
        let before = server.script_calls();
        for _ in 0..100 {
            let _ = limited(limiter.reserve_tokens(99_000).await);
        }
        // A denial is kept for a second.
        let stats = limiter.node_stats();
        assert_eq!(stats.denied + stats.denied_from_cache, 100);
        assert_eq!(server.script_calls() - before, stats.denied);
        assert!(stats.denied_from_cache > 0);
        // What comes back on this node is seen at once.
        permit.settle(0).await.unwrap();
        limiter
            .reserve_tokens(99_000)
            .await
            .unwrap()
            .settle(0)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn denials_write_nothing_and_a_step_is_one_script() {
    for server in each_server() {
        let [one, two] = nodes(&server, CONFIG);
        let permit = one.reserve_tokens(90_000).await.unwrap();
        let keys = key_count(&server);
        let written = || {
            let changes = server.info("rdb_changes_since_last_save");
            (changes.unwrap(), server.calls("set"), server.calls("zadd"))
        };
        let (before, scripts) = (written(), server.script_calls());
        for _ in 0..10 {
            let _ = limited(two.reserve_tokens(50_000).await);
            let _ = two.check().await.unwrap();
            two.stats().await.unwrap();
        }
        assert_eq!(written(), before);
        assert_eq!(
            (key_count(&server), server.script_calls()),
            (keys, scripts + 30)
        );
        permit.settle(1).await.unwrap();
        assert_eq!(server.script_calls(), scripts + 31);
    }
}

#[tokio::test]
async fn open_calls_take_little_memory_and_leave_none() {
    const CALLS: usize = 300;
    let server = each_server().next().unwrap();
    let limiter = RedisApiRateLimiter::new(&connect(&server), "model", CONFIG).unwrap();
    let mut open = Vec::new();
    for _ in 0..CALLS {
        open.push(limiter.reserve_tokens(1).await.unwrap());
    }
    let memory = ["?calls", "?ends"].map(|part| -> usize {
        let key = format!("tidegate:{{model}}:{part}");
        server.query(&["MEMORY", "USAGE", &key, "SAMPLES", "0"])
    });
    let each = memory.iter().sum::<usize>() / CALLS;
    assert!(each < 400, "{each} bytes for each call");
    drop(open);
    limiter.delivered().await;
    // The state and the limits are left, without those that are unused.
    assert!(key_count(&server) <= 3, "{}", key_count(&server));
}

#[tokio::test]
async fn shared_limits_are_charged_with_the_others_or_not_at_all() {
    for server in each_server() {
        let store = connect(&server);
        let org = bucket(&store, "org", slow(2));
        let tokens = bucket(&store, "org tokens", slow(1_000));
        let model = |name| {
            let builder = RedisApiRateLimiter::builder(&store, name, CONFIG);
            let builder = builder.cache_denials(Duration::ZERO);
            builder
                .shared("org", &org)
                .shared_tokens("org tokens", &tokens)
                .build()
                .unwrap()
        };
        let (small, large) = (model("small"), model("large"));
        let permit = small.reserve_tokens(700).await.unwrap();
        let refusal = limited(large.reserve_tokens(700).await);
        assert_eq!(
            (refusal.limited_by, refusal.limit_name()),
            (Some(LimitKind::Shared), Some("org tokens"))
        );
        assert_eq!(org.available().await.unwrap(), 1, "all or none");
        permit.settle(100).await.unwrap();
        assert_eq!(tokens.available().await.unwrap(), 900);
        let permit = large.reserve_tokens(700).await.unwrap();
        let refusal = limited(small.try_acquire().await);
        assert_eq!(refusal.limit_name(), Some("org"));
        permit.cancel().await.unwrap();
        assert_eq!(
            (
                org.available().await.unwrap(),
                tokens.available().await.unwrap()
            ),
            (1, 900)
        );
    }
}

#[tokio::test]
async fn wrong_configurations_are_errors_before_anything_is_sent() {
    let server = each_server().next().unwrap();
    let (store, other) = (connect(&server), connect(&server));
    let build = |config| RedisApiRateLimiter::new(&store, "model", config).map(drop);
    let config = RateLimitConfig {
        burst_size: 0,
        ..RateLimitConfig::DEFAULT
    };
    assert!(
        matches!(build(config), Err(BuildError::Config(error)) if error.field() == "burst_size")
    );
    let config = RateLimitConfig {
        adaptive: true,
        ..CONFIG
    };
    assert_eq!(build(config), Err(BuildError::Unsupported("adaptive")));
    let org = RedisTokenBucket::new(&other, "org", slow(2)).unwrap();
    let builder = || RedisApiRateLimiter::builder(&store, "model", CONFIG);
    let error = builder().shared("org", &org).build().unwrap_err();
    assert_eq!(error, BuildError::OtherServer("org".into()));
    let org = RedisTokenBucket::new(&store, "org", slow(2)).unwrap();
    let error = builder()
        .shared("org", &org)
        .shared_tokens("org", &org)
        .build()
        .unwrap_err();
    assert_eq!(error, BuildError::DuplicateLimit("org".into()));
    // The same key, though another handle.
    let same = RedisTokenBucket::new(&store, "org", slow(3)).unwrap();
    let error = builder()
        .shared("org", &org)
        .shared_tokens("tokens", &same)
        .build()
        .unwrap_err();
    assert_eq!(error, BuildError::DuplicateLimit("tokens".into()));
    assert_eq!(store.stats().calls, 0);
}

#[cfg(feature = "http")]
mod responses {
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |&(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        };
        fields.iter().map(field).collect()
    }

    #[tokio::test]
    async fn what_a_response_tells_counts_for_all_nodes() {
        for server in each_server() {
            let [one, two] = nodes(&server, CONFIG);
            let mut permit = one.reserve_tokens(20_000).await.unwrap();
            let open = two.reserve_tokens(5_000).await.unwrap();
            let told = headers(&[
                ("x-ratelimit-remaining-tokens", "30000"),
                ("x-ratelimit-reset-tokens", "1000s"),
            ]);
            permit
                .observe_response(StatusCode::OK, &told)
                .await
                .unwrap();
            // The call of the other node may not be in what remains.
            let remaining = two.check().await.unwrap().tokens_remaining;
            assert_eq!(remaining, 25_000);
            let refusal = limited(two.reserve_tokens(25_001).await);
            assert_eq!(refusal.limited_by, Some(LimitKind::Provider));
            assert!(refusal.retry_after() > Duration::from_secs(900));
            // The rest of the observed call does not come back, that of the other does.
            permit.settle(1_000).await.unwrap();
            open.settle(1_000).await.unwrap();
            assert_eq!(one.check().await.unwrap().tokens_remaining, 29_000);
            one.resume().await.unwrap();
            assert_eq!(two.check().await.unwrap().tokens_remaining, 100_000);
        }
    }

    #[tokio::test]
    async fn refusals_pause_all_nodes() {
        for server in each_server() {
            let config = RateLimitConfig {
                enable_backoff: true,
                backoff_base: Duration::from_secs(1_000),
                backoff_max: Duration::from_secs(100_000),
                ..CONFIG
            };
            let [one, two] = nodes(&server, config);
            let mut permit = one.reserve_tokens(20_000).await.unwrap();
            let refused = StatusCode::TOO_MANY_REQUESTS;
            permit
                .observe_response(refused, &headers(&[]))
                .await
                .unwrap();
            permit.settle(0).await.unwrap();
            let wait = two.check().await.unwrap().retry_after();
            assert!((400..=1_000).contains(&wait.as_secs()), "{wait:?}");
            // The body tells it after all.
            let body = br#"{"error": {"details": [{
                "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "90s"}]}}"#;
            one.observe_body(refused, body).await.unwrap();
            let wait = two.check().await.unwrap().retry_after();
            assert!((60..=90).contains(&wait.as_secs()), "{wait:?}");
            let told = headers(&[("retry-after", "5000")]);
            one.observe_response(refused, &told).await.unwrap();
            let refusal = two.check().await.unwrap();
            assert_eq!(refusal.limited_by, Some(LimitKind::Pause));
            assert!(refusal.retry_after() > Duration::from_secs(4_000));
            let stats = two.stats().await.unwrap();
            assert_eq!((stats.total_requests, stats.total_tokens_used), (1, 0));
        }
    }
}
