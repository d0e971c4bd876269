//! What one bucket admits and denies.

use core::time::Duration;

use tidegate::{Denied, Quota};
use tidegate_redis::{
    AdmittedBy, BuildError, FailurePolicy, LimiterOptions, RedisCombined, RedisKeyed,
    RedisTokenBucket, ScaleError,
};

use super::{each_server, key_count, ms};
use crate::support::limiters::{HOUR, MINUTE, bucket, connect, denied};
use crate::support::server::ServerOptions;

#[tokio::test]
async fn burst_is_followed_by_a_denial_with_an_honest_hint() {
    for server in each_server() {
        let bucket = bucket(&connect(&server), "bucket", Quota::per_hour(1).burst(5));
        let start = server.time_us();
        for spent in 1..=5 {
            let admitted = bucket.try_acquire(1).await.unwrap();
            assert_eq!(admitted.by(), AdmittedBy::Server);
            assert_eq!(admitted.available(), Some(5 - u64::from(spent)));
            let refill = admitted.refill_time().unwrap();
            let (least, most) = (HOUR * (spent - 1), HOUR * spent);
            assert!(refill > least && refill <= most, "{refill:?}");
        }
        let hint = denied(bucket.try_acquire(1).await);
        let took = Duration::from_micros(server.time_us() - start);
        assert!(
            hint <= HOUR && hint + took >= HOUR,
            "{hint:?} after {took:?}"
        );

        // Half an hour early, no delay of the machine makes the permit available. The hint has
        // shrunk by as much.
        let early = hint.checked_sub(HOUR / 2).unwrap();
        server.set_clock_offset_ms(ms(early));
        let rest = denied(bucket.try_acquire(1).await);
        assert!(rest <= HOUR / 2 + Duration::from_millis(1), "{rest:?}");
        server.set_clock_offset_ms(ms(early) + ms(rest));
        assert_eq!(bucket.try_acquire(1).await.unwrap().available(), Some(0));
        denied(bucket.try_acquire(1).await);
        let stats = bucket.stats();
        assert_eq!((stats.admitted, stats.denied), (6, 3));
    }
}

#[tokio::test]
async fn hints_are_exact_to_the_microsecond() {
    for server in each_server() {
        // A third of an hour is a whole number of microseconds; a seventh is not.
        for (name, per_hour) in [("third", 3_u32), ("seventh", 7)] {
            let quota = Quota::per_hour(per_hour.into()).burst(1);
            let bucket = bucket(&connect(&server), name, quota);
            let before = server.time_us();
            bucket.try_acquire(1).await.unwrap();
            let after = server.time_us();
            let earliest = Duration::from_micros(before) + HOUR / per_hour;
            let latest = Duration::from_micros(after + 1) + HOUR / per_hour;
            for _ in 0..3 {
                let before = server.time_us();
                let hint = denied(bucket.try_acquire(1).await);
                let after = server.time_us();
                assert!(Duration::from_micros(before) + hint <= latest);
                assert!(Duration::from_micros(after) + hint >= earliest);
            }
        }
    }
}

#[tokio::test]
async fn peek_and_available_charge_nothing() {
    for server in each_server() {
        let bucket = bucket(&connect(&server), "bucket", Quota::per_hour(10));
        for _ in 0..20 {
            assert_eq!(bucket.peek(10).await.unwrap().available(), Some(10));
            assert_eq!(bucket.available().await.unwrap(), 10);
        }
        assert_eq!(key_count(&server), 0);
        bucket.try_acquire(4).await.unwrap();
        assert_eq!(bucket.peek(6).await.unwrap().available(), Some(6));
        let hint = denied(bucket.peek(7).await);
        assert!(hint <= MINUTE * 6, "{hint:?}");
        assert_eq!(bucket.available().await.unwrap(), 6);
    }
}

#[tokio::test]
async fn time_pays_debts() {
    for server in each_server() {
        let bucket = bucket(&connect(&server), "bucket", Quota::per_hour(60));
        bucket.debit(90).await.unwrap();
        assert_eq!(bucket.available().await.unwrap(), 0);
        let hint = denied(bucket.try_acquire(1).await);
        assert!(hint <= MINUTE * 31 && hint > MINUTE * 20, "{hint:?}");
        server.set_clock_offset_ms(ms(MINUTE * 20));
        denied(bucket.try_acquire(1).await);
        server.set_clock_offset_ms(ms(hint));
        assert_eq!(bucket.try_acquire(1).await.unwrap().available(), Some(0));
        server.set_clock_offset_ms(ms(MINUTE * 100));
        assert_eq!(bucket.available().await.unwrap(), 60);
    }
}

