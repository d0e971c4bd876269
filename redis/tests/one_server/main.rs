//! Limiters on one real server that always answers, for each kind of server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "servers live in real time")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have `std`")]

#[path = "../support/mod.rs"]
mod support;

mod api_limiter;
mod api_runtimes;
mod api_shared;
mod clock_steps;
mod decisions;
mod denial_cache;
mod deployments;
mod foreign_values;
mod inspection;
mod key_expiry;
mod key_names;
mod kinds;
mod live_quotas;
mod round_trips;
mod semaphores;
mod several_limits;
mod sharing;
mod waits;
mod windows;

use core::time::Duration;

use support::server::{Server, ServerOptions};

/// Starts a server of each kind, with a clock that the test sets.
fn each_server() -> impl Iterator<Item = Server> {
    ServerOptions::each_kind().map(|options| options.fake_clock().start())
}

fn key_count(server: &Server) -> usize {
    server.query(&["DBSIZE"])
}

/// Whole milliseconds, rounded up.
fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_micros().div_ceil(1_000)).unwrap()
}
