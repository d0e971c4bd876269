//! The names of keys on the server.

use tidegate::Quota;
use tidegate_redis::{RedisCombined, RedisKeyed, RedisTokenBucket};

use super::{each_server, key_count};
use crate::support::limiters::connect;

#[tokio::test]
async fn names_and_values_are_as_documented() {
    for server in each_server() {
        let store = connect(&server);
        let quota = Quota::per_hour(10);
        let uploads = RedisTokenBucket::new(&store, "uploads", quota).unwrap();
        let model = RedisCombined::new(&store, "model", [("tokens", quota)]).unwrap();
        let user = RedisKeyed::new(&store, "user", [("day", quota)]).unwrap();
        uploads.try_acquire(1).await.unwrap();
        model.try_acquire(1).await.unwrap();
        user.try_acquire("alice", 1).await.unwrap();
        let names = [
            "tidegate:{uploads}",
            "tidegate:{model}:tokens",
            "tidegate:user:{alice}:day",
        ];
        for name in names {
            // The TAT in seven bytes, and in five how far it was ahead.
            let value: Vec<u8> = server.query(&["GET", name]);
            assert_eq!(value.len(), 12);
            let ahead = [&[0; 3], &value[7..]].concat().try_into().unwrap();
            assert_eq!(u64::from_be_bytes(ahead), 360_000_000);
        }
        assert_eq!(key_count(&server), 3);
    }
}

const NAMES: [&str; 25] = [
    "",
    "a",
    "a:b",
    "b",
    "{",
    "}",
    "{}",
    "{a}",
    "a}",
    "}{",
    "%",
    "%%",
    "%25",
    "%7B",
    "%7D",
    ":",
    "::",
    ":a",
    "a:",
    "a:{b}",
    "名前",
    " ",
    "\0",
    "\r\n",
    "*1\r\n$4\r\nPING\r\n",
];

#[tokio::test]
async fn distinct_names_are_distinct_keys() {
    let long = "long ".repeat(20_000);
    let names = NAMES.into_iter().chain([&*long]);
    let binary: [&[u8]; 4] = [b"\xff", b"\xff\xfe{", b"\0\xff}", b"\x80:\x81"];
    let keys: Vec<_> = names.clone().map(str::as_bytes).chain(binary).collect();
    for server in each_server() {
        let store = connect(&server);
        let quota = Quota::per_day(3);
        let mut expected = 0;
        for name in names.clone() {
            let bucket = RedisTokenBucket::new(&store, name, quota).unwrap();
            let admitted = bucket.try_acquire(1).await.unwrap();
            assert_eq!(admitted.available(), Some(2), "{name:?}");
            let limits = [("", quota), ("a", quota), ("{a}", quota), (":", quota)];
            let combined = RedisCombined::new(&store, name, limits).unwrap();
            let admitted = combined.try_acquire(1).await.unwrap();
            assert_eq!(admitted.available(), Some(2), "{name:?}");
            expected += 5;
            let one_limit = RedisKeyed::new(&store, name, quota).unwrap();
            let limits = [("a", quota), ("}:a", quota)];
            let two_limits = RedisKeyed::new(&store, name, limits).unwrap();
            for &key in &keys {
                for keyed in [&one_limit, &two_limits] {
                    let admitted = keyed.try_acquire(key, 1).await.unwrap();
                    assert_eq!(admitted.available(), Some(2), "{name:?} {key:?}");
                }
                expected += 3;
            }
        }
        assert_eq!(key_count(&server), expected);
        for name in names.clone() {
            let keyed = RedisKeyed::new(&store, name, quota).unwrap();
            for &key in &keys {
                assert_eq!(keyed.available(key).await.unwrap(), [2], "{name:?} {key:?}");
            }
        }
    }
}
