//! The names of buckets on the server, and how long they are there.

use tidegate::Quota;
use tidegate_redis::{RedisCombined, RedisKeyed, RedisTokenBucket};

use super::{HOUR, MINUTE, ends_in, forgetful, key_count, ms, node, on_each, refused, value};
use crate::support::until::until;

#[tokio::test]
async fn names_are_as_documented() {
    on_each(async |server| {
        let store = node(server);
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
            // Format, TAT and its fraction, denominator, last write.
            let value = value(server, name).expect(name);
            let words: Vec<&str> = value.split(' ').collect();
            assert_eq!(words.len(), 5, "{value}");
            assert_eq!([words[0], words[2], words[3]], ["1", "0", "1"]);
            let (full, last): (u64, u64) = (words[1].parse().unwrap(), words[4].parse().unwrap());
            assert_eq!(full - last, 360_000_000, "{value}");
        }
        assert_eq!(key_count(server), 3);
    })
    .await;
}

#[tokio::test]
async fn no_two_names_are_one_key() {
    let long = "long ".repeat(20_000);
    let names = [
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
        &long,
    ];
    let keys = names.iter().map(|name| name.as_bytes());
    let binary: [&[u8]; 4] = [b"\xff", b"\xff\xfe{", b"\0\xff}", b"\x80:\x81"];
    let keys: Vec<&[u8]> = keys.chain(binary).collect();
    on_each(async |server| {
        let store = node(server);
        let quota = Quota::per_day(3);
        let mut expected = 0;
        for name in names {
            let bucket = RedisTokenBucket::new(&store, name, quota).unwrap();
            assert_eq!(
                bucket.try_acquire(1).await.unwrap().available(),
                Some(2),
                "{name:?}"
            );
            let limits = [("", quota), ("a", quota), ("{a}", quota), (":", quota)];
            let several = RedisCombined::new(&store, name, limits).unwrap();
            assert_eq!(
                several.try_acquire(1).await.unwrap().available(),
                Some(2),
                "{name:?}"
            );
            expected += 5;
            let table = RedisKeyed::new(&store, name, quota).unwrap();
            let tables = RedisKeyed::new(&store, name, [("a", quota), ("}:a", quota)]).unwrap();
            for &key in &keys {
                let one = table.try_acquire(key, 1).await.unwrap();
                let two = tables.try_acquire(key, 1).await.unwrap();
                assert_eq!(
                    (one.available(), two.available()),
                    (Some(2), Some(2)),
                    "{name:?} {key:?}"
                );
                expected += 3;
            }
        }
        assert_eq!(key_count(server), expected);
        for name in names {
            let table = RedisKeyed::new(&store, name, quota).unwrap();
            for &key in &keys {
                assert_eq!(table.available(key).await.unwrap(), [2], "{name:?} {key:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_is_gone_once_its_bucket_is_full() {
    on_each(async |server| {
        let bucket =
            RedisTokenBucket::with_options(&node(server), "b", Quota::per_hour(7), forgetful())
                .unwrap();
        for n in [1, 2, 4] {
            let full_in = bucket.try_acquire(n).await.unwrap().refill_time().unwrap();
            let ends = ends_in(server, "tidegate:{b}");
            assert!(ends > 0 && ends <= ms(full_in) + 3, "{ends} of {full_in:?}");
        }
        let full_in = ms(bucket.peek(0).await.unwrap().refill_time().unwrap());
        server.set_clock_offset_ms(full_in - 300_000);
        assert!(ends_in(server, "tidegate:{b}") > 0, "not before it is full");
        assert_eq!(bucket.available().await.unwrap(), 6);
        server.set_clock_offset_ms(full_in + 3);
        // The server looks at its clock again only between commands.
        until("the end of the key", || {
            value(server, "tidegate:{b}").is_none().then_some(())
        });
        assert_eq!(bucket.available().await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn a_key_in_debt_stays_until_it_is_paid() {
    on_each(async |server| {
        let bucket =
            RedisTokenBucket::with_options(&node(server), "b", Quota::per_hour(60), forgetful())
                .unwrap();
        bucket.debit(180).await.unwrap();
        let ends = ends_in(server, "tidegate:{b}");
        let three_hours = ms(HOUR * 3);
        assert!(ends > three_hours / 2 && ends <= three_hours + 3, "{ends}");
        server.set_clock_offset_ms(ms(MINUTE * 110));
        refused(bucket.try_acquire(1).await);
        // A reset leaves a key that is as good as gone.
        bucket.reset().await.unwrap();
        assert!(ends_in(server, "tidegate:{b}") <= 3);
    })
    .await;
}

#[tokio::test]
async fn buckets_that_start_empty_stay() {
    on_each(async |server| {
        let cautious = forgetful().start_empty(HOUR * 2);
        let quota = Quota::per_hour(4);
        let bucket = RedisTokenBucket::with_options(&node(server), "b", quota, cautious).unwrap();
        assert_eq!(bucket.available().await.unwrap(), 0);
        let hint = refused(bucket.try_acquire(1).await);
        assert!(hint <= MINUTE * 135, "{hint:?}");
        assert!(hint > HOUR, "{hint:?}");
        assert_eq!(ends_in(server, "tidegate:{b}"), -1);
        server.set_clock_offset_ms(ms(HOUR));
        refused(bucket.try_acquire(1).await);
        server.set_clock_offset_ms(ms(hint));
        assert_eq!(bucket.try_acquire(1).await.unwrap().available(), Some(0));
        server.set_clock_offset_ms(ms(HOUR * 100));
        assert_eq!(
            bucket.try_acquire(4).await.unwrap().available(),
            Some(0),
            "full by then"
        );
        assert_eq!(ends_in(server, "tidegate:{b}"), -1);

        // The server forgets: what was admitted is not admitted again.
        let () = redis::cmd("FLUSHALL")
            .query(&mut server.connection())
            .unwrap();
        refused(bucket.try_acquire(1).await);
        // Who does not mind finds it as it is.
        let plain = RedisTokenBucket::with_options(&node(server), "b", quota, forgetful()).unwrap();
        refused(plain.try_acquire(1).await);
    })
    .await;
}
