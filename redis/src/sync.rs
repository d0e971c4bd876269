//! Atomics of the standard kind, or loom's.

#[cfg(not(tidegate_loom))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
#[cfg(tidegate_loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
