//! The Lua scripts, at times that the tests choose, compared with exact models.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "servers live in real time")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have `std`")]

mod api_protocol;
mod arithmetic;
mod lease_protocol;
mod live_quotas;
mod mutants;
#[allow(dead_code, unreachable_pub, reason = "a module of the crate")]
#[path = "../../src/quota_record.rs"]
mod quota_record;
#[allow(dead_code, unreachable_pub, reason = "a module of the crate")]
#[path = "../../src/scaled_quota.rs"]
mod scaled_quota;
#[allow(dead_code, unreachable_pub, reason = "a module of the crate")]
#[path = "../../src/scaled_window.rs"]
mod scaled_window;
mod script_calls;
mod script_harness;
mod semaphore;
mod windows;

#[path = "../support/mod.rs"]
mod support;
