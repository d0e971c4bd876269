//! Keys that hold something other than a bucket.

use tidegate::Quota;
use tidegate_redis::RedisStore;

use super::each_server;
use crate::support::limiters::{bucket, cause, connect, lease};
use crate::support::server::{Server, command};
use crate::support::wait::eventually;

const KEY: &str = "tidegate:{bucket}";

/// Checks that every call fails with this message, that none changes the key, and that the store
/// remains available.
async fn check_every_call_fails(server: &Server, message: &str) {
    let dump = || -> Vec<u8> { server.query(&["DUMP", KEY]) };
    let (store, before, quota) = (connect(server), dump(), Quota::per_hour(1));
    let foreign = bucket(&store, "bucket", quota);
    let results = [
        foreign.try_acquire(1).await.map(drop),
        foreign.peek(1).await.map(drop),
        foreign.available().await.map(drop),
        foreign.debit(1).await,
        foreign.reset().await,
    ];
    for result in results {
        let cause = cause(result).to_string();
        assert!(cause.contains(message), "{cause}");
    }
    let errors = |store: &RedisStore| store.stats().errors;
    assert_eq!(errors(&store), 5);
    let leased = lease(&store, "bucket", quota).await;
    // Wakes the refill task, whose request fails.
    leased.try_acquire(1).unwrap_err();
    eventually("an error of the lease", async || errors(&store) > 5).await;
    leased.close().await;
    assert_eq!(dump(), before);
    assert_eq!(store.stats().outages, 0, "only this key is unusable");
    let other = bucket(&store, "other", quota);
    other.try_acquire(1).await.unwrap();
    other.reset().await.unwrap();
}

#[tokio::test]
async fn keys_of_another_type_stay_unchanged() {
    for server in each_server() {
        let commands: [&[&str]; 4] = [
            &["LPUSH", KEY, "1"],
            &["HSET", KEY, "1", "2"],
            &["SADD", KEY, "1"],
            &["XADD", KEY, "*", "1", "2"],
        ];
        for words in commands {
            let _: redis::Value = server.query(words);
            check_every_call_fails(&server, "WRONGTYPE").await;
            let () = server.query(&["DEL", KEY]);
        }
    }
}

#[tokio::test]
async fn foreign_text_stays_unchanged() {
    // More texts are in `scripts/arithmetic/edges.rs`.
    let values: [&[u8]; 3] = [b"hello", b"\0\xff\xfe", b"\x01 \x02"];
    for server in each_server() {
        for value in values {
            let set = command(&[b"SET", KEY.as_bytes(), value]);
            let () = set.query(&mut server.connection()).unwrap();
            check_every_call_fails(&server, "TIDEGATE").await;
        }
    }
}
