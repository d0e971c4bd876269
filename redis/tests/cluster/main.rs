//! Limiters on a real cluster of three nodes, for each kind of server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "servers live in real time")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have `std`")]

#[allow(dead_code, reason = "a module of the crate")]
#[path = "../../src/base_key.rs"]
mod base_key;
#[path = "../support/mod.rs"]
mod support;

mod key_slots;
mod limiters_on_nodes;
mod node_outages;
mod slot_moves;
