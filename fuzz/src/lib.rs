//! The fuzz targets of `tidegate`, as functions of an input.
//!
//! Each target compares the crate with an oracle at every step. The oracles are files of the root
//! crate's tests, which run them over random inputs.

#![forbid(unsafe_code)]

extern crate alloc;

#[path = "../../tests/oracles/mod.rs"]
mod oracles;
pub mod replay;

use replay::Target;

/// Operations of `TokenBucket`.
pub const BUCKET_OPS: Target = Target {
    name: "bucket_ops",
    check: oracles::bucket_ops::check,
};

/// Operations of `SlidingWindow`.
pub const WINDOW_OPS: Target = Target {
    name: "window_ops",
    check: oracles::window_ops::check,
};

/// Saved states: numbers of all sizes, and text.
pub const SAVED_STATES: Target = Target {
    name: "saved_states",
    check: oracles::saved_states::check,
};

/// Quotas as text.
pub const QUOTA_TEXT: Target = Target {
    name: "quota_text",
    check: oracles::quota_text::check,
};
