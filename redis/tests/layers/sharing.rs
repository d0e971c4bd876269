//! Two stores stand for two processes: they share nothing but the server.

use core::time::Duration;
use std::sync::Arc;

use axum::http::{HeaderValue, Request};
use tidegate::Quota;
use tidegate::layer::{Named, NoKey, RateLimitLayer, RequestHead};
use tidegate_redis::{RedisKeyed, RedisPerKey, RedisSlidingWindow, SharedLimit};

use super::{field, of, send, status};
use crate::support::limiters::{HOUR, bucket, combined, connect, keyed, lease, slow, uncached};
use crate::support::server::Server;

fn user(request: &RequestHead<'_>) -> Option<HeaderValue> {
    request.headers().get("user").cloned()
}

#[tokio::test]
async fn layers_of_two_processes_share_one_limit() {
    for server in Server::each_kind() {
        let process = || {
            let gate = Named::new("uploads", bucket(&connect(&server), "uploads", slow(3)));
            RateLimitLayer::shared(gate)
        };
        let (one, two) = (process(), process());
        for (layer, left) in [(&one, 2), (&two, 1), (&one, 0)] {
            let response = send(layer, Request::new(())).await;
            assert_eq!(response.body(), "served");
            let policy = r#""uploads";q=3;w=3000"#;
            assert_eq!(field(&response, "ratelimit-policy"), Some(policy));
            let limit = field(&response, "ratelimit").unwrap();
            let start = format!(r#""uploads";r={left};t="#);
            assert!(limit.starts_with(&start), "{limit}");
        }
        for layer in [&one, &two] {
            let refused = send(layer, Request::new(())).await;
            assert_eq!(refused.status(), 429);
            let limit = field(&refused, "ratelimit").unwrap();
            assert!(limit.starts_with(r#""uploads";r=0;t="#), "{limit}");
            let wait: u64 = field(&refused, "retry-after").unwrap().parse().unwrap();
            assert!((900..=1_000).contains(&wait), "{wait}");
        }
        let counts = [one.stats(), two.stats()].map(|stats| (stats.allowed, stats.denied));
        assert_eq!(counts, [(2, 1), (1, 1)]);
    }
}

#[tokio::test]
async fn each_user_has_the_limits_on_all_processes() {
    for server in Server::each_kind() {
        let quotas = || [("burst", slow(5)), ("day", Quota::per_day(2))];
        let process = || {
            let table = Arc::new(keyed(&connect(&server), "user", quotas()));
            let layer = RateLimitLayer::shared(RedisPerKey::new(Arc::clone(&table), user));
            (layer, table)
        };
        let ((one, table), (two, _)) = (process(), process());
        for layer in [&one, &two] {
            let response = send(layer, of("alice")).await;
            assert_eq!(response.status(), 200);
            let policy = r#""burst";q=5;w=5000, "day";q=2;w=86400"#;
            assert_eq!(field(&response, "ratelimit-policy"), Some(policy));
        }
        for layer in [&one, &two] {
            let refused = send(layer, of("alice")).await;
            assert_eq!(refused.status(), 429);
            let limit = field(&refused, "ratelimit").unwrap();
            assert!(limit.starts_with(r#""day";r=0;t="#), "{limit}");
            assert_eq!(send(layer, of("bob")).await.status(), 200);
        }
        assert_eq!(table.available("alice").await.unwrap(), [3, 0]);
        let keyless = send(&one, Request::new(())).await;
        assert_eq!((keyless.status().as_u16(), one.stats().no_key), (400, 1));
    }
}

#[tokio::test]
async fn optional_keys_pass_and_ambiguous_ones_do_not() {
    let server = Server::each_kind().next().unwrap();
    let store = connect(&server);
    let find = |request: &RequestHead<'_>| -> Result<String, NoKey> {
        match request.path() {
            "/twice" => Err(NoKey::Ambiguous),
            _ => Err(NoKey::NotSent),
        }
    };
    let table: RedisKeyed = keyed(&store, "user", slow(1));
    let layer = RateLimitLayer::shared(RedisPerKey::new(table, find).optional());
    for _ in 0..3 {
        assert_eq!(status(&layer).await, 200);
    }
    let twice = Request::get("/twice").body(()).unwrap();
    assert_eq!(send(&layer, twice).await.status(), 400);
    assert_eq!(store.stats().calls, 0);
}

/// A denial from the node's cache describes the limit as one of the server does.
#[tokio::test]
async fn cached_denials_have_the_same_fields() {
    for server in Server::each_kind() {
        let store = connect(&server);
        let quotas = [("burst", slow(5)), ("day", Quota::per_day(2))];
        let table = RedisKeyed::new(&store, "user", quotas).unwrap();
        let layer = RateLimitLayer::shared_builder(RedisPerKey::new(table, user))
            .describe_all(true)
            .build();
        for _ in 0..2 {
            assert_eq!(send(&layer, of("alice")).await.status(), 200);
        }
        let before = store.stats().calls;
        let mut waits = Vec::new();
        // The cache forgets after a second, so a slow machine asks once more.
        while store.stats().calls == before || waits.len() < 10 {
            let refused = send(&layer, of("alice")).await;
            let limits = field(&refused, "ratelimit").unwrap();
            assert!(limits.starts_with(r#""burst";r=3;t="#), "{limits}");
            assert!(limits.contains(r#""day";r=0;t="#), "{limits}");
            waits.push(
                field(&refused, "retry-after")
                    .unwrap()
                    .parse::<u64>()
                    .unwrap(),
            );
        }
        assert!(layer.shared_gate().table().stats().denied_from_cache > 0);
        // Not the second after which the cache forgets.
        assert!(waits.iter().all(|wait| *wait > 43_000), "{waits:?}");
        assert!(waits.is_sorted_by(|one, next| one >= next), "{waits:?}");
    }
}

#[tokio::test]
async fn windows_are_gates_alone_and_for_each_key() {
    for server in Server::each_kind() {
        let store = connect(&server);
        let window = RedisSlidingWindow::with_options(&store, "uploads", 3, HOUR, uncached());
        let gate = Named::new("uploads", window.unwrap());
        let layer = RateLimitLayer::shared(gate);
        // Until the first request ages out: a window, and at most a slot.
        let ages_out = |seconds: u64| {
            let hour = Duration::from_secs(seconds);
            assert!(hour > HOUR / 2 && hour <= HOUR + HOUR / 64, "{seconds}");
        };
        for left in [2, 1, 0] {
            let response = send(&layer, Request::new(())).await;
            assert_eq!(response.status(), 200);
            let policy = r#""uploads";q=3;w=3600"#;
            assert_eq!(field(&response, "ratelimit-policy"), Some(policy));
            let limit = field(&response, "ratelimit").unwrap();
            let start = format!(r#""uploads";r={left};t="#);
            let wait = limit.strip_prefix(&*start).expect("what is left");
            ages_out(wait.parse().unwrap());
        }
        let refused = send(&layer, Request::new(())).await;
        assert_eq!(refused.status(), 429);
        ages_out(field(&refused, "retry-after").unwrap().parse().unwrap());

        let limits = [
            ("burst", SharedLimit::from(slow(5))),
            ("hour", SharedLimit::window(1, HOUR)),
        ];
        let table: RedisKeyed = keyed(&store, "user", limits);
        let layer = RateLimitLayer::shared(RedisPerKey::new(table, user));
        for (user, status) in [("alice", 200), ("alice", 429), ("bob", 200)] {
            assert_eq!(send(&layer, of(user)).await.status(), status);
        }
    }
}

#[tokio::test]
async fn combinations_and_leases_are_gates() {
    for server in Server::each_kind() {
        let store = connect(&server);
        let quotas = [("requests", slow(2)), ("burst", slow(9))];
        let layer = RateLimitLayer::shared(combined(&store, "model", quotas));
        let statuses = [
            status(&layer).await,
            status(&layer).await,
            status(&layer).await,
        ];
        assert_eq!(statuses, [200, 200, 429]);

        // The first request finds no token on this node.
        let layer = RateLimitLayer::shared(lease(&store, "api", slow(1_000)).await);
        for _ in 0..100 {
            assert_eq!(status(&layer).await, 200);
        }
        let too_many = RateLimitLayer::shared_builder(lease(&store, "api", slow(1_000)).await)
            .cost(|_| 1_001)
            .build();
        assert_eq!(status(&too_many).await, 429);
        layer.shared_gate().close().await;
        assert_eq!(status(&layer).await, 503);
    }
}
