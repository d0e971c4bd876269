//! What operators see of the server's buckets, and change by hand.

use core::time::Duration;
use std::collections::BTreeSet;

use tidegate::Quota;
use tidegate_redis::inspect::{InspectError, LimitDetails, ScanCursor, StoredBucket, StoredLimit};
use tidegate_redis::{LeaseOptions, RedisStore, RedisTokenBucket};

use super::each_server;
use crate::support::limiters::{HOUR, bucket, connect, keyed, lease, patient_store, uncached};
use crate::support::server::ServerOptions;
use crate::support::wait::eventually;

const QUOTA: Quota = Quota::per_hour(10);

const fn bucket_of(found: &LimitDetails) -> &StoredBucket {
    found.limit.bucket().expect("a bucket")
}

async fn scan_all(store: &RedisStore, pattern: &str) -> (Vec<StoredBucket>, Vec<Vec<u8>>) {
    let (limits, others) = scan_limits(store, pattern).await;
    let bucket = |limit| match limit {
        StoredLimit::Bucket(bucket) => bucket,
        other => panic!("{other:?}"),
    };
    (limits.into_iter().map(bucket).collect(), others)
}

pub(super) async fn scan_limits(
    store: &RedisStore,
    pattern: &str,
) -> (Vec<StoredLimit>, Vec<Vec<u8>>) {
    let (mut limits, mut others, mut cursor) = (Vec::new(), Vec::new(), ScanCursor::default());
    loop {
        let page = store.scan(pattern, cursor, 7).await.unwrap();
        limits.extend(page.limits);
        others.extend(page.others);
        match page.next {
            // As a program keeps it between two runs.
            Some(next) => cursor = next.to_string().parse().unwrap(),
            None => return (limits, others),
        }
    }
}

#[tokio::test]
async fn scan_finds_each_bucket_that_is_not_full() {
    for server in each_server() {
        let store = connect(&server);
        let users = keyed(&store, "user", QUOTA);
        for user in 0..50_u64 {
            users
                .try_acquire(user.to_string(), 1 + user % 3)
                .await
                .unwrap();
        }
        bucket(&store, "uploads", QUOTA)
            .try_acquire(2)
            .await
            .unwrap();
        users.set_quota(QUOTA.burst(20)).await.unwrap();
        // Another prefix that the pattern must not match, a foreign value, and another type.
        let other = patient_store().prefix("tidegate2").connect(server.url());
        let other = bucket(&other.unwrap(), "uploads", QUOTA);
        other.try_acquire(1).await.unwrap();
        let () = server.query(&["SET", "tidegate:user:{text}", "hello"]);
        let _: i64 = server.query(&["LPUSH", "tidegate:user:{list}", "1"]);

        let (buckets, others) = scan_all(&store, "user:*").await;
        let others: BTreeSet<_> = others.into_iter().collect();
        let foreign = ["list", "text"].map(|key| format!("tidegate:user:{{{key}}}").into_bytes());
        assert_eq!(others, BTreeSet::from(foreign));
        let keys: BTreeSet<_> = buckets.iter().map(|bucket| bucket.key.clone()).collect();
        let expected = (0..50_u64).map(|user| {
            let user = user.to_string();
            store.bucket_key("user", Some(user.as_bytes()), None)
        });
        assert_eq!(keys, expected.collect());
        for bucket in &buckets {
            let user = bucket.key[b"tidegate:user:{".len()..].strip_suffix(b"}");
            let user: u64 = str::from_utf8(user.unwrap()).unwrap().parse().unwrap();
            assert_eq!(bucket.available(QUOTA), Ok(9 - user % 3), "{user}");
        }
        let (all, _) = scan_all(&store, "*").await;
        let keys: BTreeSet<_> = all.iter().map(|bucket| &bucket.key).collect();
        assert_eq!(keys.len(), 51, "the key of the table's quota is no bucket");
    }
}

#[tokio::test]
async fn bucket_is_shown_as_it_is() {
    for server in each_server() {
        let store = connect(&server);
        let uploads = bucket(&store, "uploads", QUOTA);
        let key = store.bucket_key("uploads", None, None);
        assert_eq!(store.inspect(&key).await.unwrap(), None);
        uploads.try_acquire(3).await.unwrap();
        let found = store.inspect(&key).await.unwrap().unwrap();
        let refill = HOUR * 3 / 10;
        let full_in = bucket_of(&found).full_in;
        assert!(full_in <= refill && full_in > refill / 2, "{full_in:?}");
        assert_eq!(bucket_of(&found).available(QUOTA), Ok(7));
        assert_eq!(
            (bucket_of(&found).quota, bucket_of(&found).lease_count),
            (None, 0)
        );
        let expires = found.expires_in.unwrap();
        assert!(expires <= refill + Duration::from_millis(3), "{expires:?}");
        assert!(found.memory.is_some_and(|bytes| (50..200).contains(&bytes)));

        let wide = QUOTA.burst(100);
        uploads.set_quota(wide).await.unwrap();
        let leased = lease(&store, "uploads", QUOTA).await;
        leased.acquire(2).await.unwrap();
        // A refill may be under way.
        let found = eventually("what the node holds", async || {
            let found = store.inspect(&key).await.unwrap().unwrap();
            assert_eq!((bucket_of(&found).lease_count, found.leases.len()), (1, 1));
            let held = StoredBucket::tokens(wide, found.leases[0].held).unwrap();
            (held >= leased.held()).then_some(found)
        })
        .await;
        assert_eq!(
            (bucket_of(&found).quota, bucket_of(&found).changes),
            (Some(wide), 1)
        );
        assert_eq!(found.expires_in, None);
        leased.close().await;
        let found = store.inspect(&key).await.unwrap().unwrap();
        assert_eq!((bucket_of(&found).lease_count, found.leases.len()), (0, 0));
    }
}

