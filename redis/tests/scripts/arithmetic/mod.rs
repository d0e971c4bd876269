//! The script `take`, which serves all direct calls.
//!
//! It must agree with exact fractions everywhere, and with the in-process bucket where that is
//! exact.

mod action;
mod comparison;
mod edges;
mod exact_model;
mod mutants;
mod process_model;
mod quota_changes;
mod quotas;
