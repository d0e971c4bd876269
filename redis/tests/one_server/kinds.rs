//! One limit of each kind, as operators see and change it.

use core::time::Duration;
use std::collections::BTreeMap;

use tidegate::{Quota, RateLimitConfig, TokenUsage};
use tidegate_redis::inspect::{InspectError, LimitDetails, StoredKind, StoredLimit};
use tidegate_redis::{
    RedisApiRateLimiter, RedisSemaphore, RedisSlidingWindow, RedisStore, SemaphoreOptions,
    SharedLimit,
};

use super::inspection::scan_limits;
use super::{each_server, ms};
use crate::support::limiters::{HOUR, MINUTE, bucket, connect, keyed, uncached};
use crate::support::server::Server;

/// So slow that nothing flows in while a test runs.
const QUOTA: Quota = Quota::per_day(20);

const CONFIG: RateLimitConfig = RateLimitConfig {
    requests_per_day: Some(1_000),
    tokens_per_day: Some(100_000),
    enable_backoff: false,
    ..RateLimitConfig::UNLIMITED
};

fn window(store: &RedisStore, name: &str) -> RedisSlidingWindow {
    RedisSlidingWindow::with_options(store, name, 10, HOUR, uncached()).unwrap()
}

fn semaphore(store: &RedisStore, limit: u64) -> RedisSemaphore {
    let options = SemaphoreOptions::new().ttl(HOUR);
    RedisSemaphore::with_options(store, "exports", limit, options).unwrap()
}

fn api(store: &RedisStore) -> RedisApiRateLimiter {
    let builder = RedisApiRateLimiter::builder(store, "model", CONFIG);
    builder.cache_denials(Duration::ZERO).build().unwrap()
}

async fn details(store: &RedisStore, key: &[u8]) -> LimitDetails {
    store.inspect(key).await.unwrap().expect("a stored limit")
}

#[tokio::test]
async fn scan_finds_every_kind() {
    for server in each_server() {
        let store = connect(&server);
        bucket(&store, "uploads", QUOTA)
            .try_acquire(5)
            .await
            .unwrap();
        window(&store, "provider").try_acquire(4).await.unwrap();
        let limits = [
            ("minute", SharedLimit::window(10, MINUTE)),
            ("day", SharedLimit::from(QUOTA)),
        ];
        let users = keyed(&store, "user", limits);
        users.try_acquire("alice", 2).await.unwrap();
        let permit = semaphore(&store, 3).acquire(2).await.unwrap();
        let call = api(&store).reserve_tokens(500).await.unwrap();
        let _: i64 = server.query(&["LPUSH", "tidegate:{list}", "1"]);

        let (limits, others) = scan_limits(&store, "*").await;
        assert_eq!(others, [b"tidegate:{list}"]);
        assert!(limits.iter().all(StoredLimit::is_used), "{limits:?}");
        let kind = |limit: &StoredLimit| {
            let key = String::from_utf8(limit.key().to_vec()).unwrap();
            (key, limit.kind())
        };
        let kinds: BTreeMap<String, StoredKind> = limits.iter().map(kind).collect();
        let expected = [
            ("tidegate:user:{alice}:minute", StoredKind::Window),
            ("tidegate:user:{alice}:day", StoredKind::Bucket),
            ("tidegate:{exports}", StoredKind::Semaphore),
            ("tidegate:{model}:?api", StoredKind::Api),
            ("tidegate:{model}:?day", StoredKind::Window),
            ("tidegate:{model}:?tokens-day", StoredKind::Bucket),
            ("tidegate:{provider}", StoredKind::Window),
            ("tidegate:{uploads}", StoredKind::Bucket),
        ];
        let expected = expected.map(|(key, kind)| (key.to_owned(), kind));
        assert_eq!(kinds, expected.into());
        drop((permit, call));
        assert_eq!(store.stats().outages, 0);
    }
}

#[tokio::test]
async fn window_is_shown_and_reset() {
    for server in each_server() {
        let store = connect(&server);
        let window = window(&store, "provider");
        let key = store.bucket_key("provider", None, None);
        assert_eq!(store.inspect(&key).await.unwrap(), None);
        window.try_acquire(3).await.unwrap();
        // The rest is admitted half an hour later, whatever slot that is.
        server.set_clock_offset_ms(ms(HOUR / 2));
        window.try_acquire(4).await.unwrap();
        let found = details(&store, &key).await;
        let shown = found.limit.window().unwrap();
        assert_eq!((shown.used, shown.available(10)), (7, 3));
        assert_eq!((shown.slot, shown.slots), (HOUR / 64, 64));
        let slot = HOUR / 64;
        let (first, last) = (shown.first_ends_in, shown.last_ends_in);
        assert!(
            first + MINUTE > HOUR / 2 && first <= HOUR / 2 + slot,
            "{first:?}"
        );
        assert!(last > HOUR && last <= HOUR + slot, "{last:?}");
        let expires = found.expires_in.unwrap();
        assert!(expires + MINUTE > last, "{expires:?}");

        // What is shown after the first have left is what the window itself says.
        server.set_clock_offset_ms(ms(HOUR / 2) + ms(first));
        let shown = details(&store, &key).await;
        let shown = shown.limit.window().unwrap().available(10);
        assert_eq!((shown, window.available().await.unwrap()), (6, 6));

        store.reset_key(&key).await.unwrap();
        assert_eq!(window.available().await.unwrap(), 10);
        window.try_acquire(1).await.unwrap();
        check_bucket_changes_fail(&server, &store, &key, StoredKind::Window).await;
    }
}