#[tokio::test]
async fn changes_by_hand() {
    for server in each_server() {
        let store = connect(&server);
        let uploads = bucket(&store, "uploads", QUOTA);
        let key = store.bucket_key("uploads", None, None);
        let available = async || uploads.available().await.unwrap();
        store.debit_key(&key, QUOTA, 12).await.unwrap();
        assert_eq!(available().await, 0);
        store.credit_key(&key, QUOTA, 5).await.unwrap();
        assert_eq!(available().await, 3);
        store.credit_key(&key, QUOTA, 100).await.unwrap();
        assert_eq!(available().await, 10);
        store.set_key_level(&key, QUOTA, 4).await.unwrap();
        assert_eq!(available().await, 4);
        let error = store.set_key_level(&key, QUOTA, 11).await.unwrap_err();
        assert!(matches!(
            error,
            InspectError::AboveCapacity { capacity: 10 }
        ));
        store
            .set_key_quota(&key, QUOTA, QUOTA.burst(40))
            .await
            .unwrap();
        assert_eq!(available().await, 4);
        assert_eq!(uploads.quota(), QUOTA.burst(40));
        // From now on the stored quota counts.
        store.set_key_level(&key, QUOTA, 25).await.unwrap();
        assert_eq!(available().await, 25);
        store.reset_key(&key).await.unwrap();
        assert_eq!(available().await, 40);

        // A bucket that starts empty stays when it is full.
        let options = uncached().start_empty(HOUR);
        let kept = RedisTokenBucket::with_options(&store, "kept", QUOTA, options).unwrap();
        assert_eq!(kept.available().await.unwrap(), 0);
        let key_of_kept = store.bucket_key("kept", None, None);
        store.reset_key(&key_of_kept).await.unwrap();
        let ttl: i64 = server.query(&["PTTL", "tidegate:{kept}"]);
        assert_eq!((ttl, kept.available().await.unwrap()), (-1, 10));

        // What a lease holds is not there twice.
        let leased = bucket(&store, "uploads", QUOTA)
            .lease(LeaseOptions::new())
            .await;
        leased.acquire(1).await.unwrap();
        store.set_key_level(&key, QUOTA, 40).await.unwrap();
        assert!(available().await <= 40 - leased.held());
    }
}

#[tokio::test]
async fn tables_change_by_hand() {
    for server in each_server() {
        let store = connect(&server);
        let users = keyed(&store, "user", QUOTA);
        users.try_acquire("alice", 4).await.unwrap();
        let key = store.bucket_key("user", Some(b"alice"), None);
        let error = store.set_key_quota(&key, QUOTA, QUOTA.burst(9)).await;
        assert!(matches!(error, Err(InspectError::KeyOfTable)), "{error:?}");
        for burst in [20, 30, 30] {
            let quota = QUOTA.burst(burst);
            store.set_table_quota("user", None, quota).await.unwrap();
            let node = tidegate_redis::RedisKeyed::new(&store, "user", QUOTA).unwrap();
            assert_eq!(node.available("bob").await.unwrap(), [burst]);
            assert_eq!(node.available("alice").await.unwrap(), [6]);
        }
        store.debit_key(&key, QUOTA, 1).await.unwrap();
        let ttl: i64 = server.query(&["PTTL", "tidegate:user:{alice}"]);
        assert!(ttl > 0, "a key of a table ends");
        assert_eq!(users.available("alice").await.unwrap(), [5]);
    }
}

#[tokio::test]
async fn foreign_values_are_no_buckets() {
    for server in each_server() {
        let store = connect(&server);
        let key = store.bucket_key("text", None, None);
        let set = |value: &str| {
            let () = server.query(&["DEL", "tidegate:{text}"]);
            let () = server.query(&["SET", "tidegate:{text}", value]);
        };
        for value in ["", "hello", "hello, world", &"x".repeat(500)] {
            set(value);
            for result in [
                store.inspect(&key).await.map(drop),
                store.reset_key(&key).await,
                store.debit_key(&key, QUOTA, 1).await,
            ] {
                let error = result.unwrap_err();
                assert!(matches!(error, InspectError::NotALimit), "{error:?}");
            }
            let stored: String = server.query(&["GET", "tidegate:{text}"]);
            assert_eq!(stored, value);
        }
        let () = server.query(&["DEL", "tidegate:{text}"]);
        let _: i64 = server.query(&["LPUSH", "tidegate:{text}", "1"]);
        let error = store.inspect(&key).await.unwrap_err();
        assert!(matches!(error, InspectError::NotALimit), "{error:?}");
        assert_eq!(store.stats().outages, 0);
    }
}

/// What the documentation of `RedisKeyed` says, without the entries in tables of keys.
#[tokio::test]
async fn flood_of_keys_takes_no_more_memory_than_documented() {
    let server = ServerOptions::default().fake_clock().start();
    let store = connect(&server);
    let (whole, fractions) = (QUOTA, Quota::per_hour(7));
    for (name, quota, most) in [("whole", whole, 128), ("fraction", fractions, 144)] {
        let users = keyed(&store, name, quota);
        let mut longest = 0;
        for user in 0..200_u128 {
            // As long as a digest.
            let user = format!("{user:032x}");
            users.try_acquire(&user, 1).await.unwrap();
            let key = store.bucket_key(name, Some(user.as_bytes()), None);
            let found = store.inspect(&key).await.unwrap().unwrap();
            longest = longest.max(found.memory.unwrap());
        }
        println!("{name}: {longest} bytes");
        assert!(longest <= most, "{longest}");
    }
    server.set_clock_offset_ms(super::ms(HOUR));
    let (buckets, _) = scan_all(&store, "*").await;
    assert_eq!(buckets, []);
}
