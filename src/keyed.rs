//! A limit for every key: user, address, route.

#[cfg(feature = "std")]
mod builder;
#[cfg(feature = "std")]
mod cell;
mod fixed;
#[cfg(feature = "std")]
mod hand;
mod hasher;
#[cfg(feature = "std")]
mod map;
mod overflow;
mod rule;
mod set;
#[cfg(feature = "std")]
mod shard;
#[cfg(feature = "std")]
mod stats;

#[cfg(feature = "std")]
pub use builder::KeyedBuilder;
pub use fixed::{FixedKeyed, FixedKeyedStats};
pub use hasher::{KeyHash, KeyHasher};
#[cfg(feature = "std")]
pub use map::Keyed;
pub use overflow::Overflow;
#[cfg(feature = "std")]
pub use stats::KeyedStats;
