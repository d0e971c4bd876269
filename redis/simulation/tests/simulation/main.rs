//! The simulator repeats itself, agrees with a real server, and shows what tidegate-redis promises.
#![allow(dead_code, reason = "a part of what other tests use")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "servers live in real time")]

mod faults;
mod promises;
mod real_server;
mod repetition;

// What starts a server, as in the tests of tidegate-redis.
#[path = "../../../tests/support/fake_clock.rs"]
mod fake_clock;
#[path = "../../../tests/support/lifeline.rs"]
mod lifeline;
#[path = "../../../tests/support/ports.rs"]
mod ports;
#[path = "../../../tests/support/server.rs"]
mod server;
#[path = "../../../tests/support/server_kind.rs"]
mod server_kind;
#[path = "../../../tests/support/wait.rs"]
mod wait;

use std::time::Duration;

use tidegate::Quota;
use tidegate_redis::LeaseOptions;
use tidegate_simulation::fleet::{Fault, KeyedTraffic, Scenario};
use tidegate_simulation::network::Link;

/// A small fleet to which everything happens: messages are lost and overtake each other, nodes die,
/// and calls go to keys of a table as well.
fn everything(seed: u64) -> Scenario {
    Scenario {
        name: "everything at once",
        seed,
        demand: vec![300.0, 200.0, 150.0, 100.0, 50.0, 1.0, 100.0, 100.0],
        quota: Quota::per_second(301).burst(200),
        link: Link::DATA_CENTER
            .unordered(Duration::from_millis(3))
            .losing(0.005),
        timeout: Duration::from_millis(100),
        lease: LeaseOptions::new(),
        shards: 1,
        fault: Some(Fault::Deaths {
            at: Duration::from_secs(1),
            nodes: 2,
        }),
        keyed: Some(KeyedTraffic {
            keys: 20,
            calls: 300.0,
            quota: Quota::per_second(10).burst(5),
        }),
        warm_up: Duration::from_millis(500),
        measured: Duration::from_millis(2_500),
    }
}
