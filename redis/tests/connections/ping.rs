//! Pings: what a server is, and what a decision lacks.

use core::time::Duration;
use std::time::SystemTime;

use tidegate_redis::{PingError, RedisStore, ServerInfo, ServerKind, ServerRole};

use super::access::check_nothing_was_refused;
use crate::support::acl::{documented_rights, set_user, user_url};
use crate::support::limiters::{HOUR, connect, patient_store};
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;

/// A store that notices soon that a server is back.
fn probing_store(url: String) -> RedisStore {
    let builder = RedisStore::builder()
        .timeout(Duration::from_secs(1))
        .probe_interval(Duration::from_millis(20));
    builder.connect(url).unwrap()
}

#[track_caller]
fn check_server(info: &ServerInfo, server: &Server) {
    let valkey = server.info("valkey_version");
    let kind = if valkey.is_some() {
        ServerKind::Valkey
    } else {
        ServerKind::Redis
    };
    assert_eq!(info.kind, Some(kind));
    let version = valkey.or_else(|| server.info("redis_version"));
    assert_eq!(info.version.as_deref(), version.as_deref());
    assert_eq!(info.role, Some(ServerRole::Primary));
    assert!(info.round_trip > Duration::ZERO);
    let age = SystemTime::now().duration_since(info.time).unwrap();
    assert!(age < HOUR, "{age:?}");
}

#[tokio::test]
async fn ping_tells_what_the_server_is_and_needs_no_further_right() {
    for server in Server::each_kind() {
        set_user(&server, &documented_rights(false));
        let store = patient_store().connect(user_url(&server)).unwrap();
        for _ in 0..2 {
            check_server(&store.ping().await.unwrap(), &server);
        }
        check_nothing_was_refused(&server);
        let keys = || server.query::<u64>(&["DBSIZE"]);
        eventually("the end of the key", async || keys() == 0).await;
        assert_eq!(store.stats().errors, 0);
    }
}

#[tokio::test]
async fn ping_tells_which_right_is_missing() {
    for server in Server::each_kind() {
        let rights = documented_rights(false);
        for missing in [
            "-evalsha",
            "-eval",
            "-get",
            "-getrange",
            "-set",
            "-setrange",
            "-pexpireat",
            "-persist",
            "-time",
            "-hget",
            "-hset",
            "-hdel",
            "-zadd",
            "-zrem",
            "-zcount",
            "-zrange",
            "resetkeys",
        ] {
            set_user(&server, &rights);
            set_user(&server, &["tidegate", missing]);
            server.flush_scripts();
            let store = patient_store().connect(user_url(&server)).unwrap();
            let error = store.ping().await.unwrap_err();
            assert!(
                matches!(error, PingError::MissingRight { .. }),
                "{missing}: {error:?}"
            );
            let text = error.to_string();
            let needs = "tidegate needs `~tidegate:* +eval +evalsha +get +getrange +set +setrange \
                         +pexpireat +persist +time +hget +hset +hdel +zadd +zrem +zcount \
                         +zrange`";
            assert!(text.ends_with(needs), "{text}");
            assert!(core::error::Error::source(&error).is_some());
        }
    }
}

#[tokio::test]
async fn ping_fails_where_writes_fail() {
    for options in ServerOptions::each_kind() {
        let server = options.set("maxmemory-policy", "noeviction").start();
        let store = probing_store(server.url());
        store.ping().await.unwrap();

        // Of a server that is not there.
        let () = server.query(&["REPLICAOF", "127.0.0.1", "1"]);
        for _ in 0..2 {
            let error = store.ping().await.unwrap_err();
            assert!(matches!(error, PingError::ReadOnly { .. }), "{error:?}");
        }
        let () = server.query(&["REPLICAOF", "NO", "ONE"]);
        eventually("a master", async || store.ping().await.ok()).await;

        let () = server.query(&["CONFIG", "SET", "maxmemory", "1mb"]);
        let error = store.ping().await.unwrap_err();
        assert!(matches!(error, PingError::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains("OOM"), "{error}");
        let () = server.query(&["CONFIG", "SET", "maxmemory", "0"]);
        eventually("memory", async || store.ping().await.ok()).await;
    }
}

#[tokio::test]
async fn ping_fails_without_a_server_or_a_password() {
    for options in ServerOptions::each_kind() {
        let mut server = options.tcp().start();
        set_user(&server, &documented_rights(false));
        let wrong = user_url(&server).replace("secret", "mistaken");
        let error = patient_store().connect(wrong).unwrap().ping().await;
        let error = error.unwrap_err();
        assert!(matches!(error, PingError::Refused { .. }), "{error:?}");
        assert!(!error.to_string().contains("mistaken"), "{error}");

        let store = probing_store(server.url());
        store.ping().await.unwrap();
        server.pause();
        let error = store.ping().await.unwrap_err();
        assert!(matches!(error, PingError::Unreachable { .. }), "{error:?}");
        server.kill();
        let error = store.ping().await.unwrap_err();
        assert!(matches!(error, PingError::Unreachable { .. }), "{error:?}");
        server.restart();
        eventually("the server", async || store.ping().await.ok()).await;
    }
}

#[tokio::test]
async fn ping_fails_with_a_clock_of_1970() {
    for options in ServerOptions::each_kind() {
        let server = options.fake_clock().start();
        let store = connect(&server);
        store.ping().await.unwrap();
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let ms = i64::try_from(since.unwrap().as_millis()).unwrap();
        // A day after the clock's zero.
        server.set_clock_offset_ms(86_400_000 - ms);
        let error = store.ping().await.unwrap_err();
        let PingError::WrongClock { time } = error else {
            panic!("{error:?}");
        };
        let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(seconds.as_secs() / 3_600, 24);
        assert!(error.to_string().contains("s after 1970"), "{error}");
        server.set_clock_offset_ms(0);
        store.ping().await.unwrap();
    }
}

#[cfg(feature = "cluster")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ping_asks_every_node_of_a_cluster() {
    use crate::support::cluster::Cluster;

    let mut cluster = Cluster::start(ServerOptions::default());
    for node in 0..cluster.len() {
        set_user(cluster.node(node), &documented_rights(true));
    }
    let urls: Vec<_> = (0..cluster.len())
        .map(|node| user_url(cluster.node(node)))
        .collect();
    let store = patient_store().timeout(Duration::from_secs(4));
    let store = store.connect_cluster(urls).await.unwrap();
    check_server(&store.ping().await.unwrap(), cluster.node(0));
    for node in 0..cluster.len() {
        assert!(cluster.node(node).script_calls() > 0, "node {node}");
        check_nothing_was_refused(cluster.node(node));
    }
    cluster.node_mut(1).kill();
    store.ping().await.unwrap_err();
}
