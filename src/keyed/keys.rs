//! Keys: network addresses, digests of long texts, and their hash function.

mod ip_key;
mod key_digest;
mod key_hasher;

pub use ip_key::{IpKey, Ipv6Prefix, Ipv6PrefixError};
pub use key_digest::{KeyDigest, KeyDigester};
pub use key_hasher::{KeyHash, KeyHasher};
