//! Save and restore of every limiter, through the public interface.

#![expect(
    clippy::panic,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    reason = "a test of types that need std"
)]

mod api;
mod bucket;
mod changed;
mod combined;
#[cfg(feature = "serde")]
mod hostile;
mod sharded;
mod tables;
mod window;

use tidegate::{Timestamp, UnixTime};

const SECOND: u64 = 1_000_000_000;

const fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// An instant of the wall clock some time after 2023.
const fn wall(nanos: u64) -> UnixTime {
    UnixTime::from_nanos(1_700_000_000 * SECOND + nanos)
}