/// The window itself is the oracle, while slots end and the clock steps back.
#[tokio::test]
async fn window_is_shown_as_it_decides() {
    for server in each_server() {
        let store = connect(&server);
        let window = window(&store, "provider");
        let key = store.bucket_key("provider", None, None);
        let used = async || {
            let found = store.inspect(&key).await.unwrap();
            found.map_or(0, |found| found.limit.window().unwrap().used)
        };
        let mut random = fastrand::Rng::with_seed(1);
        let (mut offset, mut most) = (0, 0);
        for _ in 0..60 {
            offset += match random.u8(..8) {
                0 => -random.i64(0..2_000_000),
                1 => random.i64(0..4_000_000),
                _ => random.i64(0..120_000),
            };
            server.set_clock_offset_ms(offset);
            let before = used().await;
            let left = window.available().await.unwrap();
            // A slot may end meanwhile.
            let after = used().await;
            assert!(
                (after..=before).contains(&(10 - left)),
                "{before} {left} {after}"
            );
            most = most.max(before);
            let _ = window.try_acquire(random.u64(..4)).await;
        }
        assert!(most > 5, "{most}");
    }
}

/// A window that starts empty counts as used up while it is absent.
#[tokio::test]
async fn reset_keeps_a_window_that_starts_empty() {
    for server in each_server() {
        let store = connect(&server);
        let options = uncached().start_empty(HOUR);
        let kept = RedisSlidingWindow::with_options(&store, "kept", 10, HOUR, options).unwrap();
        kept.try_acquire(1).await.unwrap_err();
        let key = store.bucket_key("kept", None, None);
        assert_eq!(details(&store, &key).await.limit.window().unwrap().used, 10);
        store.reset_key(&key).await.unwrap();
        let ttl: i64 = server.query(&["PTTL", "tidegate:{kept}"]);
        assert_eq!((ttl, kept.available().await.unwrap()), (-1, 10));
        assert!(!details(&store, &key).await.limit.is_used());
    }
}

#[tokio::test]
async fn semaphore_is_shown_and_not_reset() {
    for server in each_server() {
        let (one, two) = (connect(&server), connect(&server));
        let first = semaphore(&one, 3).acquire(2).await.unwrap();
        let second = semaphore(&two, 3).acquire(1).await.unwrap();
        let key = one.bucket_key("exports", None, None);
        let found = details(&one, &key).await;
        let shown = found.limit.semaphore().unwrap();
        assert_eq!(
            (shown.held, shown.available(3), shown.holding_nodes()),
            (3, 0, 2)
        );
        let held: Vec<u64> = shown.nodes.iter().map(|node| node.held).collect();
        assert!(held == [1, 2] || held == [2, 1], "{held:?}");
        assert!(shown.nodes.iter().all(|node| node.node.is_some()));
        let (first_end, last_end) = (
            shown.first_ends_in().unwrap(),
            shown.last_ends_in().unwrap(),
        );
        assert!(first_end <= last_end, "{first_end:?} {last_end:?}");
        assert!(last_end <= HOUR && first_end > HOUR / 2, "{first_end:?}");

        let error = one.reset_key(&key).await.unwrap_err();
        let InspectError::OtherKind { kind } = error else {
            panic!("{error:?}");
        };
        assert_eq!(kind, StoredKind::Semaphore);
        check_bucket_changes_fail(&server, &one, &key, StoredKind::Semaphore).await;
        assert_eq!(semaphore(&one, 3).in_use().await.unwrap(), 3);
        drop((first, second));
    }
}

