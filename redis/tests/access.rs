//! The rights that the documentation names are enough for everything, and none of them is too much.
#![cfg(feature = "cluster")]
#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]

mod support;

use core::time::Duration;

use redis::Value;
use tidegate::Quota;
use tidegate_redis::{LeaseOptions, RedisCombined, RedisKeyed, RedisStore, RedisTokenBucket};

use support::cluster::Cluster;
use support::kinds::Kind;
use support::servers::{Options, Server};
use support::until::PATIENCE;

/// The line of the documentation; in a cluster with what is in brackets.
fn rights(cluster: bool) -> Vec<&'static str> {
    let text = include_str!("../src/lib.rs");
    let line = text
        .lines()
        .find_map(|line| line.split_once("`ACL SETUSER "));
    let (line, _) = line.unwrap().1.split_once('`').unwrap();
    let mut rights: Vec<_> = line.split(' ').collect();
    if cluster {
        let more = text.lines().find(|line| line.contains("`+asking"));
        rights.extend(more.unwrap().split('`').nth(1).unwrap().split(' '));
    }
    rights
}

fn give(server: &Server, rights: &[&str]) {
    let mut connection = server.connection();
    let () = redis::cmd("ACL")
        .arg("SETUSER")
        .arg(rights)
        .query(&mut connection)
        .unwrap();
}

/// What was refused, if anything, but for the client's name: connections tell it, and whether they may does not matter to them.
fn refused(server: &Server) -> String {
    let log: Value = redis::cmd("ACL")
        .arg("LOG")
        .query(&mut server.connection())
        .unwrap();
    let Value::Array(entries) = log else {
        return format!("{log:?}");
    };
    let entries = entries.into_iter().map(|entry| format!("{entry:?}"));
    entries
        .filter(|entry| !entry.contains("client|setinfo"))
        .collect()
}

async fn everything(store: &RedisStore, name: &str) {
    let quota = Quota::per_second(1_000).burst(100);
    let bucket = RedisTokenBucket::new(store, name, quota).unwrap();
    let _ = bucket.try_acquire(1).await.unwrap();
    let _ = bucket.peek(1).await.unwrap();
    bucket.available().await.unwrap();
    bucket.debit(1).await.unwrap();
    bucket.reset().await.unwrap();

    let lease = bucket.lease(LeaseOptions::new());
    lease.acquire(1).await.unwrap();
    lease.close().await;

    let both = [("requests", quota), ("tokens", quota)];
    let combined = RedisCombined::new(store, name, both).unwrap();
    let _ = combined.try_acquire(1).await.unwrap();
    let table = RedisKeyed::new(store, name, quota).unwrap();
    let _ = table.try_acquire(name, 1).await.unwrap();
    table.reset(name).await.unwrap();
    // With what it costs to write a bucket that never expires.
    let empty = tidegate_redis::LimiterOptions::new().start_empty(Duration::from_millis(1));
    let empty = RedisTokenBucket::with_options(store, &format!("{name}-empty"), quota, empty);
    empty.unwrap().try_acquire(1).await.unwrap_err();
}

fn url_of_user(server: &Server) -> String {
    format!("{}?user=tidegate&pass=secret", server.socket_url())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_needs_what_the_documentation_says() {
    for kind in Kind::available() {
        let mut server = Server::start(Options::new(kind));
        give(&server, &rights(false));
        let store = RedisStore::builder()
            .probe_interval(Duration::from_millis(20))
            // Between the two attempts of a probe is a part of it.
            .timeout(Duration::from_secs(2))
            .connect(url_of_user(&server))
            .unwrap();
        everything(&store, "all").await;
        assert_eq!(refused(&server), "", "{kind:?}");

        // A server that is gone is found again by probes.
        server.kill();
        let quota = Quota::per_second(1_000);
        let bucket = RedisTokenBucket::new(&store, "again", quota).unwrap();
        bucket.try_acquire(1).await.unwrap_err();
        server.restart();
        give(&server, &rights(false));
        while bucket.try_acquire(1).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(refused(&server), "", "{kind:?}");
    }
}

/// Each right is taken away, and something does not work any more.
#[tokio::test(flavor = "multi_thread")]
async fn none_of_the_rights_is_too_much() {
    let server = Server::start(Options::new(Kind::available()[0]));
    for less in rights(false).iter().filter(|right| right.starts_with('+')) {
        give(&server, &rights(false));
        give(&server, &["tidegate", &less.replace('+', "-")]);
        let store = RedisStore::builder()
            .timeout(PATIENCE)
            .connect(url_of_user(&server))
            .unwrap();
        server.flush_scripts();
        let bucket = RedisTokenBucket::new(&store, "less", Quota::per_second(10)).unwrap();
        assert!(bucket.try_acquire(1).await.is_err(), "{less}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_needs_what_the_documentation_says() {
    let cluster = Cluster::start();
    let nodes = || (0..cluster.len()).map(|node| cluster.node(node));
    for node in nodes() {
        give(node, &rights(true));
    }
    let urls = cluster.urls();
    let urls = urls
        .iter()
        .map(|url| url.replace("redis://", "redis://tidegate:secret@"));
    let store = RedisStore::builder()
        .timeout(PATIENCE)
        .connect_cluster(urls)
        .await
        .unwrap();
    for name in 0..30 {
        everything(&store, &format!("all-{name}")).await;
    }
    // A slot on its way: the old owner says where to ask. And one that has moved.
    let bucket = RedisTokenBucket::new(&store, "move", Quota::per_second(1_000)).unwrap();
    let slot = cluster.slot_of("tidegate:{move}");
    let to = (cluster.owner_of_slot(slot) + 1) % cluster.len();
    let moving = cluster.begin_move(slot, to);
    let _ = bucket.try_acquire(1).await.unwrap();
    moving.finish();
    let _ = bucket.try_acquire(1).await.unwrap();
    for node in nodes() {
        assert_eq!(refused(node), "");
    }
}
