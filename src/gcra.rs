//! The generic cell rate algorithm: its arithmetic, the atomic word of a bucket, and the word form
//! that tables keep.

mod arithmetic;
mod atomic_tat;
mod word;

pub(crate) use arithmetic::{Gcra, Now, ReservedTat, Shortfall};
pub(crate) use atomic_tat::AtomicTat;
pub(crate) use word::WordGcra;
