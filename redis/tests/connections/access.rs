//! The documented access rights suffice, and each of them is needed.

use core::time::Duration;
use std::collections::BTreeSet;

use redis::Value;
use tidegate::{Quota, RateLimitConfig};
use tidegate_redis::inspect::{InspectError, ScanCursor, StoredKind, StoredLimit};
use tidegate_redis::{
    CallEnding, LeaseOptions, LimiterOptions, PingError, RedisApiRateLimiter, RedisSemaphore,
    RedisStore, RedisTokenBucket,
};

use super::check_every_limiter;
use crate::support::acl::{documented_rights, set_user, user_url};
use crate::support::limiters::{bucket, cause, lease, patient_store};
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;

/// Checks that the server has refused no command.
///
/// The command that tells the client's name is an exception: a connection works without it.
#[track_caller]
pub(crate) fn check_nothing_was_refused(server: &Server) {
    let log: Value = server.query(&["ACL", "LOG"]);
    let Value::Array(entries) = log else {
        panic!("{log:?}");
    };
    for entry in entries {
        let entry = format!("{entry:?}");
        assert!(entry.contains("client|setinfo"), "{entry}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documented_rights_suffice_for_one_server() {
    for mut server in Server::each_kind() {
        set_user(&server, &documented_rights(false));
        let store = RedisStore::builder()
            .probe_interval(Duration::from_millis(20))
            // The pause between a probe's two attempts is a part of the timeout.
            .timeout(Duration::from_secs(2))
            .connect(user_url(&server))
            .unwrap();
        check_every_limiter(&store, "name").await;
        check_nothing_was_refused(&server);

        // Probes need no further rights.
        server.kill();
        let bucket = bucket(&store, "again", Quota::per_second(1_000));
        bucket.try_acquire(1).await.unwrap_err();
        server.restart();
        set_user(&server, &documented_rights(false));
        // A probe may have failed before the user existed.
        let () = server.query(&["ACL", "LOG", "RESET"]);
        eventually("an admission", async || bucket.try_acquire(1).await.ok()).await;
        check_nothing_was_refused(&server);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_documented_right_is_needed() {
    let server = ServerOptions::default().start();
    let rights = documented_rights(false);
    for right in rights.iter().filter(|right| right.starts_with('+')) {
        set_user(&server, &rights);
        set_user(&server, &["tidegate", &right.replace('+', "-")]);
        let store = patient_store().connect(user_url(&server)).unwrap();
        server.flush_scripts();
        let quota = Quota::per_second(10);
        let called = bucket(&store, "called", quota).try_acquire(1).await;
        let leased = lease(&store, "leased", quota).await.acquire(1).await;
        // Its key has no expiry.
        let options = LimiterOptions::new().start_empty(Duration::from_millis(1));
        let kept = RedisTokenBucket::with_options(&store, "kept", quota, options).unwrap();
        let kept = kept.lease(LeaseOptions::new()).await.acquire(1).await;
        let results = [called.map(drop), leased, kept];
        let fails = results.iter().any(Result::is_err) || !api_limiter_works(&store).await;
        assert!(fails, "works without {right}");
        let ping = store.ping().await.unwrap_err();
        assert!(
            matches!(ping, PingError::MissingRight { .. }),
            "{right}: {ping:?}"
        );
    }
}

/// The end of a call is sent until it succeeds.
async fn api_limiter_works(store: &RedisStore) -> bool {
    let limiter = RedisApiRateLimiter::new(store, "api", RateLimitConfig::DEFAULT).unwrap();
    let call = async { limiter.reserve_tokens(1).await?.settle(1).await };
    let ended = tokio::time::timeout(Duration::from_secs(1), call).await;
    matches!(ended, Ok(Ok(CallEnding::Done)))
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_right_fails_the_call_but_is_no_outage() {
    for options in ServerOptions::each_kind() {
        let server = options.tcp().start();
        set_user(&server, &documented_rights(false));
        set_user(&server, &["tidegate", "resetkeys", "~tidegate:{allowed*"]);
        let store = patient_store().connect(user_url(&server)).unwrap();
        let quota = Quota::per_hour(100);
        let allowed = bucket(&store, "allowed", quota);
        allowed.try_acquire(1).await.unwrap();
        let leased = lease(&store, "allowed lease", quota).await;
        leased.acquire(1).await.unwrap();
        leased.close().await;

        let forbidden = bucket(&store, "forbidden", quota);
        let cause = cause(forbidden.try_acquire(1).await);
        assert_eq!(cause.code(), Some("NOPERM"), "{cause}");
        assert!(
            cause
                .to_string()
                .contains("tidegate needs `~tidegate:* +eval"),
            "{cause}"
        );
        assert_eq!(store.stats().outages, 0, "{:?}", store.stats());
        allowed.try_acquire(1).await.unwrap();
    }
}

/// A connection to a database chooses it first.
#[tokio::test(flavor = "multi_thread")]
async fn documented_rights_suffice_for_a_database() {
    for options in ServerOptions::each_kind() {
        let server = options.tcp().start();
        set_user(&server, &documented_rights(false));
        let url = user_url(&server) + "/3";
        let store = patient_store().connect(&*url).unwrap();
        let error = store.ping().await.unwrap_err();
        assert!(matches!(error, PingError::MissingRight { .. }), "{error:?}");
        assert!(error.to_string().ends_with(" +select`"), "{error}");

        set_user(&server, &["tidegate", "+select"]);
        let () = server.query(&["ACL", "LOG", "RESET"]);
        let store = patient_store().connect(&*url).unwrap();
        check_every_limiter(&store, "name").await;
        store.ping().await.unwrap();
        check_nothing_was_refused(&server);
        assert!(server.info("db3").is_some(), "keys in the database");
    }
}

/// Without the rights that only operators need, the error names them.
#[tokio::test(flavor = "multi_thread")]
async fn documented_rights_suffice_for_operators() {
    for server in Server::each_kind() {
        set_user(&server, &documented_rights(false));
        let store = patient_store().connect(user_url(&server)).unwrap();
        let quota = Quota::per_hour(100);
        bucket(&store, "name", quota).try_acquire(1).await.unwrap();
        let key = store.bucket_key("name", None, None);
        let error = store.inspect(&key).await.unwrap_err();
        assert!(matches!(error, InspectError::Server(_)), "{error:?}");
        let error = store
            .scan("*", ScanCursor::default(), 10)
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("+scan +pttl"), "{text}");

        set_user(&server, &["tidegate", "+scan", "+pttl"]);
        let page = store.scan("*", ScanCursor::default(), 1_000).await.unwrap();
        assert_eq!(page.limits.len(), 1);
        let found = store.inspect(&key).await.unwrap().unwrap();
        assert_eq!(found.memory, None);
        set_user(&server, &["tidegate", "+memory|usage"]);
        let found = store.inspect(&key).await.unwrap().unwrap();
        assert!(found.memory.is_some());
        store.set_key_level(&key, quota, 7).await.unwrap();
        store.reset_key(&key).await.unwrap();

        // Another store, because this one has counted errors.
        let store = patient_store().connect(user_url(&server)).unwrap();
        check_every_limiter(&store, "every").await;
        // A semaphore without permits out leaves nothing.
        let semaphore = RedisSemaphore::new(&store, "held", 1).unwrap();
        let permit = semaphore.try_acquire(1).await.unwrap();
        let page = store.scan("*", ScanCursor::default(), 1_000).await.unwrap();
        let kinds: BTreeSet<_> = page.limits.iter().map(StoredLimit::kind).collect();
        assert_eq!(kinds.len(), 4, "{kinds:?}");
        for limit in page.limits {
            let reset = store.reset_key(limit.key()).await;
            let is_semaphore = limit.kind() == StoredKind::Semaphore;
            assert_eq!(reset.is_err(), is_semaphore, "{reset:?}");
        }
        drop(permit);
        check_only_operators_rights_were_refused(&server);
    }
}

/// As this test had them refused, before the user had them.
#[track_caller]
fn check_only_operators_rights_were_refused(server: &Server) {
    let log: Value = server.query(&["ACL", "LOG"]);
    let Value::Array(entries) = log else {
        panic!("{log:?}");
    };
    for entry in entries {
        let entry = format!("{entry:?}");
        let is_known = ["client|setinfo", "scan", "pttl", "memory|usage", "select"]
            .iter()
            .any(|command| entry.contains(command));
        assert!(is_known, "{entry}");
    }
}

/// As proxies of managed servers do.
#[tokio::test(flavor = "multi_thread")]
async fn commands_of_connections_may_be_unknown() {
    for mut options in ServerOptions::each_kind() {
        options = options.rename("CLIENT", "").rename("HELLO", "");
        let server = options.tcp().start();
        // Without the right to `INFO`.
        set_user(&server, &documented_rights(false));
        set_user(&server, &["tidegate", "+select"]);
        for path in ["/0", "/5"] {
            let store = patient_store().connect(user_url(&server) + path);
            let store = store.unwrap();
            check_every_limiter(&store, "name").await;
            let info = store.ping().await.unwrap();
            assert_eq!((info.kind, info.version, info.role), (None, None, None));
        }
        // This protocol begins with `HELLO`.
        let url = server.url() + "/?protocol=resp3";
        let error = patient_store().connect(url).unwrap().ping().await;
        let text = error.unwrap_err().to_string();
        assert!(text.contains("'HELLO'"), "{text}");
    }
}

#[tokio::test]
async fn error_of_a_wrong_password_does_not_show_it() {
    for options in ServerOptions::each_kind() {
        let server = options.tcp().start();
        set_user(&server, &documented_rights(false));
        let url = user_url(&server).replace("secret", "mistaken");
        let store = patient_store().connect(url).unwrap();
        let bucket = bucket(&store, "name", Quota::per_day(1));
        let error = bucket.try_acquire(1).await.unwrap_err();
        assert!(!error.to_string().contains("mistaken"), "{error}");
        cause::<()>(Err(error));
    }
}

#[cfg(feature = "cluster")]
#[tokio::test(flavor = "multi_thread")]
async fn documented_rights_suffice_for_a_cluster() {
    use crate::support::cluster::Cluster;

    let cluster = Cluster::start(ServerOptions::default());
    let nodes = || (0..cluster.len()).map(|node| cluster.node(node));
    for node in nodes() {
        set_user(node, &documented_rights(true));
    }
    let store = patient_store().connect_cluster(nodes().map(user_url));
    let store = store.await.unwrap();
    for name in 0..30 {
        check_every_limiter(&store, &format!("name-{name}")).await;
    }
    // While a slot moves, its old owner redirects calls; afterwards the new owner serves them.
    let bucket = bucket(&store, "move", Quota::per_second(1_000));
    let slot = cluster.slot_of("tidegate:{move}");
    let to = (cluster.owner_of_slot(slot) + 1) % cluster.len();
    let slot_move = cluster.begin_move(slot, to);
    bucket.try_acquire(1).await.unwrap();
    slot_move.finish();
    bucket.try_acquire(1).await.unwrap();
    for node in nodes() {
        check_nothing_was_refused(node);
    }
}
