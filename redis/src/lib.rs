//! Limits of [`tidegate`] that many machines share, on Redis or Valkey.

#![allow(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "nothing here works without the standard library"
)]

mod breaker;
mod combined;
mod connection;
mod error;
mod filler;
#[doc(hidden)]
pub mod for_tests;
mod key;
mod keyed;
mod lease;
mod leased;
mod limits;
mod memory;
mod options;
mod owed;
mod policy;
mod scale;
mod script;
mod stats;
mod store;
mod sync;
mod tank;
mod token_bucket;

pub use combined::RedisCombined;
pub use connection::Connection;
pub use error::{AcquireError, BuildError};
pub use keyed::RedisKeyed;
pub use lease::LeaseOptions;
pub use leased::{LeaseStats, LeasedTokenBucket};
pub use limits::{Admitted, By};
pub use options::{Options, Quotas};
pub use policy::FailurePolicy;
pub use scale::ScaleError;
pub use stats::{LimitStats, StoreStats};
pub use store::{RedisStore, StoreBuilder};
pub use token_bucket::RedisTokenBucket;
