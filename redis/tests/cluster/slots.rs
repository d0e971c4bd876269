//! Which slot the keys of a call are in.

use std::collections::HashMap;

use tidegate::Quota;
use tidegate_redis::{RedisCombined, RedisKeyed, RedisStore};

use super::{node, on_each};
use crate::support::cluster::Cluster;

#[allow(dead_code, reason = "the test uses a part")]
#[path = "../../src/base_key.rs"]
mod base_key;
use base_key::BaseKey;

/// All keys that are anywhere, with the slots that the servers say they are in.
fn slots(cluster: &Cluster) -> HashMap<Vec<u8>, u16> {
    let mut slots = HashMap::new();
    for place in 0..cluster.len() {
        let mut connection = cluster.node(place).connection();
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
        for key in keys {
            let mut slot = redis::cmd("CLUSTER");
            let slot = slot
                .arg("KEYSLOT")
                .arg(&key)
                .query(&mut connection)
                .unwrap();
            slots.insert(key, slot);
        }
    }
    slots
}

/// Bytes, of which many are those that mean something in keys.
fn odd() -> Vec<u8> {
    let byte = |_| match fastrand::u8(0..4) {
        0 => fastrand::u8(..),
        1 => fastrand::alphanumeric().try_into().unwrap(),
        _ => *b"{}%:".get(fastrand::usize(0..4)).unwrap(),
    };
    (0..fastrand::usize(0..12)).map(byte).collect()
}

async fn charge(store: &RedisStore, name: &str, key: &[u8]) {
    let quota = Quota::per_day(1_000);
    let limits = [("", quota), ("{x}", quota), ("}{", quota), ("y", quota)];
    let several = RedisCombined::new(store, name, limits).unwrap();
    several.try_acquire(1).await.unwrap();
    let table = RedisKeyed::new(store, name, limits).unwrap();
    table.try_acquire(key, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_keys_of_a_call_are_in_one_slot() {
    on_each(async |cluster| {
        // Another prefix with braces of its own must not decide either.
        for prefix in ["tidegate", "{all}", "}{"] {
            let builder = RedisStore::builder()
                .prefix(prefix)
                .timeout(super::PATIENCE);
            let store = builder.connect_cluster(cluster.urls()).await.unwrap();
            charge(&store, "", b"").await;
            for _ in 0..100 {
                let name = odd();
                // If two keys of a call were in different slots, the servers would refuse the call.
                charge(&store, &String::from_utf8_lossy(&name), &odd()).await;
            }
            assert_eq!(store.stats().errors, 0);
        }
        let slots = slots(cluster);
        assert!(slots.len() > 1_000, "{}", slots.len());
        let mut by_head: HashMap<&[u8], u16> = HashMap::new();
        for (key, slot) in &slots {
            let head = key
                .iter()
                .position(|byte| *byte == b'}')
                .expect("a tag's end");
            let same = by_head.entry(&key[..head]).or_insert(*slot);
            assert_eq!(same, slot, "{:?}", key.escape_ascii().to_string());
        }
        let distinct: std::collections::HashSet<u16> = by_head.into_values().collect();
        assert!(
            distinct.len() > 100,
            "they are all over the cluster: {}",
            distinct.len()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_slots_are_the_servers() {
    on_each(async |cluster| {
        let mut connection = cluster.node(0).connection();
        for n in 0..1_000 {
            let prefix = ["tidegate", "{all}", "}{", ""][n % 4];
            let (name, key) = (odd(), odd());
            let name = String::from_utf8_lossy(&name);
            for key in [None, Some(&*key), Some(b"")] {
                let base = BaseKey::new(prefix, &name, key);
                for key in [base.limit_key(None), base.limit_key(Some("{limit}"))] {
                    let mut slot = redis::cmd("CLUSTER");
                    let slot: u16 = slot
                        .arg("KEYSLOT")
                        .arg(&key)
                        .query(&mut connection)
                        .unwrap();
                    assert_eq!(slot, base.slot(), "{}", key.escape_ascii());
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_where_its_key_is() {
    on_each(async |cluster| {
        let store = node(cluster).await;
        let table = RedisKeyed::new(&store, "t", Quota::per_day(10)).unwrap();
        for key in ["alice", "bob", "carol", "dave"] {
            table.try_acquire(key, 1).await.unwrap();
            let slot = cluster.slot_of(&format!("tidegate:t:{{{key}}}"));
            assert_eq!(slot, cluster.slot_of(key));
            let owner = cluster.owner_of_slot(slot);
            let count: u64 = redis::cmd("CLUSTER")
                .arg("COUNTKEYSINSLOT")
                .arg(slot)
                .query(&mut cluster.node(owner).connection())
                .unwrap();
            assert_eq!(count, 1);
        }
    })
    .await;
}
