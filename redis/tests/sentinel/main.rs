//! Stores on the master of a service that sentinels watch.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "servers live in real time")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have `std`")]

#[path = "../support/mod.rs"]
mod support;

mod failovers;
mod lookups;

use core::time::Duration;

use tidegate_redis::{RedisStore, StoreBuilder};

use support::sentinels::{SERVICE, Watched};

/// The address of a master, of which the sentinels know host and port.
const LOGIN: &str = "redis://master/";

/// A store that calls no slow answer an outage unless the machine stalls for long.
fn builder() -> StoreBuilder {
    RedisStore::builder().timeout(Duration::from_millis(300))
}

fn store(watched: &Watched) -> RedisStore {
    let store = builder().connect_sentinel(watched.urls(), SERVICE, LOGIN);
    store.unwrap()
}
