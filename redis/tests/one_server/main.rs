//! Limits on one real server, Redis and Valkey alike.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::std_instead_of_alloc,
    reason = "the lints do not see that helpers of tests are tests, which have the standard library"
)]

#[path = "../support/mod.rs"]
mod support;

mod changes;
mod clocks;
mod decisions;
mod foreign;
mod keys;
mod memory;
mod refusals;
mod scripts;
mod several;
mod shared;

use core::time::Duration;

use tidegate_redis::{AcquireError, LimiterOptions, RedisStore};

use support::kinds::Kind;
use support::servers::{self, Server};
use support::until::PATIENCE;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Runs a test on a server of each kind, whose clock it can set.
async fn on_each(test: impl AsyncFn(&Server)) {
    for kind in Kind::available() {
        let server = Server::start(servers::Options::new(kind).fake_clock());
        test(&server).await;
    }
}

/// A node of its own: with patience, because nothing here is about servers that do not answer.
fn node(server: &Server) -> RedisStore {
    RedisStore::builder()
        .timeout(PATIENCE)
        .connect(server.url())
        .unwrap()
}

/// Asks the server each time, because tests turn the server's clock, not that of the node's memory.
const fn forgetful() -> LimiterOptions {
    LimiterOptions::new().cache_denials(Duration::ZERO)
}

/// The hint of a refusal.
#[track_caller]
fn refused<T: core::fmt::Debug>(result: Result<T, AcquireError>) -> Duration {
    let error = result.expect_err("it is not there");
    assert!(error.denied().is_some(), "{error}");
    error.retry_after().expect("it will be there")
}

/// The value of a key, as the server has it.
fn value(server: &Server, key: &str) -> Option<String> {
    redis::cmd("GET")
        .arg(key)
        .query(&mut server.connection())
        .unwrap()
}

/// When a key ends, in milliseconds: -1 for never, -2 for one that is not there.
fn ends_in(server: &Server, key: &str) -> i64 {
    redis::cmd("PTTL")
        .arg(key)
        .query(&mut server.connection())
        .unwrap()
}

fn key_count(server: &Server) -> usize {
    redis::cmd("DBSIZE")
        .query(&mut server.connection())
        .unwrap()
}

/// Milliseconds, none too few.
fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_micros().div_ceil(1_000)).unwrap()
}
