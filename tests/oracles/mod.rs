//! Compares limiters and quotas with oracles at every step. The bytes of an input choose the steps.
//!
//! An oracle is a slow and obvious second implementation. The fuzz targets include this folder.

pub(crate) mod bucket_ops;
pub(crate) mod quota_text;
#[cfg(feature = "serde")]
pub(crate) mod saved_states;
pub(crate) mod window_ops;

mod bytes;
mod call_log;
mod choices;
mod quotas;
