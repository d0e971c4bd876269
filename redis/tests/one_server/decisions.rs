//! What one bucket admits and refuses.

use core::time::Duration;

use tidegate::{Denied, Quota};
use tidegate_redis::{
    AcquireError, AdmittedBy, BuildError, FailurePolicy, LimiterOptions, RedisCombined, RedisKeyed,
    RedisTokenBucket, ScaleError,
};

use super::{HOUR, MINUTE, forgetful, ms, node, on_each, refused};
use crate::support::servers::Server;

fn bucket(server: &Server, quota: Quota) -> RedisTokenBucket {
    RedisTokenBucket::with_options(&node(server), "bucket", quota, forgetful()).unwrap()
}

#[tokio::test]
async fn a_burst_then_a_refusal_with_an_honest_hint() {
    on_each(async |server| {
        let bucket = bucket(server, Quota::per_hour(1).burst(5));
        let start = server.time_us();
        for left in (0..5).rev() {
            let admitted = bucket.try_acquire(1).await.unwrap();
            assert_eq!(admitted.by(), AdmittedBy::Server);
            assert_eq!(admitted.available(), Some(left));
            let full_in = admitted.refill_time().unwrap();
            let spent = u32::try_from(5 - left).unwrap();
            assert!(
                full_in <= HOUR * spent && full_in > HOUR * (spent - 1),
                "{full_in:?}"
            );
        }
        let hint = refused(bucket.try_acquire(1).await);
        let took = Duration::from_micros(server.time_us() - start);
        assert!(
            hint <= HOUR && hint + took >= HOUR,
            "{hint:?} after {took:?}"
        );

        // Half an hour early it is not there, whatever the machine does in between; and the hint has shrunk by as much.
        let early = hint.checked_sub(HOUR / 2).unwrap();
        server.set_clock_offset_ms(ms(early));
        let rest = refused(bucket.try_acquire(1).await);
        assert!(rest <= HOUR / 2 + Duration::from_millis(1), "{rest:?}");
        server.set_clock_offset_ms(ms(early) + ms(rest));
        assert_eq!(bucket.try_acquire(1).await.unwrap().available(), Some(0));
        refused(bucket.try_acquire(1).await);
        assert_eq!(bucket.stats().admitted, 6);
        assert_eq!(bucket.stats().denied, 3);
    })
    .await;
}

