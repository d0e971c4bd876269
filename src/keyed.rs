//! A limit for every key: user, address, route.

mod fixed;
#[cfg(feature = "std")]
mod key_charge;
mod key_view;
mod keys;
#[cfg(feature = "std")]
mod map;
mod overflow;
mod table;
mod table_stats;
#[cfg(feature = "std")]
mod wait_queues;

pub use fixed::{FixedKey, FixedKeyCharge, FixedKeyed};
#[cfg(feature = "std")]
pub use key_charge::KeyCharge;
pub use key_view::{KeyView, OwnedKey};
pub use keys::{IpKey, Ipv6Prefix, Ipv6PrefixError, KeyDigest, KeyDigester, KeyHash, KeyHasher};
#[cfg(feature = "std")]
pub use map::{Keyed, KeyedBuilder};
pub use overflow::Overflow;
#[cfg(feature = "tower")]
pub(crate) use table::{TablePointer, WaitTable};
pub use table_stats::FixedKeyedStats;
#[cfg(feature = "std")]
pub use table_stats::KeyedStats;
