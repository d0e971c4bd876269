//! Stores on the master of a service that sentinels watch.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "servers live in real time")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have `std`")]

#[path = "../support/mod.rs"]
mod support;

mod failovers;
mod lookups;

/// The address of a master. The sentinels know its host and port.
const LOGIN: &str = "redis://master/";
