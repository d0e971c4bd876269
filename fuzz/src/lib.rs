//! The fuzz targets of `tidegate`, as functions of the input, so that they run under a fuzzer and in an ordinary test.
//!
//! Each target has an oracle, a slow and obvious second implementation, and asserts against it at every step.

#![forbid(unsafe_code)]

pub mod bucket_ops;
pub mod quota_text;
pub mod replay;
pub mod window_ops;

mod bytes;
mod calls;
mod quotas;

/// Every target: what the replay test runs.
pub const TARGETS: [replay::Target; 3] =
    [bucket_ops::TARGET, window_ops::TARGET, quota_text::TARGET];
