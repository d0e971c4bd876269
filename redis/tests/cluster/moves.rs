//! Slots that move from node to node while they are used.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use std::sync::Arc;

use tidegate::Quota;
use tidegate_redis::{
    AcquireError, LeaseOptions, LeasedTokenBucket, RedisCombined, RedisKeyed, RedisStore,
    RedisTokenBucket,
};

use super::{forgetful, node, on_each};
use crate::support::admissions::{Admission, now_ns};
use crate::support::bound::Bound;
use crate::support::cluster::Cluster;

/// Moves one key, and leaves the others of its slot behind.
fn migrate(cluster: &Cluster, key: &str, from: usize, to: usize) {
    let mut migrate = redis::cmd("MIGRATE");
    migrate
        .arg("127.0.0.1")
        .arg(cluster.node(to).port())
        .arg(key)
        .arg(0)
        .arg(10_000);
    let done: String = migrate.query(&mut cluster.node(from).connection()).unwrap();
    assert_eq!(done, "OK");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_slot_is_followed() {
    on_each(async |cluster| {
        let name = cluster.key_on(0, "name");
        let slot = cluster.slot_of(&name);
        let stores = [node(cluster).await, node(cluster).await];
        let limits = [("x", Quota::per_day(100)), ("y", Quota::per_day(100))];
        let mut left = 100;
        for to in [1, 2, 0, 2] {
            for store in &stores {
                let bucket =
                    RedisTokenBucket::with_options(store, &name, Quota::per_day(100), forgetful())
                        .unwrap();
                let several =
                    RedisCombined::with_options(store, &name, limits, forgetful()).unwrap();
                left -= 1;
                assert_eq!(bucket.try_acquire(1).await.unwrap().available(), Some(left));
                assert_eq!(
                    several.try_acquire(1).await.unwrap().available(),
                    Some(left)
                );
                bucket.try_acquire(left + 1).await.unwrap_err();
            }
            cluster.move_slot(slot, to);
        }
        for store in &stores {
            assert_eq!((store.stats().errors, store.stats().open_breakers), (0, 0));
        }
        assert_eq!(left, 92);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_found_in_the_middle_of_a_move() {
    on_each(async |cluster| {
        let key = cluster.key_on(0, "key");
        let slot = cluster.slot_of(&key);
        let store = node(cluster).await;
        let table = |name| {
            RedisKeyed::with_options(&store, name, Quota::per_day(100), forgetful()).unwrap()
        };
        let (old, new) = (table("old"), table("new"));
        old.try_acquire(&key, 10).await.unwrap();
        let moving = cluster.begin_move(slot, 1);
        // It is where it was; what is not there yet is made where it will be.
        assert_eq!(
            old.try_acquire(&key, 10).await.unwrap().available(),
            Some(80)
        );
        for left in [99, 98, 97] {
            assert_eq!(
                new.try_acquire(&key, 1).await.unwrap().available(),
                Some(left)
            );
        }
        new.try_acquire(&key, 98).await.unwrap_err();
        assert_eq!(moving.move_keys(), 1);
        assert_eq!(
            old.try_acquire(&key, 10).await.unwrap().available(),
            Some(70)
        );
        old.reset(&key).await.unwrap();
        old.debit_each(&key, &[20]).await.unwrap();
        assert_eq!(old.available(&key).await.unwrap(), [80]);
        let leased = RedisTokenBucket::new(&store, &key, Quota::per_day(100)).unwrap();
        let leased = leased.lease(LeaseOptions::new());
        leased.acquire(1).await.unwrap();
        leased.close().await;
        moving.finish();
        assert_eq!(old.available(&key).await.unwrap(), [80]);
        assert_eq!(new.available(&key).await.unwrap(), [97]);
        assert_eq!(leased.bucket().available().await.unwrap(), 99);
        assert_eq!((store.stats().errors, store.stats().open_breakers), (0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_that_are_half_moved_refuse_and_charge_nothing() {
    on_each(async |cluster| {
        let name = cluster.key_on(0, "name");
        let slot = cluster.slot_of(&name);
        let store = node(cluster).await;
        let limits = [("x", Quota::per_day(100)), ("y", Quota::per_day(100))];
        let several = RedisCombined::with_options(&store, &name, limits, forgetful()).unwrap();
        several.try_acquire_each(&[1, 2]).await.unwrap();
        let moving = cluster.begin_move(slot, 1);
        several.try_acquire_each(&[1, 2]).await.unwrap();
        migrate(cluster, &format!("tidegate:{{{name}}}:y"), 0, 1);
        for _ in 0..3 {
            let error = several.try_acquire_each(&[1, 2]).await.unwrap_err();
            let AcquireError::Unavailable {
                cause: Some(cause), ..
            } = &error
            else {
                panic!("{error}");
            };
            assert_eq!(cause.code(), Some("TRYAGAIN"));
        }
        assert!(store.stats().is_available(), "other keys can be asked for");
        let other = RedisKeyed::new(&store, "other", Quota::per_day(100)).unwrap();
        other.try_acquire(&name, 1).await.unwrap();
        moving.move_keys();
        several.try_acquire_each(&[1, 2]).await.unwrap();
        moving.finish();
        assert_eq!(several.available().await.unwrap(), [97, 94]);
        assert_eq!(other.available(&name).await.unwrap(), [99]);
    })
    .await;
}

enum Caller {
    Bucket(RedisTokenBucket),
    Table(RedisKeyed, String),
    Leased(LeasedTokenBucket),
}

impl Caller {
    /// One of each, which all have one quota, and are in the slot of that name.
    fn each(store: &RedisStore, name: &str, quota: Quota) -> [Self; 3] {
        let limits = [("x", quota), ("y", quota)];
        let table = RedisKeyed::with_options(store, "table", limits, forgetful()).unwrap();
        let tank = RedisTokenBucket::new(store, name, quota).unwrap();
        let leases = LeaseOptions::new().ttl(Duration::from_secs(1));
        [
            Self::Bucket(RedisTokenBucket::with_options(store, name, quota, forgetful()).unwrap()),
            Self::Table(table, name.to_owned()),
            Self::Leased(tank.lease(leases)),
        ]
    }

    async fn call(&self) -> Result<(), AcquireError> {
        match self {
            Self::Bucket(bucket) => bucket.try_acquire(1).await.map(drop),
            Self::Table(table, key) => table.try_acquire(key, 1).await.map(drop),
            Self::Leased(leased) => leased.try_acquire(1),
        }
    }

    /// What was admitted until all is told to stop.
    async fn load(self, stop: Arc<AtomicBool>) -> Vec<Admission> {
        let mut admissions = Vec::new();
        // Relaxed: nothing else is told by it.
        while !stop.load(Relaxed) {
            let start_ns = now_ns();
            let result = self.call().await;
            let end_ns = now_ns();
            if result.is_ok() {
                admissions.push(Admission {
                    start_ns,
                    end_ns,
                    permits: 1,
                });
            } else {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        admissions
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounds_hold_while_a_slot_moves_back_and_forth() {
    on_each(async |cluster| {
        let quota = Quota::per_second(300).burst(20);
        let name = cluster.key_on(0, "name");
        let (slot, stop) = (cluster.slot_of(&name), Arc::new(AtomicBool::new(false)));
        let mut tasks = Vec::new();
        for _ in 0..2 {
            for caller in Caller::each(&node(cluster).await, &name, quota) {
                tasks.push(tokio::spawn(caller.load(Arc::clone(&stop))));
            }
        }
        for to in [1, 2, 0, 1, 0] {
            tokio::time::sleep(Duration::from_millis(100)).await;
            cluster.move_slot(slot, to);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.store(true, Relaxed);
        let mut all = Vec::new();
        for task in tasks {
            all.push(task.await.unwrap());
        }
        let (tables, buckets): (Vec<_>, Vec<_>) = (0..6).partition(|caller| caller % 3 == 1);
        // A bucket and its leases are one limit.
        for callers in [tables, buckets] {
            let admissions: Vec<Admission> = callers
                .iter()
                .flat_map(|caller| all[*caller].clone())
                .collect();
            assert!(admissions.len() > 40, "{} are not a load", admissions.len());
            Bound::new(quota).assert_within(&admissions);
        }
        assert!(
            all.iter().all(|admissions| !admissions.is_empty()),
            "each got some"
        );
    })
    .await;
}
