//! Keys that hold something else than a bucket.

use redis::RedisResult;
use tidegate::Quota;
use tidegate_redis::{AcquireError, LeaseOptions, RedisTokenBucket};

use super::{forgetful, node, on_each};
use crate::support::servers::Server;

const KEY: &str = "tidegate:{b}";

/// What is there, whatever kind it is of.
fn dump(server: &Server) -> Vec<u8> {
    redis::cmd("DUMP")
        .arg(KEY)
        .query(&mut server.connection())
        .unwrap()
}

async fn nothing_works(server: &Server) {
    let store = node(server);
    let before = dump(server);
    let bucket =
        || RedisTokenBucket::with_options(&store, "b", Quota::per_hour(1), forgetful()).unwrap();
    let results = [
        bucket().try_acquire(1).await.map(drop),
        bucket().peek(1).await.map(drop),
        bucket().available().await.map(drop),
        bucket().debit(1).await,
        bucket().reset().await,
    ];
    for result in results {
        let error = result.unwrap_err();
        let AcquireError::Unavailable {
            cause: Some(cause), ..
        } = &error
        else {
            panic!("{error}");
        };
        assert!(error.to_string().contains(&cause.to_string()), "{error}");
    }
    let leased = bucket().lease(LeaseOptions::new());
    // Wakes its task, which is refused.
    leased.try_acquire(1).unwrap_err();
    leased.close().await;
    assert_eq!(dump(server), before);
    assert!(
        store.stats().is_available(),
        "it is this key's fault, not the server's"
    );
    assert!(store.stats().errors >= 5);
    let other = RedisTokenBucket::new(&store, "other", Quota::per_hour(1)).unwrap();
    other.try_acquire(1).await.unwrap();
    other.reset().await.unwrap();
}

#[tokio::test]
async fn values_of_another_kind_stay_as_they_are() {
    on_each(async |server| {
        let kinds: [&[&str]; 4] = [
            &["LPUSH", KEY, "1"],
            &["HSET", KEY, "1", "2"],
            &["SADD", KEY, "1"],
            &["XADD", KEY, "*", "1", "2"],
        ];
        for kind in kinds {
            let mut set = redis::cmd(kind[0]);
            let _: redis::Value = set.arg(&kind[1..]).query(&mut server.connection()).unwrap();
            nothing_works(server).await;
            let () = redis::cmd("DEL")
                .arg(KEY)
                .query(&mut server.connection())
                .unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn values_of_others_stay_as_they_are() {
    let values: [&[u8]; 12] = [
        b"",
        b" ",
        b"1",
        b"17",
        b"hello",
        b"{\"limit\": 1}",
        b"2 1700000000000000 0 1 1700000000000000 0",
        b"1 1700000000000000",
        b"1 a b c d e",
        b"1 1700000000000000 0 1 1700000000000000 0 node 1 2",
        b"\0\xff\xfe",
        b"\x01 \x02",
    ];
    on_each(async |server| {
        for value in values {
            let set: RedisResult<()> = redis::cmd("SET")
                .arg(KEY)
                .arg(value)
                .query(&mut server.connection());
            set.unwrap();
            nothing_works(server).await;
        }
    })
    .await;
}
