//! Nodes with leases share a bucket with direct callers, at times that the tests choose.
//!
//! Requests arrive late, replies are lost, nodes crash, the server's clock steps back, and its key is
//! lost. No history may exceed the bound.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(
    clippy::disallowed_methods,
    clippy::std_instead_of_alloc,
    reason = "real servers and time"
)]

mod histories;
mod history;
mod mutants;
mod node;
mod returned_grants;
mod scenes;
mod simulation;
#[path = "../support/mod.rs"]
mod support;
