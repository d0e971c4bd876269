//! A limit for every key: user, address, route.

mod fixed;
mod hasher;
mod ip_key;
mod long_key;
#[cfg(feature = "std")]
mod map;
mod overflow;
#[cfg(feature = "metrics")]
mod publish;
mod rule;

pub use fixed::{FixedKeyed, FixedKeyedStats};
pub use hasher::{KeyHash, KeyHasher};
pub use ip_key::{IpKey, Ipv6Prefix, Ipv6PrefixError};
pub use long_key::{LongKey, LongKeys};
#[cfg(feature = "std")]
pub use map::{Keyed, KeyedBuilder, KeyedStats};
pub use overflow::Overflow;
