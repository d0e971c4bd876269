//! Stores and limiters with the settings that most tests share.

use core::time::Duration;

use tidegate::Quota;
use tidegate_redis::{
    AcquireError, LeaseOptions, LeasedTokenBucket, LimiterOptions, Quotas, RedisCombined,
    RedisKeyed, RedisStore, RedisTokenBucket, StoreBuilder,
};

use super::server::Server;
use super::wait::PATIENCE;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// A store so patient that a slow machine is no outage.
pub(crate) fn patient_store() -> StoreBuilder {
    RedisStore::builder().timeout(PATIENCE)
}

pub(crate) fn connect(server: &Server) -> RedisStore {
    patient_store().connect(server.url()).unwrap()
}

#[cfg(feature = "cluster")]
pub(crate) async fn connect_cluster(cluster: &super::cluster::Cluster) -> RedisStore {
    let store = patient_store().connect_cluster(cluster.urls()).await;
    store.unwrap()
}

/// Options without a denial cache, so that each call reaches the server.
///
/// A cached denial would also outlive a step of the server's clock. Tables do not ask for changed
/// quotas, so that a call is always one round trip.
pub(crate) const fn uncached() -> LimiterOptions {
    LimiterOptions::new()
        .cache_denials(Duration::ZERO)
        .follow_changes(Duration::ZERO)
}

pub(crate) fn bucket(store: &RedisStore, name: &str, quota: Quota) -> RedisTokenBucket {
    RedisTokenBucket::with_options(store, name, quota, uncached()).unwrap()
}

pub(crate) async fn lease(store: &RedisStore, name: &str, quota: Quota) -> LeasedTokenBucket {
    bucket(store, name, quota).lease(LeaseOptions::new()).await
}

pub(crate) fn keyed(store: &RedisStore, name: &str, quotas: impl Into<Quotas>) -> RedisKeyed {
    RedisKeyed::with_options(store, name, quotas, uncached()).unwrap()
}

pub(crate) fn combined(store: &RedisStore, name: &str, quotas: impl Into<Quotas>) -> RedisCombined {
    RedisCombined::with_options(store, name, quotas, uncached()).unwrap()
}

/// A quota so slow that no permit refills while a test runs.
pub(crate) fn slow(capacity: u64) -> Quota {
    let quota = Quota::new(1, Duration::from_secs(1_000)).unwrap();
    quota.burst(capacity)
}

/// Checks that a call was denied for now, and returns its hint.
#[track_caller]
pub(crate) fn denied<T: core::fmt::Debug>(result: Result<T, AcquireError>) -> Duration {
    let error = result.expect_err("denied");
    assert!(error.denied().is_some(), "{error}");
    error.retry_after().expect("not denied forever")
}

/// Checks that the server failed the call, and returns the cause.
#[track_caller]
pub(crate) fn cause<T: core::fmt::Debug>(result: Result<T, AcquireError>) -> redis::RedisError {
    let error = result.expect_err("a failed call");
    let AcquireError::Unavailable {
        cause: Some(cause),
        retry_after,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert!(!retry_after.is_zero());
    let source = core::error::Error::source(&error).expect("a source");
    assert_eq!(source.to_string(), cause.to_string());
    assert!(error.to_string().contains(&cause.to_string()), "{error}");
    redis::RedisError::clone(cause)
}
