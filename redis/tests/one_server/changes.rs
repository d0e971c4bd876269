//! Limits that change from one deployment to the next, while nodes of both run.

use core::time::Duration;

use tidegate::Quota;
use tidegate_redis::RedisTokenBucket;

use super::{HOUR, forgetful, ms, node, on_each, refused};
use crate::support::servers::Server;

fn bucket(server: &Server, quota: Quota) -> RedisTokenBucket {
    RedisTokenBucket::with_options(&node(server), "b", quota, forgetful()).unwrap()
}

#[tokio::test]
async fn a_lower_limit_counts_what_was_taken_under_the_higher_one() {
    on_each(async |server| {
        let (old, new) = (
            bucket(server, Quota::per_day(1_000)),
            bucket(server, Quota::per_day(10)),
        );
        old.try_acquire(500).await.unwrap();
        assert_eq!(new.available().await.unwrap(), 5, "half of it is left");
        new.try_acquire(5).await.unwrap();
        refused(new.try_acquire(1).await);
        refused(old.try_acquire(20).await);
    })
    .await;
}

#[tokio::test]
async fn a_higher_limit_has_at_once_what_it_has_more() {
    on_each(async |server| {
        let day = HOUR * 24;
        let (old, new) = (
            bucket(server, Quota::per_day(10)),
            bucket(server, Quota::per_day(10).burst(100)),
        );
        old.try_acquire(10).await.unwrap();
        assert_eq!(new.available().await.unwrap(), 90);
        new.try_acquire(90).await.unwrap();
        let hint = refused(new.try_acquire(1).await);
        assert!(hint <= day / 10, "{hint:?}");
        // For the old one that is a debt, which a reset forgives.
        let hint = refused(old.try_acquire(1).await);
        assert!(hint > day * 9 && hint <= day * 10, "{hint:?}");
        server.set_clock_offset_ms(ms(hint));
        assert_eq!(old.try_acquire(1).await.unwrap().available(), Some(0));
        old.reset().await.unwrap();
        assert_eq!(old.available().await.unwrap(), 10);
    })
    .await;
}

#[tokio::test]
async fn a_lower_limit_gives_nothing_back_to_the_higher_one() {
    on_each(async |server| {
        let (old, new) = (
            bucket(server, Quota::per_day(100)),
            bucket(server, Quota::per_day(1_000).burst(10)),
        );
        let mut admitted = 0;
        for _ in 0..100 {
            admitted += u64::from(old.try_acquire(10).await.is_ok());
            // All that a node of the new deployment may do but reset.
            drop(new.try_acquire(1).await);
            drop(new.peek(1).await);
            new.available().await.unwrap();
            new.debit(0).await.unwrap();
        }
        assert!(admitted <= 10, "{admitted} tens of a hundred");
    })
    .await;
}

#[tokio::test]
async fn debts_outlive_a_change() {
    on_each(async |server| {
        let day = HOUR * 24;
        let (old, new) = (
            bucket(server, Quota::per_day(10)),
            bucket(server, Quota::per_day(10).burst(1)),
        );
        old.debit(50).await.unwrap();
        let hint = refused(new.try_acquire(1).await);
        assert!(hint > day * 4 && hint <= day * 5, "{hint:?}");
    })
    .await;
}

#[tokio::test]
async fn fractions_of_another_size_are_rounded_up() {
    on_each(async |server| {
        // A third, a seventh and an eleventh of an hour's microseconds: none is a whole number of another's.
        let quotas = [7_000_003, 11_000_017, 7_000_003, 13, 11_000_017].map(Quota::per_hour);
        let mut ahead = Duration::ZERO;
        let start = server.time_us();
        for quota in quotas {
            let n = quota.rate().div_ceil(10);
            let admitted = bucket(server, quota).try_acquire(n).await.unwrap();
            let cost = quota.period().as_nanos() * u128::from(n) / u128::from(quota.rate());
            ahead += Duration::from_nanos(u64::try_from(cost).unwrap());
            let full_in = admitted.refill_time().unwrap();
            let passed = Duration::from_micros(server.time_us() - start);
            // Never less than was charged, and at most a microsecond more for each change and for the answer.
            assert!(
                full_in + passed >= ahead,
                "{full_in:?} {passed:?} {ahead:?}"
            );
            assert!(
                full_in <= ahead + Duration::from_micros(6),
                "{full_in:?} {ahead:?}"
            );
        }
    })
    .await;
}
