//! Limits of [`tidegate`] that many machines share, on Redis or Valkey.
//!
//! They are as strict and exact as those of one process. Leases keep round trips off the hot path.
//!
//! ```no_run
//! use core::time::Duration;
//! use tidegate::Quota;
//! use tidegate_redis::{
//!     LeaseOptions, RedisKeyed, RedisSemaphore, RedisSlidingWindow, RedisStore, RedisTokenBucket,
//! };
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = RedisStore::connect("redis://127.0.0.1/")?;
//!
//! // One limit for all nodes. A call is one round trip.
//! let uploads = RedisTokenBucket::new(&store, "uploads", Quota::per_second(100).burst(20))?;
//! uploads.try_acquire(1).await?;
//!
//! // At most 50 in any minute, as a provider counts.
//! let provider = RedisSlidingWindow::new(&store, "provider", 50, Duration::from_secs(60))?;
//! provider.try_acquire(1).await?;
//!
//! // At most 4 at the same time, on all machines together.
//! let export = RedisSemaphore::new(&store, "exports", 4)?.acquire(1).await?;
//! drop(export); // comes back
//!
//! // A limit, or several, for every key.
//! let users = RedisKeyed::new(&store, "user", Quota::per_minute(100).burst(20))?;
//! users.try_acquire("alice", 1).await?;
//!
//! // For the hot path: this node takes tokens in batches, and a call is a compare-and-swap.
//! let api = RedisTokenBucket::new(&store, "api", Quota::per_second(50_000))?;
//! let api = api.lease(LeaseOptions::new()).await;
//! api.try_acquire(1)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Which limiter?
//!
//! | you want | use |
//! |---|---|
//! | one limit, up to some thousand calls per second | [`RedisTokenBucket`] |
//! | the same for tens of thousands and more, or within microseconds | [`RedisTokenBucket::lease`] |
//! | at most N in any minute or hour, wherever it starts, as a provider or a contract counts | [`RedisSlidingWindow`] |
//! | several limits in one round trip, all or none: requests and tokens | [`RedisCombined`] |
//! | one limit, or several, for every user, tenant or address | [`RedisKeyed`] |
//! | at most N at the same time: exports, builds, calls of a provider | [`RedisSemaphore`] |
//! | one quota of an API, above all of a language model, for a fleet of workers | [`RedisApiRateLimiter`] |
//!
//! Several limits, and those of keys, are buckets, windows or both: [`SharedLimit`].
//!
//! With the feature `tower`, each of them but the semaphore limits the requests of a service, as a
//! `tidegate::layer::SharedGate`. `RedisPerKey` finds the key of a request.
//!
//! # Guarantees
//!
//! * **Bound.** All nodes together admit at most capacity + rate · (b − a) in any interval `[a, b]`
//!   of the server's clock. This includes leases, lost replies and nodes that die. A call that may
//!   have been charged is never sent again. Of a window, at most its limit in any interval of its
//!   length. At most the permits of a semaphore are held at a time.
//! * **Exact.** The scripts count in fractions of the server's microseconds, in whole numbers. No
//!   rate drifts, and no admission is early.
//! * **All or nothing**, in one script, also over several limits.
//! * **A denial writes nothing** on the server. The node caches it, so repeated calls cost no round
//!   trips. Semaphores write their nodes' turns.
//! * **An outage of the server costs one timeout**, not one per call. Each limiter chooses a
//!   [`FailurePolicy`]. What a node's share admits meanwhile is reported to the server when it is
//!   back.
//!
//! The bound holds as long as the server keeps its data.
//!
//! # Deployment
//!
//! * **Versions.** Redis 6.2 or later, or Valkey; tested with Redis 7.0 and, where available,
//!   Valkey 8. One server, the master of a service that sentinels watch (feature `sentinel`), a
//!   cluster (feature `cluster`), or whatever else a [`Connection`] reaches. No modules. The error
//!   of a call says so if the server is older.
//! * **Readiness.** [`RedisStore::ping`] proves that a decision would work now. Otherwise it says
//!   what is missing: the server, a right, a newer version, a clock, a server that accepts writes.
//! * **Persistence.** With an append-only file and `appendfsync always`, a killed server loses
//!   nothing. With `everysec`, a power failure may lose a second of charges. Without a file, a
//!   restart loses all of them: each bucket is full again, so up to a capacity is admitted twice,
//!   or the limit of a window. The nodes of a semaphore tell the server what they hold.
//!   [`LimiterOptions::start_empty`] makes absent buckets count as empty instead.
//! * **Failover.** Replication is asynchronous: a replica that takes over may lack the last
//!   charges, and its clock may differ. If it is behind, nothing refills until it has caught up. If
//!   it is ahead, buckets refill by the difference. It also ends leases early by as much as it is
//!   ahead of a hundredth of their time to live. Keep clocks within milliseconds by NTP. In a
//!   cluster the store finds the new owner of its keys, and with sentinels the new master.
//!   Otherwise use an address that moves with the server: each new connection resolves it again.
//! * **Sentinel** (feature `sentinel`): `StoreBuilder::connect_sentinel`. A new master admits
//!   within a second after the first sentinel names it. Each failover may admit up to a capacity
//!   again, for charges that were not replicated. A master that is replaced while it works accepts
//!   calls for some more seconds, so each store asks the sentinels once a second. Until all stores
//!   have moved, the two masters together may admit the rate twice. `min-replicas-to-write 1`
//!   bounds what a master admits that is cut off from its replicas.
//! * **Resharding.** Keys that move are followed, except to a node that owns no slot yet. Until it
//!   does, the [`FailurePolicy`] decides.
//! * **Eviction.** Set `maxmemory-policy noeviction`: an evicted bucket is full again. Full buckets
//!   need no memory anyway.
//! * **Access.** `ACL SETUSER tidegate on >secret ~tidegate:* resetchannels -@all +eval +evalsha
//!   +get +getrange +set +setrange +pexpireat +persist +time +hget +hset +hdel +zadd +zrem +zcount
//!   +zrange`; in a cluster also `+asking +ping +cluster|slots`; for an address with a database
//!   also `+select`. Buckets and leases need none of those from `+hget` on. `~` is the
//!   [prefix](StoreBuilder::prefix). Connections also send the client's name, and continue if that
//!   is not allowed or the server does not know `CLIENT` or `HELLO`. Allow `+client|setinfo` (Redis
//!   7.2, Valkey) to keep it out of the `ACL LOG`. The error of a call for which a right is missing
//!   names these.
//! * **TLS** (feature `tls`): addresses that begin with `rediss://`. Without
//!   `StoreBuilder::root_certificate` the roots of the system are trusted. The cryptography is
//!   that of `ring`, unless the program has installed another one of `rustls`.
//! * **Names** are like `tidegate:{uploads}`, `tidegate:{model}:tokens` and
//!   `tidegate:user:{alice}:day`. The part in braces decides which node of a cluster has the key.
//!   So one bucket is on one node, and a call for one key is one script.
//! * **Values** are numbers in fixed places, with the highest byte first. 12 bytes hold a bucket
//!   whose tokens take whole microseconds: its TAT in microseconds, in seven, and how far that was
//!   ahead at the last write, in five. 28 bytes hold any bucket: TAT, time of the last write,
//!   fraction and denominator. A quota that was changed for all nodes takes 60 bytes more. Leases
//!   take 392 bytes more, that quota included, and 79 for each node. A window begins with `W`, and
//!   takes 42 bytes and 6 for each slot since its first admission, at most 64, or 129 where 64 does
//!   not divide its microseconds. A semaphore begins with `S`, and takes 22 bytes and 58 for each
//!   node that holds permits or waits. A call for a value of another kind is an error, and changes
//!   nothing. [`inspect`] reads all of them.
//! * **An API limiter** has a state of 91 bytes, with about 60 more for each limit that responses
//!   told of: `tidegate:{model}:?api`. Each limit has a value, such as `:?minute` and `:?tokens`, a
//!   window at most 426 bytes. The hash `:?calls` and the sorted set `:?ends` have the open calls,
//!   with 23 bytes and 22 for each limit. All are in one slot of a cluster.
//! * **To change a limit** see [below](#to-change-a-limit).
//! * **Virtual machines** that are copied while they run hold the same leases twice. Close leases
//!   before a snapshot. A machine that is suspended for longer than a lease may spend the lease
//!   when it resumes, if its monotonic clock stopped meanwhile.
//!
//! # To change a limit
//!
//! [`RedisTokenBucket::set_quota`] changes it for all nodes at once, while they use it.
//! [`RedisCombined::set_quota`] does so for one of several limits, and [`RedisKeyed::set_quota`]
//! for all keys of a table. The server converts a bucket at one instant. Its level stays in tokens,
//! so a larger capacity is no free burst. From then on the server's quota counts, and each node
//! learns of it by its next call. So during a deployment, nodes with the old configuration do not
//! undo it.
//!
//! Without such a call, deploy nodes with the new quota. Until all have it, each decides by its
//! own. The level stays in time, not in tokens. A bucket that is used up further than a lowered
//! limit allows stays so until it has refilled; `reset` fills it up. Windows change in this way
//! only. One whose length is changed knows what counted for the old length, and no more.
//!
//! ```sh
//! # The program of the crate tidegate-cli does the same, and shows what is stored:
//! tidegate redis set uploads --new-quota "200/s burst 40" --quota "100/s burst 20"
//! ```
//!
//! # Operation
//!
//! * [`inspect`] lists limits of all kinds, shows what is used of them and by which nodes, and
//!   changes them by hand. The program `tidegate` (crate `tidegate-cli`) has it as `tidegate redis
//!   ls`, `show`, `reset` and `set`.
//! * [`RedisStore::stats`] and the `stats` of each limiter count without any feature.
//!
//! # Metrics and events
//!
//! The feature `metrics` counts for the program's recorder. `describe_metrics()` gives it units and
//! help texts.
//!
//! | metric | type | labels | recorded |
//! |---|---|---|---|
//! | `rate_limiter.shared.calls` | counter | `limiter`, `outcome` | for each call of a limiter that takes tokens; not for calls that a lease admits on this node |
//! | `rate_limiter.shared.duration` | histogram, seconds | `limiter` | the time until the server's answer, with the wait for a turn; not if there was none |
//! | `rate_limiter.shared.failures` | counter | `store`, `kind` | calls without an answer, or with an error |
//! | `rate_limiter.shared.outages` | counter | `store` | when a breaker opens |
//! | `rate_limiter.shared.open` | gauge | `store` | breakers that are open now: at most 1 for a server, 64 for a cluster |
//! | `rate_limiter.shared.lease.tokens` | counter | `limiter`, `flow` | tokens of leases |
//! | `rate_limiter.shared.lease.held` | gauge | `limiter` | tokens that this node held after its last refill |
//!
//! | label | values |
//! |---|---|
//! | `limiter` | the name of the bucket, combination or table |
//! | `store` | the [prefix](StoreBuilder::prefix) |
//! | `outcome` | `admitted`, `denied`, `denied_from_cache`; without the server `open_admitted`, `local_admitted`, `local_denied`, `unavailable`: the fields of [`LimitStats`] |
//! | `kind` | `timeout`, `error`, `released` (another call found the server down) |
//! | `flow` | `granted`, `returned`, `expired` |
//!
//! A series begins with its first count. Buckets of one name share a series. No label contains a
//! key of a table. The dashboard `examples/grafana/tidegate-shared.json` of the repository shows
//! all of them.
//!
//! The feature `tracing` emits two events with the target `tidegate`: at level WARN when the server
//! stops answering, with the fields `store` and `cause`, and at level INFO when it answers again,
//! with `lasted`.
//!
//! # Sizing leases
//!
//! Other nodes cannot use the tokens of a lease. No batch makes the leases of a bucket hold more
//! than half of its capacity, but each node gets what a call waits for. A batch covers the demand
//! of its node for 10 to 80 ms. A node without demand keeps what one of its calls usually asks for,
//! and gives the rest back. So:
//!
//! * The capacity must be at least twice the number of nodes, for calls of 1, or quiet nodes are
//!   refused at first. Below ten tokens per node call the bucket instead.
//! * One node can take up to half of the capacity in each interval. For a rate that one node is to
//!   use alone, choose a capacity of at least twice the rate times the interval: 1 000 for 50 000
//!   per second.
//! * [`LeaseOptions::ttl`] is how long a node continues without the server. The tokens of a dead
//!   node are lost for at most a quarter longer: seconds.
//! * [`LeaseOptions::refill_interval`] is how often a node asks while tokens are scarce. A longer
//!   interval means fewer calls, larger batches and longer waits.
//! * While tokens are scarce, the first node to ask gets what is available, but none starves. After
//!   a quarter of a time to live, the nodes that were refused come first. Until each of them has
//!   what its call asks for, no batch takes that, and no node that had its turn gets more.
//! * So a call for `n` tokens, at most half of the capacity, waits for at most two such rounds. A
//!   round takes a quarter of a time to live, and the refill of `n` tokens and of one call of every
//!   other node. Calls of the bucket itself do not take turns. A node that dies while it waits
//!   keeps its turn for a time to live.
//! * The server's time for a refill does not depend on the number of nodes. Its memory is about 80
//!   bytes for each node that holds a lease.
//! * From 130 nodes of one bucket on, choose a longer [`LeaseOptions::refill_interval`]. The
//!   chapter on [scale](docs::scale) has the arithmetic, and fleets of up to 3 000 nodes,
//!   simulated.
//!
//! # Calls to an API
//!
//! A [`RedisApiRateLimiter`] lets a fleet of workers use one quota: requests, tokens, bursts and
//! calls at the same time. It takes the configuration of a [`tidegate::ApiRateLimiter`], and gives
//! the same statuses. Pauses, and what responses tell to remain (feature `http`), count for all
//! nodes. Each call is charged once and settled once, by any node, whatever answers are lost. A
//! worker that dies frees its calls. The example `llm_fleet` shows it.
//!
//! # Without the server
//!
//! One call waits for [`StoreBuilder::timeout`]. From then on the [`FailurePolicy`] decides all
//! calls at once, until the server answers a probe. [`RedisStore::stats`] shows it,
//! [`RedisStore::last_error`] says why, and so does the cause in each error. Leases go on until
//! they end.
//!
//! A server that answers with an error to every write counts as down: a replica, full memory, too
//! few replicas, a failed disk, a script that does not end. So probes write: each sets a key, whose
//! name ends with `:?probe`, for a millisecond. After an answer of a replica the connection is made
//! anew at once, because a name or a proxy may lead to another server by now. One that stopped
//! carrying data without being closed is replaced after two probes, in a cluster after ten.
//!
//! An error that concerns one limit only, such as a key that holds something else or a missing
//! right, does not count as an outage. The policy decides that limit's calls, leases included.
//!
//! What a node's share admitted leaves the bucket empty at most, when it is reported: the bucket
//! refilled meanwhile, so nothing is paid for twice.

