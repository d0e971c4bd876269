//! A node that is gone takes only its own keys with it.

use core::time::Duration;

use tidegate::Quota;
use tidegate_redis::{
    AcquireError, AdmittedBy, FailurePolicy, LeaseOptions, RedisKeyed, RedisStore, RedisTokenBucket,
};

use super::{forgetful, on_each};
use crate::support::cluster::Cluster;
use crate::support::until::PATIENCE;

/// A node that gives up soon; a machine that is busy for longer than this has other troubles.
async fn hasty(cluster: &Cluster) -> RedisStore {
    let builder = RedisStore::builder()
        .timeout(Duration::from_secs(2))
        .probe_interval(Duration::from_millis(50));
    builder.connect_cluster(cluster.urls()).await.unwrap()
}

async fn until_admitted(table: &RedisKeyed, key: &str) -> u64 {
    let admitted = async {
        loop {
            if let Ok(admitted) = table.try_acquire(key, 1).await {
                return admitted.available().unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, admitted)
        .await
        .expect("it comes back")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_takes_only_its_keys_with_it_and_comes_back() {
    on_each(async |cluster| {
        let store = hasty(cluster).await;
        let quota = Quota::per_day(1_000);
        let table = RedisKeyed::with_options(&store, "t", quota, forgetful()).unwrap();
        let open = forgetful().on_failure(FailurePolicy::Open);
        let open = RedisKeyed::with_options(&store, "open", quota, open).unwrap();
        let keys: Vec<String> = (0..3).map(|place| cluster.key_on(place, "k")).collect();
        for key in &keys {
            table.try_acquire(key, 1).await.unwrap();
        }
        cluster.node_mut(1).kill();
        let (mut asked, mut refused_at_once) = (0, 0);
        for n in 0..100 {
            for key in [&keys[0], &keys[2]] {
                let left = table.try_acquire(key, 1).await.unwrap().available();
                assert_eq!(left, Some(998 - n), "undisturbed");
            }
            let AcquireError::Unavailable { retry_after, cause } =
                table.try_acquire(&keys[1], 1).await.unwrap_err()
            else {
                panic!("it cannot be refused");
            };
            assert!(
                retry_after <= Duration::from_millis(63),
                "the next probe: {retry_after:?}"
            );
            if cause.is_some() {
                asked += 1;
            } else {
                refused_at_once += 1;
            }
            assert_eq!(
                open.try_acquire(&keys[1], 1).await.unwrap().by(),
                AdmittedBy::FailOpen
            );
        }
        assert!(
            asked <= 3 && refused_at_once >= 97,
            "{asked} asked, {refused_at_once} did not"
        );
        let stats = store.stats();
        assert_eq!(
            (stats.open_breakers, stats.outages),
            (1, 1),
            "the part of this key"
        );

        cluster.node_mut(1).restart();
        cluster.wait_until_well();
        assert_eq!(until_admitted(&table, &keys[1]).await, 998, "as it was");
        for key in &keys {
            table.try_acquire(key, 1).await.unwrap();
        }
        assert!(store.stats().is_available());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_takes_only_its_keys_with_it() {
    on_each(async |cluster| {
        let store = hasty(cluster).await;
        let table =
            RedisKeyed::with_options(&store, "t", Quota::per_day(1_000), forgetful()).unwrap();
        let leases = |place| {
            let name = cluster.key_on(place, "leased");
            let bucket = RedisTokenBucket::new(&store, &name, Quota::per_day(1_000)).unwrap();
            bucket.lease(LeaseOptions::new())
        };
        let leases = [leases(0), leases(1)];
        let keys: Vec<String> = (0..3).map(|place| cluster.key_on(place, "k")).collect();
        for key in &keys {
            table.try_acquire(key, 1).await.unwrap();
        }
        for leased in &leases {
            leased.acquire(1).await.unwrap();
        }
        cluster.node(1).pause();
        let error = table.try_acquire(&keys[1], 1).await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        for n in 0..100 {
            for key in [&keys[0], &keys[2]] {
                let left = table.try_acquire(key, 1).await.unwrap().available();
                assert_eq!(left, Some(998 - n), "undisturbed");
            }
            leases[0].acquire(1).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        cluster.node(1).resume();
        // The call whose answer was lost may have been charged.
        let left = until_admitted(&table, &keys[1]).await;
        assert!((997..=998).contains(&left), "{left}");
    })
    .await;
}
