//! The script `take`, which serves all direct calls.
//!
//! It must agree with exact fractions everywhere, and with the in-process bucket where that is
//! exact.

pub(crate) mod action;
pub(crate) mod comparison;
mod edges;
pub(crate) mod exact_model;
mod process_model;
pub(crate) mod quota_changes;
pub(crate) mod quotas;
