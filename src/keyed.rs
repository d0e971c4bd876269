//! A limit for every key: user, address, route.

mod fixed;
mod keys;
#[cfg(feature = "std")]
mod map;
mod overflow;
#[cfg(feature = "metrics")]
mod publish;

pub use fixed::{FixedKeyed, FixedKeyedStats};
pub use keys::{IpKey, Ipv6Prefix, Ipv6PrefixError, KeyDigest, KeyDigester, KeyHash, KeyHasher};
#[cfg(feature = "std")]
pub use map::{Keyed, KeyedBuilder, KeyedStats};
pub use overflow::Overflow;
