//! The atomics of `core`, or those of loom in its models.

#[cfg(not(tidegate_loom))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
#[cfg(tidegate_loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
