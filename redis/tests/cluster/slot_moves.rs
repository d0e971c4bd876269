//! Slots move between nodes while they are in use.

use core::time::Duration;

use tidegate::Quota;
use tidegate_redis::{LeaseOptions, RedisStore};

use crate::support::admission::Admission;
use crate::support::bound::Bound;
use crate::support::cluster::Cluster;
use crate::support::limiters::{bucket, cause, combined, connect_cluster, keyed, lease};
use crate::support::load::{Load, Target};

const QUOTA: Quota = Quota::per_day(100);
const LIMITS: [(&str, Quota); 2] = [("x", QUOTA), ("y", QUOTA)];

#[track_caller]
fn check_no_errors(store: &RedisStore) {
    let stats = store.stats();
    assert_eq!((stats.errors, stats.open_breakers), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_follows_a_moved_slot() {
    for cluster in Cluster::each_kind() {
        let name = cluster.key_on(0, "name");
        let slot = cluster.slot_of(&name);
        let stores = [
            connect_cluster(&cluster).await,
            connect_cluster(&cluster).await,
        ];
        let mut available = 100;
        for to in [1, 2, 0, 2] {
            for store in &stores {
                let bucket = bucket(store, &name, QUOTA);
                let combined = combined(store, &name, LIMITS);
                available -= 1;
                let admitted = bucket.try_acquire(1).await.unwrap();
                assert_eq!(admitted.available(), Some(available));
                let admitted = combined.try_acquire(1).await.unwrap();
                assert_eq!(admitted.available(), Some(available));
                bucket.try_acquire(available + 1).await.unwrap_err();
            }
            cluster.move_slot(slot, to);
        }
        stores.iter().for_each(check_no_errors);
        assert_eq!(available, 92);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_finds_keys_in_the_middle_of_a_move() {
    for cluster in Cluster::each_kind() {
        let key = cluster.key_on(0, "key");
        let slot = cluster.slot_of(&key);
        let store = connect_cluster(&cluster).await;
        let (old, new) = (keyed(&store, "old", QUOTA), keyed(&store, "new", QUOTA));
        old.try_acquire(&key, 10).await.unwrap();
        let slot_move = cluster.begin_move(slot, 1);
        // An existing key is still on the old node. A new key is created on the new one.
        let admitted = old.try_acquire(&key, 10).await.unwrap();
        assert_eq!(admitted.available(), Some(80));
        for available in [99, 98, 97] {
            let admitted = new.try_acquire(&key, 1).await.unwrap();
            assert_eq!(admitted.available(), Some(available));
        }
        new.try_acquire(&key, 98).await.unwrap_err();
        assert_eq!(slot_move.move_keys(), 1);
        let admitted = old.try_acquire(&key, 10).await.unwrap();
        assert_eq!(admitted.available(), Some(70));
        old.reset(&key).await.unwrap();
        old.debit_each(&key, &[20]).await.unwrap();
        assert_eq!(old.available(&key).await.unwrap(), [80]);
        let leased = lease(&store, &key, QUOTA).await;
        leased.acquire(1).await.unwrap();
        leased.close().await;
        slot_move.finish();
        assert_eq!(old.available(&key).await.unwrap(), [80]);
        assert_eq!(new.available(&key).await.unwrap(), [97]);
        assert_eq!(leased.bucket().available().await.unwrap(), 99);
        check_no_errors(&store);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_moved_limits_fail_and_charge_nothing() {
    for cluster in Cluster::each_kind() {
        let name = cluster.key_on(0, "name");
        let slot = cluster.slot_of(&name);
        let store = connect_cluster(&cluster).await;
        let combined = combined(&store, &name, LIMITS);
        combined.try_acquire_each(&[1, 2]).await.unwrap();
        let slot_move = cluster.begin_move(slot, 1);
        combined.try_acquire_each(&[1, 2]).await.unwrap();
        slot_move.move_some(&[format!("tidegate:{{{name}}}:y")]);
        for _ in 0..3 {
            let cause = cause(combined.try_acquire_each(&[1, 2]).await);
            assert_eq!(cause.code(), Some("TRYAGAIN"));
        }
        assert!(store.stats().is_available(), "other keys are usable");
        let other = keyed(&store, "other", QUOTA);
        other.try_acquire(&name, 1).await.unwrap();
        slot_move.move_keys();
        combined.try_acquire_each(&[1, 2]).await.unwrap();
        slot_move.finish();
        assert_eq!(combined.available().await.unwrap(), [97, 94]);
        assert_eq!(other.available(&name).await.unwrap(), [99]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounds_hold_while_a_slot_moves_back_and_forth() {
    for cluster in Cluster::each_kind() {
        let quota = Quota::per_second(300).burst(20);
        let name = cluster.key_on(0, "name");
        let mut targets = Vec::new();
        for _ in 0..2 {
            let store = connect_cluster(&cluster).await;
            let leased = LeaseOptions::new().ttl(Duration::from_secs(1));
            let leased = bucket(&store, &name, quota).lease(leased).await;
            let keyed = keyed(&store, "keyed", [("x", quota), ("y", quota)]);
            targets.extend([
                Target::Bucket(bucket(&store, &name, quota)),
                Target::Leased(leased),
                Target::Keyed(Box::new(keyed), name.clone()),
            ]);
        }
        // Calls may fail while the slot moves.
        let load = Load::start(targets, |_| {});
        for to in [1, 2, 0, 1, 0] {
            tokio::time::sleep(Duration::from_millis(100)).await;
            cluster.move_slot(cluster.slot_of(&name), to);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let admissions = load.stop().await;
        let each_admits = admissions.iter().all(|admissions| !admissions.is_empty());
        assert!(each_admits, "{admissions:?}");
        // A bucket and its leases are one limit.
        let (keyed, bucket): (Vec<_>, Vec<_>) = (0..6).partition(|target| target % 3 == 2);
        for targets in [keyed, bucket] {
            let all = targets.iter().map(|target| &*admissions[*target]);
            let all: Vec<Admission> = all.collect::<Vec<_>>().concat();
            let count = all.len();
            assert!(
                count > 40,
                "{count} admissions are too few to test the bound"
            );
            Bound::new(quota).assert_within(&all);
        }
    }
}
