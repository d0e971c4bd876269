//! Servers, worker processes, limiters and the bound checker that all tests of this crate share.
#![allow(dead_code, reason = "each test binary, and the benchmark, uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

pub(crate) mod acl;
pub(crate) mod admission;
pub(crate) mod bound;
pub(crate) mod cluster;
pub(crate) mod fake_clock;
pub(crate) mod fake_server;
pub(crate) mod holds;
pub(crate) mod lifeline;
pub(crate) mod limiters;
pub(crate) mod load;
pub(crate) mod ports;
pub(crate) mod sentinels;
pub(crate) mod server;
pub(crate) mod server_kind;
pub(crate) mod slot_move;
pub(crate) mod wait;
pub(crate) mod window_bound;
pub(crate) mod workers;
