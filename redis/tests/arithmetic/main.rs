//! The script `take`, which serves all direct calls, at times that the tests choose.
//!
//! It must agree with exact fractions everywhere, and with the in-process bucket where that is exact.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(
    clippy::disallowed_methods,
    clippy::std_instead_of_alloc,
    reason = "real servers and time"
)]

mod action;
mod comparison;
mod edges;
mod exact_model;
mod mutants;
mod process_model;
mod quota_changes;
mod quotas;
#[path = "../support/mod.rs"]
mod support;
