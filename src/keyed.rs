//! A limit for every key: user, address, route.

mod fixed;
#[cfg(feature = "std")]
mod key_view;
mod keyed_limiter;
mod keys;
#[cfg(feature = "std")]
mod map;
#[cfg(feature = "std")]
mod most_denied;
mod overflow;
mod table_stats;
#[cfg(feature = "std")]
mod wait_queues;

pub use fixed::FixedKeyed;
#[cfg(feature = "std")]
pub(crate) use key_view::Table;
#[cfg(feature = "std")]
pub use key_view::{KeyView, OwnedKey};
pub use keyed_limiter::KeyedLimiter;
pub(crate) use keyed_limiter::TableOperations;
pub use keys::{IpKey, Ipv6Prefix, Ipv6PrefixError, KeyDigest, KeyDigester, KeyHash, KeyHasher};
#[cfg(feature = "std")]
pub use map::{Keyed, KeyedBuilder};
#[cfg(feature = "std")]
pub use most_denied::{DeniedKey, DeniedKeys, MostDenied, TrackDenied};
pub use overflow::Overflow;
pub use table_stats::FixedKeyedStats;
#[cfg(feature = "std")]
pub use table_stats::KeyedStats;
#[cfg(feature = "std")]
pub(crate) use wait_queues::Place;
