//! Nodes of two deployments that use different quotas for one bucket.
//!
//! The script's arithmetic in these cases is tested in `arithmetic/quota_changes.rs`.

use tidegate::Quota;
use tidegate_redis::RedisTokenBucket;

use super::{each_server, ms};
use crate::support::limiters::{HOUR, bucket, connect, denied};
use crate::support::server::Server;

fn old_and_new(server: &Server, old: Quota, new: Quota) -> [RedisTokenBucket; 2] {
    [old, new].map(|quota| bucket(&connect(server), "bucket", quota))
}

#[tokio::test]
async fn lower_limit_counts_permits_taken_under_the_higher_one() {
    for server in each_server() {
        let [old, new] = old_and_new(&server, Quota::per_day(1_000), Quota::per_day(10));
        old.try_acquire(500).await.unwrap();
        assert_eq!(new.available().await.unwrap(), 5, "half of the capacity");
        new.try_acquire(5).await.unwrap();
        denied(new.try_acquire(1).await);
        denied(old.try_acquire(20).await);
    }
}

#[tokio::test]
async fn higher_limit_takes_effect_at_once() {
    for server in each_server() {
        let (day, low) = (HOUR * 24, Quota::per_day(10));
        let [old, new] = old_and_new(&server, low, low.burst(100));
        old.try_acquire(10).await.unwrap();
        assert_eq!(new.available().await.unwrap(), 90);
        new.try_acquire(90).await.unwrap();
        let hint = denied(new.try_acquire(1).await);
        assert!(hint <= day / 10, "{hint:?}");
        // Under the old limit that is a debt, which a reset forgives.
        let hint = denied(old.try_acquire(1).await);
        assert!(hint > day * 9 && hint <= day * 10, "{hint:?}");
        server.set_clock_offset_ms(ms(hint));
        assert_eq!(old.try_acquire(1).await.unwrap().available(), Some(0));
        old.reset().await.unwrap();
        assert_eq!(old.available().await.unwrap(), 10);
    }
}
