//! The example `gateway`: its server under requests and under load, and the whole program.

#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]
#![expect(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "a file of a program that needs std"
)]

mod client;
#[path = "../program/mod.rs"]
mod program;
mod requests;
#[path = "../../examples/gateway/server.rs"]
mod server;
mod storm;
mod whole_program;
