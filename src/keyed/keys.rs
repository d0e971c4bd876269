//! What keys are made of: hashes, network addresses, digests of long texts.

mod digest;
mod hasher;
mod ip;

pub use digest::{KeyDigest, KeyDigester};
pub use hasher::{KeyHash, KeyHasher};
pub use ip::{IpKey, Ipv6Prefix, Ipv6PrefixError};
