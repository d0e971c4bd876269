//! The fuzz targets of `tidegate`, as functions of an input.
//!
//! Each target compares the crate with an oracle at every step. An oracle is a slow and obvious
//! second implementation. The root crate's property tests include these files and run random inputs.

#![forbid(unsafe_code)]

pub mod bucket_ops;
pub mod quota_text;
pub mod replay;
pub mod window_ops;

mod bytes;
mod call_log;
mod choices;
mod quotas;

/// Every target that the replay test runs.
pub const TARGETS: [replay::Target; 3] =
    [bucket_ops::TARGET, window_ops::TARGET, quota_text::TARGET];
