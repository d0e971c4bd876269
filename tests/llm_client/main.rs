//! The example `llm_client` as its users meet it, and the fake provider that judges it.

#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]
#![expect(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "files of a program, which has std anyway"
)]

#[path = "../../examples/llm_client/account.rs"]
mod account;
#[path = "../../examples/llm_client/connection.rs"]
mod connection;
mod demo;
mod judge;
#[path = "../../examples/llm_client/message.rs"]
mod message;
#[path = "../program/mod.rs"]
mod program;
#[path = "../../examples/llm_client/provider.rs"]
mod provider;
