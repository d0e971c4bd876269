//! Limits of [`tidegate`] that many machines share, on Redis or Valkey: strict, exact, and without a round trip on the hot path.
//!
//! ```no_run
//! use tidegate::Quota;
//! use tidegate_redis::{LeaseOptions, RedisKeyed, RedisStore, RedisTokenBucket};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = RedisStore::connect("redis://127.0.0.1/")?;
//!
//! // One limit of all nodes. A call is one round trip.
//! let uploads = RedisTokenBucket::new(&store, "uploads", Quota::per_second(100).burst(20))?;
//! uploads.try_acquire(1).await?;
//!
//! // A limit, or several, for every key.
//! let users = RedisKeyed::new(&store, "user", Quota::per_minute(100).burst(20))?;
//! users.try_acquire("alice", 1).await?;
//!
//! // For the hot path: this node takes tokens by the batch, and a call is a compare-and-swap.
//! let api = RedisTokenBucket::new(&store, "api", Quota::per_second(50_000))?.lease(LeaseOptions::new());
//! api.try_acquire(1)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Which?
//!
//! | you want | take |
//! |---|---|
//! | one limit, up to some thousand calls per second | [`RedisTokenBucket`] |
//! | the same for tens of thousands and more, or within microseconds | [`RedisTokenBucket::lease`] |
//! | several limits in one round trip, all or none: requests and tokens | [`RedisCombined`] |
//! | one limit, or several, for every user, tenant or address | [`RedisKeyed`] |
//!
//! # Guarantees
//!
//! * **Bound.** All nodes together admit at most capacity + rate · (b − a) in any interval `[a, b]` of the server's clock, leases included,
//!   whatever answers are lost, whichever nodes die. No call is sent twice that may have been charged.
//! * **Exact.** Fractions of the server's microseconds, in whole numbers: no rate drifts, nothing is early.
//! * **All or nothing**, in one script, also over several limits.
//! * **A refusal writes nothing** on the server, and is remembered on the node, so that those who do not wait cost no round trips.
//! * **The server's absence costs one timeout**, not one per call; what happens then is chosen per limiter
//!   ([`FailurePolicy`]), and what a node's share admitted then is told to the server when it is back.
//!
//! The bound holds as far as the server remembers. It forgets when it loses data.
//!
//! # Deployment
//!
//! * **Versions.** Redis 6.2 or later, or Valkey; tested with Redis 7.0 and, where it can be had, Valkey 8. One server, a cluster
//!   (feature `cluster`), or whatever else a [`Connection`] reaches. No modules.
//! * **Persistence.** With an append-only file and `appendfsync always` a server that is killed comes back knowing everything. With
//!   `everysec` a power failure may cost a second of charges, without a file a restart costs all: each bucket is full again, so up
//!   to a capacity is admitted twice. Where that is too much, [`LimiterOptions::start_empty`] makes what is not there count as empty.
//! * **Failover.** Replication is asynchronous: a replica that takes over may lack the last charges, and its clock may differ. One that is
//!   behind counts as standing still, one that is ahead refills, and ends leases early by as much as it is ahead of a hundredth of what they last.
//!   Keep them within milliseconds by NTP. In a cluster the store finds the new owner of its keys by itself; for one server use an
//!   address that moves with it.
//! * **Resharding.** Keys on the move are followed, but not to a node that owns no slot yet: there the [`FailurePolicy`] decides until it does.
//! * **Eviction.** `maxmemory-policy noeviction`, or a bucket that is evicted is full again. Buckets that are full are not there by themselves.
//! * **Access.** `ACL SETUSER tidegate on >secret ~tidegate:* resetchannels -@all +eval +evalsha +get +set +time` (in a cluster also
//!   `+asking +ping +cluster|slots`); `~` is the [prefix](StoreBuilder::prefix). Connections also tell the client's name, and go on if
//!   they may not; where servers know `+client|setinfo` (Redis 7.2, Valkey), it keeps that out of their `ACL LOG`.
//! * **Names.** `tidegate:{uploads}`, `tidegate:{model}:tokens`, `tidegate:user:{alice}:day`: what is in braces decides about the node of
//!   a cluster, so one bucket is on one node, and the calls of one key are one script.
//! * **Values** are text, `GET` shows them: format, TAT, its fraction and denominator, time of the last write, then leases.
//! * **Changing a limit** needs nothing: deploy nodes with the new quota. Until all have it, each judges by its own, and a bucket that is used
//!   up further than a lowered limit allows stays so until it has refilled: `reset` fills it up.
//! * **Virtual machines** that are copied while they run hold the same leases twice: close leases before a snapshot. One that is suspended for
//!   longer than a lease may spend it when it goes on, if its monotonic clock stood still.
//!
//! # Sizing leases
//!
//! A lease takes tokens out of everybody's sight. No batch makes the leases of a bucket hold more than half of its capacity, though each
//! node gets what a caller waits for; a batch is its node's demand of 10 to 80 ms; a node without demand gives everything back. So:
//!
//! * Lease where the capacity is many times the number of nodes. Below ten tokens per node call the bucket instead.
//! * [`LeaseOptions::ttl`] is how long a node goes on without the server, and how long what a dead node holds is lost: seconds.
//! * [`LeaseOptions::refill_interval`] is how often a node asks while there is not enough for all. Longer means fewer calls, larger batches, and
//!   longer waits.
//! * Nodes with the same demand get the same share only over many intervals: who asks first gets what is there.
//!
//! # Without the server
//!
//! A call waits for [`StoreBuilder::timeout`], once. Then the [`FailurePolicy`] decides at once, for all calls, until the server answers
//! a probe. [`RedisStore::stats`] shows it. Leases go on until they end.
//! A connection that carries nothing any more, without having been closed, is replaced after some probes.

#![allow(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "nothing here works without the standard library"
)]

mod base_key;
mod breaker;
mod combined;
mod connection;
mod denial_cache;
mod error;
#[doc(hidden)]
pub mod for_tests;
mod keyed;
mod lease;
mod limits;
mod options;
mod policy;
mod scaled_quota;
mod script;
mod stats;
mod store;
mod sync;
mod token_bucket;
mod unreported;

pub use combined::RedisCombined;
pub use connection::Connection;
pub use error::{AcquireError, BuildError};
pub use keyed::RedisKeyed;
pub use lease::lease_options::LeaseOptions;
pub use lease::leased_token_bucket::{LeaseStats, LeasedTokenBucket};
pub use limits::{Admitted, AdmittedBy};
pub use options::{LimiterOptions, Quotas};
pub use policy::FailurePolicy;
pub use scaled_quota::ScaleError;
pub use stats::{LimitStats, StoreStats};
pub use store::{RedisStore, StoreBuilder};
pub use token_bucket::RedisTokenBucket;

/// Compiles the code in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