#[tokio::test]
async fn hints_are_exact_to_the_microsecond() {
    on_each(async |server| {
        // A third of an hour is a whole number of microseconds, a seventh is not.
        for (name, per_hour) in [("third", 3_u32), ("seventh", 7)] {
            let quota = Quota::per_hour(per_hour.into()).burst(1);
            let bucket =
                RedisTokenBucket::with_options(&node(server), name, quota, forgetful()).unwrap();
            let before = server.time_us();
            bucket.try_acquire(1).await.unwrap();
            let after = server.time_us();
            let earliest = Duration::from_micros(before) + HOUR / per_hour;
            let latest = Duration::from_micros(after + 1) + HOUR / per_hour;
            for _ in 0..3 {
                let before = server.time_us();
                let hint = refused(bucket.try_acquire(1).await);
                let after = server.time_us();
                assert!(Duration::from_micros(before) + hint <= latest);
                assert!(Duration::from_micros(after) + hint >= earliest);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn looks_charge_nothing() {
    on_each(async |server| {
        let bucket = bucket(server, Quota::per_hour(10));
        for _ in 0..20 {
            assert_eq!(bucket.peek(10).await.unwrap().available(), Some(10));
            assert_eq!(bucket.available().await.unwrap(), 10);
        }
        assert_eq!(super::key_count(server), 0);
        bucket.try_acquire(4).await.unwrap();
        assert_eq!(bucket.peek(6).await.unwrap().available(), Some(6));
        let hint = refused(bucket.peek(7).await);
        assert!(hint <= MINUTE * 6, "{hint:?}");
        assert_eq!(bucket.available().await.unwrap(), 6);
    })
    .await;
}

#[tokio::test]
async fn debts_are_paid_by_waiting() {
    on_each(async |server| {
        let bucket = bucket(server, Quota::per_hour(60));
        bucket.debit(90).await.unwrap();
        assert_eq!(bucket.available().await.unwrap(), 0);
        let hint = refused(bucket.try_acquire(1).await);
        assert!(hint <= MINUTE * 31 && hint > MINUTE * 20, "{hint:?}");
        server.set_clock_offset_ms(ms(MINUTE * 20));
        refused(bucket.try_acquire(1).await);
        server.set_clock_offset_ms(ms(hint));
        assert_eq!(bucket.try_acquire(1).await.unwrap().available(), Some(0));
        server.set_clock_offset_ms(ms(MINUTE * 100));
        assert_eq!(bucket.available().await.unwrap(), 60);
    })
    .await;
}

#[tokio::test]
async fn the_deepest_debt_can_be_forgiven() {
    on_each(async |server| {
        let bucket = bucket(server, Quota::per_hour(60));
        bucket.debit(u64::MAX).await.unwrap();
        bucket.debit(u64::MAX).await.unwrap();
        let hint = refused(bucket.try_acquire(1).await);
        let year = HOUR * 24 * 365;
        assert!(hint > year * 49 && hint < year * 51, "{hint:?}");
        bucket.reset().await.unwrap();
        assert_eq!(bucket.available().await.unwrap(), 60);
        bucket.try_acquire(60).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn of_none_there_is_always_enough() {
    on_each(async |server| {
        let bucket = bucket(server, Quota::per_hour(3));
        assert_eq!(bucket.try_acquire(0).await.unwrap().available(), Some(3));
        assert_eq!(super::key_count(server), 0, "it changes nothing");
        bucket.try_acquire(3).await.unwrap();
        assert_eq!(bucket.try_acquire(0).await.unwrap().available(), Some(0));
        bucket.debit(3).await.unwrap();
        assert_eq!(bucket.try_acquire(0).await.unwrap().available(), Some(0));
        assert_eq!(bucket.peek(0).await.unwrap().available(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn more_than_the_capacity_is_refused_without_asking() {
    on_each(async |server| {
        let store = node(server);
        let bucket = RedisTokenBucket::new(&store, "bucket", Quota::per_hour(3)).unwrap();
        for n in [4, u64::MAX] {
            let never = Denied::Never { capacity: 3 };
            let refusals = [
                bucket.try_acquire(n).await,
                bucket.peek(n).await,
                bucket.acquire(n).await,
            ];
            for refusal in refusals {
                let error = refusal.unwrap_err();
                assert_eq!(error.denied(), Some(never));
                assert_eq!(error.retry_after(), None);
            }
        }
        assert_eq!(store.stats().calls, 0);
        assert_eq!(bucket.try_acquire(3).await.unwrap().available(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn quotas_that_cannot_be_counted() {
    on_each(async |server| {
        let store = node(server);
        let year = HOUR * 24 * 366;
        let slow = Quota::new(1, year).unwrap().burst(51);
        let fine = Quota::new((1 << 53) + 1, year * 2).unwrap().burst(1);
        for (quota, why) in [
            (slow, ScaleError::RefillTooLong),
            (fine, ScaleError::RateTooFine),
        ] {
            let one = RedisTokenBucket::new(&store, "bucket", quota).unwrap_err();
            assert_eq!(one, BuildError::Scale(why));
            let second = [("good", Quota::per_hour(1)), ("bad", quota)];
            let second = RedisKeyed::new(&store, "bucket", second).unwrap_err();
            assert_eq!(second, BuildError::Scale(why));
        }
        let none: [(&str, Quota); 0] = [];
        let none = RedisCombined::new(&store, "bucket", none).unwrap_err();
        assert_eq!(none, BuildError::NoLimits);
        let twice = [
            ("a", Quota::per_hour(1)),
            ("b", Quota::per_hour(1)),
            ("a", Quota::per_day(1)),
        ];
        let twice = RedisCombined::new(&store, "bucket", twice).unwrap_err();
        assert_eq!(twice, BuildError::DuplicateLimit("a".into()));
        let nodes = u32::MAX.try_into().unwrap();
        let many = LimiterOptions::new().on_failure(FailurePolicy::Local { nodes });
        let century = Quota::new(1, year * 40).unwrap();
        let many = RedisTokenBucket::with_options(&store, "bucket", century, many).unwrap_err();
        assert_eq!(many, BuildError::TooManyNodes);
        assert_eq!(store.stats().calls, 0);
    })
    .await;
}

#[tokio::test]
async fn extreme_quotas_are_counted() {
    on_each(async |server| {
        let store = node(server);
        let year = HOUR * 24 * 365;
        let slow =
            RedisTokenBucket::new(&store, "slow", Quota::new(1, year * 50).unwrap()).unwrap();
        assert_eq!(slow.try_acquire(1).await.unwrap().available(), Some(0));
        let hint = refused(slow.try_acquire(1).await);
        assert!(hint > year * 49 && hint <= year * 50, "{hint:?}");
        let large = Quota::new(1 << 50, HOUR).unwrap();
        let fast = RedisTokenBucket::new(&store, "fast", large).unwrap();
        assert_eq!(
            fast.try_acquire(1 << 50).await.unwrap().refill_time(),
            Some(HOUR)
        );
        let left = fast.available().await.unwrap();
        assert!(left < 1 << 50, "{left}");
        let AcquireError::Denied {
            denied: Denied::NotYet { .. },
            ..
        } = fast.try_acquire(1 << 50).await.unwrap_err()
        else {
            panic!("it is not there");
        };
    })
    .await;
}
