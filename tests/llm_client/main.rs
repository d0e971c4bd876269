//! Paced calls to a strict fake provider over HTTP, and the example `llm_client`.

#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]

extern crate alloc;

mod account;
mod connection;
#[path = "../program/mod.rs"]
mod program;
mod provider;
mod scenes;
mod strictness;
mod whole_program;
mod work;
mod worker;
