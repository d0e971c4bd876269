//! Servers, worker processes, script harness and bound checker that all tests of this crate share.
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod acl;
pub(crate) mod admission;
pub(crate) mod bound;
pub(crate) mod cluster;
pub(crate) mod fake_clock;
pub(crate) mod lifeline;
pub(crate) mod limiters;
pub(crate) mod load;
pub(crate) mod ports;
pub(crate) mod server;
pub(crate) mod server_kind;
pub(crate) mod slot_move;
pub(crate) mod wait;
pub(crate) mod workers;
