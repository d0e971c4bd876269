//! A limit for every key: user, address, route.

mod fixed;
mod hasher;
mod overflow;
mod rule;
mod set;

pub use fixed::{FixedKeyed, FixedKeyedStats};
pub use hasher::{KeyHash, KeyHasher};
pub use overflow::Overflow;
