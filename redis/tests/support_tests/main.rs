//! The servers, workers and the bound checker of the other tests do what those tests rely on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(
    clippy::disallowed_methods,
    clippy::std_instead_of_alloc,
    reason = "real servers and time"
)]

#[path = "../support/mod.rs"]
mod support;

mod bound;
mod servers;
mod workers;
