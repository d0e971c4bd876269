//! A limit for every key: user, address, route.

mod fixed;
#[cfg(feature = "std")]
mod key_view;
mod keys;
#[cfg(feature = "std")]
mod map;
mod overflow;
mod table_stats;
#[cfg(feature = "std")]
mod wait_queues;

pub use fixed::FixedKeyed;
#[cfg(feature = "tower")]
pub(crate) use key_view::Table;
#[cfg(feature = "std")]
pub use key_view::{KeyView, OwnedKey};
pub use keys::{IpKey, Ipv6Prefix, Ipv6PrefixError, KeyDigest, KeyDigester, KeyHash, KeyHasher};
#[cfg(feature = "std")]
pub use map::{Keyed, KeyedBuilder};
pub use overflow::Overflow;
pub use table_stats::FixedKeyedStats;
#[cfg(feature = "std")]
pub use table_stats::KeyedStats;
#[cfg(feature = "tower")]
pub(crate) use wait_queues::Place;