#[tokio::test]
async fn api_limiter_is_shown_and_resumed() {
    for server in each_server() {
        let store = connect(&server);
        let limiter = api(&store);
        let key = store.api_key("model");
        assert_eq!(key, b"tidegate:{model}:?api");
        assert_eq!(store.inspect(&key).await.unwrap(), None);
        // Nothing is written under its names, neither before its first call nor later.
        check_bucket_changes_fail(&server, &store, &key, StoredKind::Api).await;
        let permit = limiter.reserve_tokens(20_000).await.unwrap();
        permit.settle(TokenUsage::new(30_000, 0)).await.unwrap();
        let open = limiter.reserve_tokens(70_000).await.unwrap();
        limiter.pause_for(HOUR).await.unwrap();
        let found = details(&store, &key).await;
        let shown = found.limit.api().unwrap();
        assert_eq!((shown.in_flight, shown.waiting_nodes), (1, 0));
        assert_eq!((shown.total_requests, shown.total_tokens_used), (2, 30_000));
        assert_eq!(
            (shown.views.len(), shown.unreadable, shown.forfeited),
            (0, 0, 0)
        );
        let pause = shown.pause_ends_in.unwrap();
        assert!(pause <= HOUR && pause > HOUR / 2, "{pause:?}");
        assert!(limiter.check().await.unwrap().is_limited);

        check_bucket_changes_fail(&server, &store, &key, StoredKind::Api).await;
        for part in ["?calls", "?ends"] {
            let part = store.bucket_key("model", None, Some(part));
            let error = store.inspect(&part).await.unwrap_err();
            assert!(matches!(error, InspectError::NotALimit), "{error:?}");
            check_bucket_changes_fail(&server, &store, &part, StoredKind::Api).await;
        }
        let minute = store.bucket_key("model", None, Some("?minute"));
        check_bucket_changes_fail(&server, &store, &minute, StoredKind::Window).await;
        let tokens = store.bucket_key("model", None, Some("?tokens-day"));
        let error = store.set_key_quota(&tokens, QUOTA, QUOTA.burst(9)).await;
        let is_refused = matches!(
            error,
            Err(InspectError::OtherKind {
                kind: StoredKind::Api
            })
        );
        assert!(is_refused, "{error:?}");

        store.reset_key(&key).await.unwrap();
        let found = details(&store, &key).await;
        let shown = found.limit.api().unwrap();
        assert_eq!((shown.pause_ends_in, shown.in_flight), (None, 1));
        let stats = limiter.stats().await.unwrap();
        assert_eq!(stats.tokens_remaining_day, Some(100_000));
        assert_eq!(stats.requests_remaining_day, Some(998));
        // Its windows have keys of their own.
        let day = store.bucket_key("model", None, Some("?day"));
        store.reset_key(&day).await.unwrap();
        let stats = limiter.stats().await.unwrap();
        assert_eq!(
            (stats.requests_remaining_day, stats.in_flight),
            (Some(1_000), 1)
        );
        open.cancel().await.unwrap();
        assert_eq!(
            details(&store, &key).await.limit.api().unwrap().in_flight,
            0
        );
    }
}

#[cfg(feature = "http")]
#[tokio::test]
async fn what_the_provider_told_is_shown_until_the_limiter_is_resumed() {
    use http::{HeaderMap, HeaderValue, StatusCode};
    use tidegate_redis::inspect::StoredUnit;

    for server in each_server() {
        let store = connect(&server);
        let limiter = api(&store);
        let mut permit = limiter.reserve_tokens(20_000).await.unwrap();
        let open = limiter.reserve_tokens(5_000).await.unwrap();
        let told = [
            ("x-ratelimit-remaining-tokens", "30000"),
            ("x-ratelimit-reset-tokens", "1000s"),
        ];
        let field = |(name, value): (&'static str, _)| {
            let name = http::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        };
        let told: HeaderMap = told.into_iter().map(field).collect();
        let observed = permit.observe_response(StatusCode::OK, &told);
        observed.await.unwrap();
        let key = store.api_key("model");
        let found = details(&store, &key).await;
        let views = &found.limit.api().unwrap().views;
        assert_eq!(views.len(), 1, "{views:?}");
        assert_eq!(
            (views[0].unit, views[0].remaining),
            (StoredUnit::Tokens, 30_000)
        );
        // As the limiter itself says.
        let remaining = limiter.check().await.unwrap().tokens_remaining;
        assert_eq!((views[0].left, remaining), (25_000, 25_000));
        let ends_in = views[0].ends_in;
        assert!(
            ends_in <= Duration::from_secs(1_000) && ends_in > MINUTE,
            "{ends_in:?}"
        );
        store.reset_key(&key).await.unwrap();
        assert_eq!(details(&store, &key).await.limit.api().unwrap().views, []);
        permit.settle(1_000).await.unwrap();
        open.cancel().await.unwrap();
    }
}

/// Changes that only buckets have are refused, and change nothing.
async fn check_bucket_changes_fail(
    server: &Server,
    store: &RedisStore,
    key: &[u8],
    expected: StoredKind,
) {
    let text = str::from_utf8(key).unwrap();
    let dump = || -> Option<Vec<u8>> { server.query(&["DUMP", text]) };
    let before = dump();
    for result in [
        store.debit_key(key, QUOTA, 1).await,
        store.credit_key(key, QUOTA, 1).await,
        store.set_key_level(key, QUOTA, 1).await,
        store.set_key_quota(key, QUOTA, QUOTA.burst(9)).await,
    ] {
        let error = result.unwrap_err();
        let InspectError::OtherKind { kind } = error else {
            panic!("{error:?}");
        };
        assert_eq!(kind, expected);
        assert!(error.to_string().contains(&expected.to_string()), "{error}");
    }
    assert_eq!(dump(), before);
}
