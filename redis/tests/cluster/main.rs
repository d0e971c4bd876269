//! Limits on a real cluster of three nodes, Redis and Valkey alike.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::std_instead_of_alloc,
    reason = "the lints do not see that helpers of tests are tests, which have the standard library"
)]

#[path = "../support/mod.rs"]
mod support;

mod moves;
mod nodes;
mod outages;
mod slots;

use core::time::Duration;

use tidegate_redis::{LimiterOptions, RedisStore};

use support::cluster::Cluster;
use support::kinds::Kind;
use support::servers;
use support::until::PATIENCE;

/// Runs a test on a cluster of each kind, which remembers what a killed node knew.
async fn on_each(test: impl AsyncFn(&mut Cluster)) {
    for kind in Kind::available() {
        let mut cluster = Cluster::start_with(&servers::Options::new(kind).durable());
        test(&mut cluster).await;
    }
}

/// A node of its own, with patience.
async fn node(cluster: &Cluster) -> RedisStore {
    let builder = RedisStore::builder().timeout(PATIENCE);
    builder.connect_cluster(cluster.urls()).await.unwrap()
}

/// Asks each time.
const fn forgetful() -> LimiterOptions {
    LimiterOptions::new().cache_denials(Duration::ZERO)
}
