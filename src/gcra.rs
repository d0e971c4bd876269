//! The generic cell rate algorithm: its arithmetic, the atomic word of a bucket, and the word form
//! that tables keep.

mod arithmetic;
mod atomic_tat;
#[cfg(any(feature = "std", tidegate_loom))]
mod handover;
mod shortage;
mod word;

#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) use arithmetic::Leased;
pub(crate) use arithmetic::{Gcra, Level, Now, ReservedTat, Shortfall};
pub(crate) use atomic_tat::{AtomicTat, Refusal};
#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) use handover::Handover;
pub(crate) use shortage::Shortage;
pub(crate) use word::WordGcra;
