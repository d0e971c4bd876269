//! When the server drops a bucket's key.

use tidegate::Quota;
use tidegate_redis::RedisTokenBucket;

use super::{each_server, ms};
use crate::support::limiters::{HOUR, MINUTE, bucket, connect, denied, uncached};
use crate::support::server::Server;
use crate::support::wait::until;

const KEY: &str = "tidegate:{bucket}";

/// The key's remaining time in milliseconds: -1 without an expiry, -2 without the key.
fn ttl_ms(server: &Server) -> i64 {
    server.query(&["PTTL", KEY])
}

#[tokio::test]
async fn key_is_gone_once_its_bucket_is_full() {
    for server in each_server() {
        let bucket = bucket(&connect(&server), "bucket", Quota::per_hour(7));
        for n in [1, 2, 4] {
            let refill = bucket.try_acquire(n).await.unwrap().refill_time().unwrap();
            let ttl = ttl_ms(&server);
            assert!(
                ttl > 0 && ttl <= ms(refill) + 3,
                "{ttl} ms, full in {refill:?}"
            );
        }
        let refill = ms(bucket.peek(0).await.unwrap().refill_time().unwrap());
        server.set_clock_offset_ms(refill - 300_000);
        assert!(ttl_ms(&server) > 0, "the bucket is not full yet");
        assert_eq!(bucket.available().await.unwrap(), 6);
        server.set_clock_offset_ms(refill + 3);
        // The server reads its clock again only between commands.
        until("the key's expiry", || ttl_ms(&server) == -2);
        assert_eq!(bucket.available().await.unwrap(), 7);
    }
}

#[tokio::test]
async fn key_of_a_debt_stays_until_the_debt_is_paid() {
    for server in each_server() {
        let bucket = bucket(&connect(&server), "bucket", Quota::per_hour(60));
        bucket.debit(180).await.unwrap();
        let (ttl, three_hours) = (ttl_ms(&server), ms(HOUR * 3));
        assert!(ttl > three_hours / 2 && ttl <= three_hours + 3, "{ttl}");
        server.set_clock_offset_ms(ms(MINUTE * 110));
        denied(bucket.try_acquire(1).await);
        // After a reset the key expires at once.
        bucket.reset().await.unwrap();
        assert!(ttl_ms(&server) <= 3);
    }
}

#[tokio::test]
async fn bucket_that_starts_empty_never_expires() {
    for server in each_server() {
        let quota = Quota::per_hour(4);
        let starts_empty = uncached().start_empty(HOUR * 2);
        let store = connect(&server);
        let bucket = RedisTokenBucket::with_options(&store, "bucket", quota, starts_empty).unwrap();
        assert_eq!(bucket.available().await.unwrap(), 0);
        let hint = denied(bucket.try_acquire(1).await);
        assert!(hint > HOUR && hint <= MINUTE * 135, "{hint:?}");
        assert_eq!(ttl_ms(&server), -1);
        server.set_clock_offset_ms(ms(HOUR));
        denied(bucket.try_acquire(1).await);
        server.set_clock_offset_ms(ms(hint));
        assert_eq!(bucket.try_acquire(1).await.unwrap().available(), Some(0));
        server.set_clock_offset_ms(ms(HOUR * 100));
        let admitted = bucket.try_acquire(4).await.unwrap();
        assert_eq!(admitted.available(), Some(0), "the bucket was full");
        assert_eq!(ttl_ms(&server), -1);

        // The server loses its data. The permits that it admitted are not available again.
        let () = server.query(&["FLUSHALL"]);
        denied(bucket.try_acquire(1).await);
        // A limiter without the option finds the bucket as it is.
        let plain = crate::support::limiters::bucket(&store, "bucket", quota);
        denied(plain.try_acquire(1).await);
    }
}
