//! A node that is down affects only its own keys.

use core::time::Duration;

use tidegate::Quota;
use tidegate_redis::{AcquireError, AdmittedBy, FailurePolicy, RedisKeyed, RedisStore};

use crate::support::cluster::Cluster;
use crate::support::limiters::{keyed, lease, uncached};
use crate::support::wait::eventually;

const QUOTA: Quota = Quota::per_day(1_000);

/// A store that gives up soon, but not while a machine is merely busy.
async fn impatient_store(cluster: &Cluster) -> RedisStore {
    let builder = RedisStore::builder()
        .timeout(Duration::from_secs(5))
        .probe_interval(Duration::from_millis(50));
    builder.connect_cluster(cluster.urls()).await.unwrap()
}

/// Waits for an admission, and returns what is available after it.
async fn wait_for_admission(keyed: &RedisKeyed, key: &str) -> u64 {
    eventually("an admission", async || {
        keyed.try_acquire(key, 1).await.ok()?.available()
    })
    .await
}

/// Checks that these keys, which have been charged `before` permits, are served.
async fn check_served(keyed: &RedisKeyed, keys: [&str; 2], before: u64) {
    for key in keys {
        let admitted = keyed.try_acquire(key, 1).await.unwrap();
        assert_eq!(admitted.available(), Some(999 - before));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_node_affects_only_its_keys_and_comes_back() {
    for mut cluster in Cluster::each_kind() {
        let store = impatient_store(&cluster).await;
        let closed = keyed(&store, "closed", QUOTA);
        let open = uncached().on_failure(FailurePolicy::Open);
        let open = RedisKeyed::with_options(&store, "open", QUOTA, open).unwrap();
        let keys = cluster.key_on_each("key");
        for key in &keys {
            closed.try_acquire(key, 1).await.unwrap();
        }
        cluster.node_mut(1).kill();
        for n in 0..100 {
            check_served(&closed, [&keys[0], &keys[2]], 1 + n).await;
            let error = closed.try_acquire(&keys[1], 1).await.unwrap_err();
            let AcquireError::Unavailable { retry_after, cause } = error else {
                panic!("{error:?}");
            };
            // The hint is the next probe.
            assert!(retry_after <= Duration::from_millis(63), "{retry_after:?}");
            assert!(cause.is_some());
            let admitted = open.try_acquire(&keys[1], 1).await.unwrap();
            assert_eq!(admitted.by(), AdmittedBy::FailOpen);
        }
        let stats = store.stats();
        let failed = stats.errors + stats.timeouts;
        assert!(failed <= 3, "{failed} of 100 calls reached the killed node");
        assert_eq!((stats.open_breakers, stats.outages), (1, 1));

        cluster.node_mut(1).restart();
        cluster.wait_until_healthy();
        let available = wait_for_admission(&closed, &keys[1]).await;
        assert_eq!(available, 998, "nothing was lost");
        for key in &keys {
            closed.try_acquire(key, 1).await.unwrap();
        }
        assert!(store.stats().is_available());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hanging_node_affects_only_its_keys() {
    for cluster in Cluster::each_kind() {
        let store = impatient_store(&cluster).await;
        let keyed = keyed(&store, "keyed", QUOTA);
        let keys = cluster.key_on_each("key");
        for key in &keys {
            keyed.try_acquire(key, 1).await.unwrap();
        }
        let leases = [
            lease(&store, &cluster.key_on(0, "leased"), QUOTA).await,
            lease(&store, &cluster.key_on(1, "leased"), QUOTA).await,
        ];
        for leased in &leases {
            leased.acquire(1).await.unwrap();
        }
        cluster.node(1).pause();
        let error = keyed.try_acquire(&keys[1], 1).await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        for n in 0..100 {
            check_served(&keyed, [&keys[0], &keys[2]], 1 + n).await;
            leases[0].acquire(1).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        cluster.node(1).resume();
        // The call whose reply was lost may have been charged.
        let available = wait_for_admission(&keyed, &keys[1]).await;
        assert!((997..=998).contains(&available), "{available}");
    }
}
