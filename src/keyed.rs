//! A limit for every key: user, address, route.

mod fixed;
mod hasher;
mod ip_key;
mod long_key;
mod overflow;
mod rule;
mod set;

pub use fixed::{FixedKeyed, FixedKeyedStats};
pub use hasher::{KeyHash, KeyHasher};
pub use ip_key::{IpKey, Ipv6Prefix, Ipv6PrefixError};
pub use long_key::{LongKey, LongKeys};
pub use overflow::Overflow;
