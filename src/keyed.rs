//! A limit for every key: user, address, route.

#[cfg(feature = "dashmap")]
mod dash;
mod fixed;
#[cfg(feature = "std")]
mod key_charge;
mod key_view;
mod keyed_limiter;
mod keys;
#[cfg(feature = "std")]
mod map;
#[cfg(feature = "std")]
mod most_denied;
mod overflow;
#[cfg(feature = "std")]
mod penalty_box;
mod table;
mod table_stats;
#[cfg(feature = "std")]
mod wait_queues;

#[cfg(feature = "dashmap")]
pub use dash::{DashKeyCharge, DashKeyed, KnownKeys, NewKeys};
pub use fixed::{FixedKey, FixedKeyCharge, FixedKeyed};
#[cfg(feature = "std")]
pub use key_charge::KeyCharge;
pub use key_view::{KeyView, OwnedKey};
pub use keyed_limiter::KeyedLimiter;
pub use keys::{IpKey, Ipv6Prefix, Ipv6PrefixError, KeyDigest, KeyDigester, KeyHash, KeyHasher};
#[cfg(feature = "std")]
pub use map::{Keyed, KeyedBuilder};
#[cfg(feature = "std")]
pub use most_denied::{DeniedKey, DeniedKeys, MostDenied, TrackDenied};
pub use overflow::Overflow;
#[cfg(feature = "std")]
pub use penalty_box::{PenaltyBox, PenaltyCharge};
pub(crate) use table::Table;
#[cfg(feature = "tower")]
pub(crate) use table::TablePointer;
#[cfg(feature = "std")]
pub(crate) use table::WaitTable;
pub use table_stats::FixedKeyedStats;
#[cfg(feature = "std")]
pub use table_stats::KeyedStats;
#[cfg(feature = "std")]
pub(crate) use wait_queues::Place;
