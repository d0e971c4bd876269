//! Windows, alone and beside buckets.
//!
//! The scripts must agree with an exact model everywhere, and with the window of one process while
//! the clock does not step back.

pub(crate) mod cases;
pub(crate) mod comparison;
mod edges;
pub(crate) mod lengths;
mod limit_calls;
mod limit_model;
mod process;
pub(crate) mod undo;
mod window_model;
