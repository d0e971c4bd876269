//! Several limits in one call, charged all or none.

use tidegate::Quota;
use tidegate_redis::{AcquireError, Quotas};

use super::each_server;
use crate::support::limiters::{HOUR, combined, connect, denied, keyed};

/// The limit in the middle has the longest wait.
fn quotas() -> Quotas {
    let limits = [
        ("hour", Quota::per_hour(4)),
        ("day", Quota::per_day(4)),
        ("minute", Quota::per_minute(2).burst(50)),
    ];
    limits.into()
}

#[tokio::test]
async fn denied_call_charges_no_limit() {
    for server in each_server() {
        let store = connect(&server);
        let combined = combined(&store, "combined", quotas());
        let keyed = keyed(&store, "keyed", quotas());
        combined.try_acquire_each(&[1, 3, 0]).await.unwrap();
        keyed.try_acquire_each("key", &[1, 3, 0]).await.unwrap();
        let available = [3, 1, 50];
        assert_eq!(combined.available().await.unwrap(), available);
        assert_eq!(keyed.available("key").await.unwrap(), available);
        for costs in [[1, 2, 1], [3, 2, 50], [4, 2, 50]] {
            let results = [
                combined.try_acquire_each(&costs).await,
                combined.peek_each(&costs).await,
                keyed.try_acquire_each("key", &costs).await,
            ];
            for result in results {
                let error = result.unwrap_err();
                assert_eq!(error.limit(), Some("day"), "{error}");
                let hint = error.retry_after().unwrap();
                assert!(hint <= HOUR * 6, "{hint:?}");
                assert!(error.to_string().contains("`day`"), "{error}");
            }
            assert_eq!(combined.available().await.unwrap(), available);
            assert_eq!(keyed.available("key").await.unwrap(), available);
        }
        assert_eq!(keyed.available("other").await.unwrap(), [4, 4, 50]);
        let admitted = combined.try_acquire(1).await.unwrap();
        assert_eq!(admitted.available(), Some(0), "the smallest of all limits");
        let refill = admitted.refill_time().unwrap();
        assert!(refill > HOUR * 20, "the longest of all limits: {refill:?}");
        assert_eq!(combined.available().await.unwrap(), [2, 0, 49]);
    }
}

#[tokio::test]
async fn limit_with_cost_0_does_not_deny() {
    for server in each_server() {
        let combined = combined(&connect(&server), "combined", quotas());
        combined.debit_each(&[0, 10, 0]).await.unwrap();
        denied(combined.try_acquire(1).await);
        combined.try_acquire_each(&[1, 0, 1]).await.unwrap();
        assert_eq!(combined.available().await.unwrap(), [3, 0, 49]);
        combined.reset().await.unwrap();
        assert_eq!(combined.available().await.unwrap(), [4, 4, 50]);
    }
}

#[tokio::test]
async fn wrong_number_of_costs_is_an_error_without_a_round_trip() {
    for server in each_server() {
        let store = connect(&server);
        let combined = combined(&store, "combined", quotas());
        let keyed = keyed(&store, "keyed", quotas());
        for costs in [&[][..], &[1], &[1, 1], &[1, 1, 1, 1]] {
            let results = [
                combined.try_acquire_each(costs).await.map(drop),
                combined.peek_each(costs).await.map(drop),
                combined.debit_each(costs).await,
                keyed.try_acquire_each("key", costs).await.map(drop),
                keyed.debit_each("key", costs).await,
            ];
            for result in results {
                let error = result.unwrap_err();
                let matches = matches!(error, AcquireError::CostCount { limits: 3 });
                assert!(matches, "{error}");
                assert_eq!(error.retry_after(), None);
            }
        }
        let never = combined.try_acquire_each(&[1, 5, 1]).await.unwrap_err();
        assert_eq!((never.limit(), never.retry_after()), (Some("day"), None));
        assert_eq!(store.stats().calls, 0);
    }
}

#[tokio::test]
async fn keys_are_independent() {
    for server in each_server() {
        let keyed = keyed(&connect(&server), "user", Quota::per_hour(2));
        for key in ["alice", "bob", "carol"] {
            keyed.try_acquire(key, 2).await.unwrap();
            denied(keyed.try_acquire(key, 1).await);
        }
        keyed.debit_each("bob", &[2]).await.unwrap();
        keyed.reset("alice").await.unwrap();
        assert_eq!(keyed.available("alice").await.unwrap(), [2]);
        assert_eq!(keyed.peek("alice", 2).await.unwrap().available(), Some(2));
        assert!(denied(keyed.peek("bob", 1).await) > denied(keyed.peek("carol", 1).await));
    }
}
