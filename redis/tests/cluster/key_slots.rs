//! The slot of each key, as the store computes it and as the servers do.

use std::collections::{HashMap, HashSet};

use redis::Commands;
use tidegate::Quota;
use tidegate_redis::RedisStore;

use crate::base_key::BaseKey;
use crate::support::cluster::Cluster;
use crate::support::limiters::{combined, keyed, patient_store};
use crate::support::server::command;

/// The slot of a key, according to a server.
fn server_slot(connection: &mut redis::Connection, key: &[u8]) -> u16 {
    let keyslot = command(&[b"CLUSTER", b"KEYSLOT", key]);
    keyslot.query(connection).unwrap()
}

/// All keys of the cluster with their slots.
fn all_slots(cluster: &Cluster) -> HashMap<Vec<u8>, u16> {
    let mut slots = HashMap::new();
    for node in 0..cluster.len() {
        let mut connection = cluster.node(node).connection();
        let keys: Vec<Vec<u8>> = connection.keys("*").unwrap();
        for key in keys {
            let slot = server_slot(&mut connection, &key);
            slots.insert(key, slot);
        }
    }
    slots
}

/// Random bytes, many of which have a meaning in keys.
fn odd_bytes() -> Vec<u8> {
    let byte = |_| match fastrand::u8(0..4) {
        0 => fastrand::u8(..),
        1 => fastrand::alphanumeric().try_into().unwrap(),
        _ => b"{}%:"[fastrand::usize(0..4)],
    };
    (0..fastrand::usize(0..12)).map(byte).collect()
}

/// Charges several limits at once. A server would refuse keys in different slots.
async fn charge(store: &RedisStore, name: &str, key: &[u8]) {
    let quota = Quota::per_day(1_000);
    let limits = [("", quota), ("{x}", quota), ("}{", quota), ("y", quota)];
    combined(store, name, limits).try_acquire(1).await.unwrap();
    keyed(store, name, limits)
        .try_acquire(key, 1)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_one_call_are_in_one_slot() {
    for cluster in Cluster::each_kind() {
        // A prefix with braces of its own must not select the slot.
        for prefix in ["tidegate", "{all}", "}{"] {
            let store = patient_store().prefix(prefix);
            let store = store.connect_cluster(cluster.urls()).await.unwrap();
            charge(&store, "", b"").await;
            for _ in 0..100 {
                let name = odd_bytes();
                charge(&store, &String::from_utf8_lossy(&name), &odd_bytes()).await;
            }
            assert_eq!(store.stats().errors, 0);
        }
        let slots = all_slots(&cluster);
        assert!(slots.len() > 1_000, "{} keys", slots.len());
        let mut by_head: HashMap<&[u8], u16> = HashMap::new();
        for (key, slot) in &slots {
            let mut bytes = key.iter();
            let end = bytes.position(|byte| *byte == b'}').expect("a hash tag");
            let same = by_head.entry(&key[..end]).or_insert(*slot);
            assert_eq!(same, slot, "{}", key.escape_ascii());
        }
        let distinct: HashSet<u16> = by_head.into_values().collect();
        assert!(distinct.len() > 100, "only {} slots", distinct.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_and_server_compute_the_same_slots() {
    for cluster in Cluster::each_kind() {
        let mut connection = cluster.node(0).connection();
        for n in 0..1_000 {
            let prefix = ["tidegate", "{all}", "}{", ""][n % 4];
            let (name, key) = (odd_bytes(), odd_bytes());
            let name = String::from_utf8_lossy(&name);
            for key in [None, Some(&*key), Some(b"")] {
                let base = BaseKey::new(prefix, &name, key);
                for limit in [None, Some("{limit}")] {
                    let key = base.limit_key(limit);
                    let theirs = server_slot(&mut connection, &key);
                    assert_eq!(theirs, base.slot(), "{}", key.escape_ascii());
                }
            }
        }
    }
}