#[tokio::test]
async fn reset_forgives_the_deepest_debt() {
    for server in each_server() {
        let bucket = bucket(&connect(&server), "bucket", Quota::per_hour(60));
        bucket.debit(u64::MAX).await.unwrap();
        bucket.debit(u64::MAX).await.unwrap();
        let hint = denied(bucket.try_acquire(1).await);
        let year = HOUR * 24 * 365;
        assert!(hint > year * 49 && hint < year * 51, "{hint:?}");
        bucket.reset().await.unwrap();
        assert_eq!(bucket.available().await.unwrap(), 60);
        bucket.try_acquire(60).await.unwrap();
    }
}

#[tokio::test]
async fn zero_permits_are_always_admitted() {
    for server in each_server() {
        let bucket = bucket(&connect(&server), "bucket", Quota::per_hour(3));
        assert_eq!(bucket.try_acquire(0).await.unwrap().available(), Some(3));
        assert_eq!(key_count(&server), 0, "nothing is written");
        bucket.try_acquire(3).await.unwrap();
        assert_eq!(bucket.try_acquire(0).await.unwrap().available(), Some(0));
        bucket.debit(3).await.unwrap();
        assert_eq!(bucket.try_acquire(0).await.unwrap().available(), Some(0));
        assert_eq!(bucket.peek(0).await.unwrap().available(), Some(0));
    }
}

#[tokio::test]
async fn requests_above_the_capacity_are_denied_without_a_round_trip() {
    for server in each_server() {
        let store = connect(&server);
        let bucket = RedisTokenBucket::new(&store, "bucket", Quota::per_hour(3)).unwrap();
        for n in [4, u64::MAX] {
            let results = [
                bucket.try_acquire(n).await,
                bucket.peek(n).await,
                bucket.acquire(n).await,
            ];
            for result in results {
                let error = result.unwrap_err();
                assert_eq!(error.denied(), Some(Denied::Never { capacity: 3 }));
                assert_eq!(error.retry_after(), None);
            }
        }
        assert_eq!(store.stats().calls, 0);
        assert_eq!(bucket.try_acquire(3).await.unwrap().available(), Some(0));
    }
}

#[tokio::test]
async fn unsupported_limits_are_build_errors() {
    let server = ServerOptions::default().start();
    let store = connect(&server);
    let year = HOUR * 24 * 366;
    let slow = Quota::new(1, year).unwrap().burst(51);
    let fine = Quota::new((1 << 53) + 1, year * 2).unwrap().burst(1);
    let hourly = Quota::per_hour(1);
    for (quota, why) in [
        (slow, ScaleError::RefillTooLong),
        (fine, ScaleError::RateTooFine),
    ] {
        let bucket = RedisTokenBucket::new(&store, "bucket", quota);
        assert_eq!(bucket.unwrap_err(), BuildError::Scale(why));
        let keyed = RedisKeyed::new(&store, "bucket", [("good", hourly), ("bad", quota)]);
        assert_eq!(keyed.unwrap_err(), BuildError::Scale(why));
    }
    let none: [(&str, Quota); 0] = [];
    let none = RedisCombined::new(&store, "bucket", none);
    assert_eq!(none.unwrap_err(), BuildError::NoLimits);
    let duplicate = [("a", hourly), ("b", hourly), ("a", Quota::per_day(1))];
    let duplicate = RedisCombined::new(&store, "bucket", duplicate);
    assert_eq!(
        duplicate.unwrap_err(),
        BuildError::DuplicateLimit("a".into())
    );
    let nodes = u32::MAX.try_into().unwrap();
    let local = LimiterOptions::new().on_failure(FailurePolicy::Local { nodes });
    let decades = Quota::new(1, year * 40).unwrap();
    let local = RedisTokenBucket::with_options(&store, "bucket", decades, local);
    assert_eq!(local.unwrap_err(), BuildError::TooManyNodes);
    assert_eq!(store.stats().calls, 0);
}

#[tokio::test]
async fn extreme_quotas_are_exact() {
    for server in each_server() {
        let store = connect(&server);
        let year = HOUR * 24 * 365;
        let slow = bucket(&store, "slow", Quota::new(1, year * 50).unwrap());
        assert_eq!(slow.try_acquire(1).await.unwrap().available(), Some(0));
        let hint = denied(slow.try_acquire(1).await);
        assert!(hint > year * 49 && hint <= year * 50, "{hint:?}");
        let fast = bucket(&store, "fast", Quota::new(1 << 50, HOUR).unwrap());
        let admitted = fast.try_acquire(1 << 50).await.unwrap();
        assert_eq!(admitted.refill_time(), Some(HOUR));
        let available = fast.available().await.unwrap();
        assert!(available < 1 << 50, "{available}");
        denied(fast.try_acquire(1 << 50).await);
    }
}