#![allow(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "the crate needs the standard library anyway"
)]

mod acquire;
mod admitted;
mod api;
mod base_key;
mod breaker;
mod combined;
mod connection;
mod denial_cache;
#[cfg(doc)]
pub mod docs;
mod error;
mod error_class;
pub mod inspect;
mod keyed;
#[cfg(feature = "tower")]
mod label;
#[cfg(feature = "tower")]
mod layer;
mod lease;
mod limits;
mod live_limit;
mod live_quota;
mod local_shares;
mod missing;
mod node_name;
mod observer;
mod options;
mod ping_error;
mod policy;
mod quota_record;
mod scaled_limit;
mod scaled_quota;
mod scaled_window;
mod script;
mod semaphore;
mod server_info;
mod shared_limit;
#[cfg(tidegate_simulation)]
pub mod simulation;
mod sliding_window;
mod stats;
mod store;
mod sync;
mod table_quotas;
mod take_call;
mod time;
mod token_bucket;
mod unavailable;
mod unless;
mod unreported;
mod wait_line;

pub use acquire::Acquire;
pub use admitted::{Admitted, AdmittedBy};
pub use api::{
    ApiAcquire, ApiError, ApiShared, CallEnding, CallId, Delivery, ParseCallIdError,
    RedisApiRateLimiter, RedisApiRateLimiterBuilder, RedisTokenPermit,
};
pub use combined::RedisCombined;
pub use connection::Connection;
pub use error::{AcquireError, BuildError, SetQuotaError};
pub use keyed::RedisKeyed;
#[cfg(feature = "tower")]
pub use layer::{key_bytes::KeyBytes, redis_per_key::RedisPerKey};
pub use lease::lease_options::LeaseOptions;
pub use lease::leased_token_bucket::LeasedTokenBucket;
#[cfg(feature = "metrics")]
pub use observer::describe_metrics;
pub use options::LimiterOptions;
pub use ping_error::PingError;
pub use policy::FailurePolicy;
pub use scaled_quota::ScaleError;
pub use semaphore::options::SemaphoreOptions;
pub use semaphore::permit::SemaphorePermit;
pub use semaphore::redis_semaphore::RedisSemaphore;
pub use server_info::{ServerInfo, ServerKind, ServerRole};
pub use shared_limit::{Quotas, SharedLimit};
pub use sliding_window::RedisSlidingWindow;
pub use stats::{LeaseStats, LimitStats, SemaphoreStats, StoreStats};
pub use store::{RedisStore, StoreBuilder};
pub use token_bucket::RedisTokenBucket;

/// Compiles the code in the README, which shows a layer, too.
#[cfg(all(doctest, feature = "tower"))]
#[doc = include_str!("../README.md")]
struct Readme;
