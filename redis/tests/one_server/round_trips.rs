//! What a decision costs: its round trips, its commands and its writes on the server.

use tidegate::Quota;
use tokio::task::JoinSet;

use super::{each_server, key_count};
use crate::support::limiters::{bucket, combined, connect, denied, keyed};
use crate::support::server::{Server, ServerOptions};

#[tokio::test]
async fn decision_is_one_round_trip() {
    for server in each_server() {
        let store = connect(&server);
        let quota = Quota::per_hour(1_000);
        let bucket = bucket(&store, "bucket", quota);
        let combined = combined(&store, "combined", [("a", quota), ("b", quota)]);
        let keyed = keyed(&store, "keyed", [("a", quota), ("b", quota)]);
        assert_eq!(store.stats().calls, 0, "building limiters sends nothing");
        bucket.try_acquire(1).await.unwrap();
        let stats = store.stats();
        assert_eq!(
            (stats.calls, stats.evals),
            (2, 1),
            "the script is sent once"
        );
        let by_name = server.calls("evalsha");
        for _ in 0..10 {
            bucket.try_acquire(1).await.unwrap();
            combined.try_acquire(1).await.unwrap();
            keyed.try_acquire("key", 1).await.unwrap();
            combined.available().await.unwrap();
            combined.debit_each(&[1, 2]).await.unwrap();
        }
        assert_eq!(server.calls("evalsha"), by_name + 50);
        assert_eq!(server.calls("eval"), 1);
        let stats = store.stats();
        assert_eq!((stats.calls, stats.evals), (52, 1));
        assert_eq!((stats.errors, stats.in_flight), (0, 0));
        // A script reads the time once, and reads and writes each bucket once.
        assert_eq!(server.calls("time"), 51);
        // What takes reads the whole value, and the rest its beginning.
        assert_eq!(server.calls("get"), 11 + 2 * 2 * 10);
        assert_eq!(server.calls("getrange"), 2 * 2 * 10);
        assert_eq!(server.calls("set"), 11 + 3 * 2 * 10);
    }
}

#[tokio::test]
async fn script_is_sent_once_after_each_flush() {
    for server in each_server() {
        let store = connect(&server);
        let bucket = bucket(&store, "bucket", Quota::per_hour(100));
        for flushes in 1..=3 {
            for _ in 0..5 {
                bucket.try_acquire(1).await.unwrap();
            }
            assert_eq!(server.calls("eval"), flushes);
            server.flush_scripts();
        }
        let available = bucket.available().await.unwrap();
        assert_eq!(available, 85, "each call is charged once");
        // Leases have a script of their own.
        let leased = bucket.lease(tidegate_redis::LeaseOptions::new()).await;
        leased.acquire(1).await.unwrap();
        leased.close().await;
        assert_eq!(server.calls("eval"), 5);
        assert_eq!(store.stats().errors, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_succeed_through_a_flush() {
    for server in each_server() {
        let store = connect(&server);
        for round in 0..5_u64 {
            let bucket = || bucket(&store, &format!("bucket {round}"), Quota::per_day(1_000));
            let mut tasks = JoinSet::new();
            for task in 0..50 {
                let bucket = bucket();
                tasks.spawn(async move {
                    for _ in 0..4 {
                        bucket.try_acquire(1).await.unwrap();
                    }
                });
                if task == 25 {
                    server.flush_scripts();
                }
            }
            server.flush_scripts();
            assert_eq!(tasks.join_all().await.len(), 50);
            assert_eq!(bucket().available().await.unwrap(), 800);
        }
        assert_eq!(store.stats().errors, 0);
    }
}

/// Everything that a write would change.
fn written_state(server: &Server) -> [Option<String>; 5] {
    let value: Option<Vec<u8>> = server.query(&["GET", "tidegate:{bucket}"]);
    let expires: i64 = server.query(&["PEXPIRETIME", "tidegate:{bucket}"]);
    [
        value.map(|value| format!("{value:?}")),
        Some(expires.to_string()),
        server.info("rdb_changes_since_last_save"),
        server.info("aof_current_size"),
        Some(server.calls("set").to_string()),
    ]
}

#[tokio::test]
async fn denials_and_peeks_write_nothing() {
    for options in ServerOptions::each_kind() {
        let server = options.durable().start();
        let store = connect(&server);
        let (narrow, wide) = (Quota::per_hour(2), Quota::per_hour(100));
        let bucket = bucket(&store, "bucket", narrow);
        let combined = combined(&store, "combined", [("wide", wide), ("narrow", narrow)]);
        let keyed = keyed(&store, "keyed", [("wide", wide), ("narrow", narrow)]);
        bucket.try_acquire(2).await.unwrap();
        combined.try_acquire(2).await.unwrap();
        keyed.try_acquire("key", 2).await.unwrap();

        let before = written_state(&server);
        assert!(before.iter().all(Option::is_some), "{before:?}");
        assert_eq!(before[4].as_deref(), Some("5"), "one write per limit");
        for _ in 0..10 {
            denied(bucket.try_acquire(1).await);
            denied(bucket.peek(1).await);
            bucket.available().await.unwrap();
            bucket.try_acquire(0).await.unwrap();
            denied(combined.try_acquire(1).await);
            denied(combined.peek_each(&[100, 1]).await);
            denied(keyed.try_acquire("key", 1).await);
            keyed.peek("other", 2).await.unwrap();
            keyed.available("other").await.unwrap();
        }
        assert_eq!(written_state(&server), before);
        assert_eq!(key_count(&server), 5);
        keyed.try_acquire("other", 1).await.unwrap();
        assert_ne!(written_state(&server), before, "a write shows");
    }
}
