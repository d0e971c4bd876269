//! A refusal writes nothing on the server.

use tidegate::Quota;
use tidegate_redis::{RedisCombined, RedisKeyed, RedisTokenBucket};

use super::{forgetful, node, refused, value};
use crate::support::kinds::Kind;
use crate::support::servers::{Options, Server};

/// All that a write would change, but for the number of commands.
fn state(server: &Server) -> [Option<String>; 5] {
    let ends: i64 = redis::cmd("PEXPIRETIME")
        .arg("tidegate:{bucket}")
        .query(&mut server.connection())
        .unwrap();
    [
        value(server, "tidegate:{bucket}"),
        Some(ends.to_string()),
        server.info("rdb_changes_since_last_save"),
        server.info("aof_current_size"),
        Some(server.calls("set").to_string()),
    ]
}

#[tokio::test]
async fn refusals_and_looks_write_nothing() {
    for kind in Kind::available() {
        let server = Server::start(Options::new(kind).durable());
        let store = node(&server);
        let bucket =
            RedisTokenBucket::with_options(&store, "bucket", Quota::per_hour(2), forgetful())
                .unwrap();
        let limits = [
            ("wide", Quota::per_hour(100)),
            ("narrow", Quota::per_hour(2)),
        ];
        let several = RedisCombined::with_options(&store, "several", limits, forgetful()).unwrap();
        let table = RedisKeyed::with_options(&store, "table", limits, forgetful()).unwrap();
        bucket.try_acquire(2).await.unwrap();
        several.try_acquire(2).await.unwrap();
        table.try_acquire("key", 2).await.unwrap();

        let before = state(&server);
        assert!(before.iter().all(Option::is_some), "{before:?}");
        assert_eq!(before[4].as_deref(), Some("5"), "one for each limit");
        for _ in 0..10 {
            refused(bucket.try_acquire(1).await);
            refused(bucket.peek(1).await);
            bucket.available().await.unwrap();
            bucket.try_acquire(0).await.unwrap();
            refused(several.try_acquire(1).await);
            refused(several.peek_each(&[100, 1]).await);
            refused(table.try_acquire("key", 1).await);
            table.peek("other", 2).await.unwrap();
            table.available("other").await.unwrap();
        }
        assert_eq!(state(&server), before);
        assert_eq!(super::key_count(&server), 5);
        table.try_acquire("other", 1).await.unwrap();
        assert_ne!(state(&server), before, "it would be seen");
    }
}
