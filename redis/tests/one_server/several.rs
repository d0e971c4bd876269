//! Several limits, charged all or none.

use tidegate::Quota;
use tidegate_redis::{AcquireError, Quotas, RedisCombined, RedisKeyed};

use super::{HOUR, forgetful, node, on_each, refused};

fn quotas() -> Quotas {
    // The one in the middle refuses the longest.
    let limits = [
        ("hour", Quota::per_hour(4)),
        ("day", Quota::per_day(4)),
        ("minute", Quota::per_minute(2).burst(50)),
    ];
    limits.into()
}

#[tokio::test]
async fn a_refused_call_charges_none() {
    on_each(async |server| {
        let store = node(server);
        let one = RedisCombined::with_options(&store, "one", quotas(), forgetful()).unwrap();
        let table = RedisKeyed::with_options(&store, "table", quotas(), forgetful()).unwrap();
        one.try_acquire_each(&[1, 3, 0]).await.unwrap();
        table.try_acquire_each("key", &[1, 3, 0]).await.unwrap();
        let left = [3, 1, 50];
        assert_eq!(one.available().await.unwrap(), left);
        assert_eq!(table.available("key").await.unwrap(), left);
        for costs in [[1, 2, 1], [3, 2, 50], [4, 2, 50]] {
            let refusals = [
                one.try_acquire_each(&costs).await.unwrap_err(),
                one.peek_each(&costs).await.unwrap_err(),
                table.try_acquire_each("key", &costs).await.unwrap_err(),
            ];
            for error in refusals {
                assert_eq!(error.limit(), Some("day"), "{error}");
                let hint = error.retry_after().unwrap();
                assert!(hint <= HOUR * 6, "{hint:?}");
                assert!(error.to_string().contains("`day`"), "{error}");
            }
            assert_eq!(one.available().await.unwrap(), left);
            assert_eq!(table.available("key").await.unwrap(), left);
        }
        assert_eq!(table.available("other").await.unwrap(), [4, 4, 50]);
        let admitted = one.try_acquire(1).await.unwrap();
        assert_eq!(admitted.available(), Some(0), "the least");
        assert!(admitted.refill_time().unwrap() > HOUR * 20, "the longest");
        assert_eq!(one.available().await.unwrap(), [2, 0, 49]);
    })
    .await;
}

#[tokio::test]
async fn a_limit_that_a_call_does_not_need_does_not_refuse_it() {
    on_each(async |server| {
        let store = node(server);
        let one = RedisCombined::with_options(&store, "one", quotas(), forgetful()).unwrap();
        one.debit_each(&[0, 10, 0]).await.unwrap();
        refused(one.try_acquire(1).await);
        one.try_acquire_each(&[1, 0, 1]).await.unwrap();
        assert_eq!(one.available().await.unwrap(), [3, 0, 49]);
        one.reset().await.unwrap();
        assert_eq!(one.available().await.unwrap(), [4, 4, 50]);
    })
    .await;
}

#[tokio::test]
async fn each_limit_has_a_cost() {
    on_each(async |server| {
        let store = node(server);
        let one = RedisCombined::new(&store, "one", quotas()).unwrap();
        let table = RedisKeyed::new(&store, "table", quotas()).unwrap();
        for costs in [&[][..], &[1], &[1, 1], &[1, 1, 1, 1]] {
            let errors = [
                one.try_acquire_each(costs).await.map(drop),
                one.peek_each(costs).await.map(drop),
                one.debit_each(costs).await,
                table.try_acquire_each("key", costs).await.map(drop),
                table.debit_each("key", costs).await,
            ];
            for error in errors {
                let error = error.unwrap_err();
                assert!(
                    matches!(error, AcquireError::CostCount { limits: 3 }),
                    "{error}"
                );
                assert_eq!(error.retry_after(), None);
            }
        }
        let never = one.try_acquire_each(&[1, 5, 1]).await.unwrap_err();
        assert_eq!(never.limit(), Some("day"));
        assert_eq!(never.retry_after(), None);
        assert_eq!(store.stats().calls, 0);
    })
    .await;
}

#[tokio::test]
async fn keys_of_a_table_do_not_know_each_other() {
    on_each(async |server| {
        let table =
            RedisKeyed::with_options(&node(server), "user", Quota::per_hour(2), forgetful())
                .unwrap();
        for key in ["alice", "bob", "carol"] {
            table.try_acquire(key, 2).await.unwrap();
            refused(table.try_acquire(key, 1).await);
        }
        table.debit_each("bob", &[2]).await.unwrap();
        table.reset("alice").await.unwrap();
        assert_eq!(table.available("alice").await.unwrap(), [2]);
        assert_eq!(table.peek("alice", 2).await.unwrap().available(), Some(2));
        assert!(refused(table.peek("bob", 1).await) > refused(table.peek("carol", 1).await));
    })
    .await;
}
