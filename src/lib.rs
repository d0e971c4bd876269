//! Rate limiters that are exact, strict and lock-free.
//!
//! ```
//! use core::time::Duration;
//! use tidegate::{Denied, ManualClock, Quota, TokenBucket};
//!
//! let clock = ManualClock::new(); // a real program: `TokenBucket::new(quota)`
//! let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(2), clock.clone());
//!
//! assert!(bucket.try_acquire(1).is_ok());
//! assert!(bucket.try_acquire(1).is_ok());
//! match bucket.try_acquire(1) {
//!     Err(Denied::NotYet { retry_after }) => clock.advance(retry_after), // exactly 100 ms
//!     other => panic!("the bucket was empty: {other:?}"),
//! }
//! assert!(bucket.try_acquire(1).is_ok());
//! ```
//!
//! # Which limiter?
//!
//! | for | use | because |
//! |---|---|---|
//! | a steady rate with bursts | [`TokenBucket`] | one atomic word, exact at any rate; credits, debts, reservations |
//! | the same, millions of calls per second from many threads | [`ShardedTokenBucket`] | threads take tokens in batches, under the same bound |
//! | "at most N in any minute", as providers count | [`SlidingWindow`] | no interval of that length ever holds more |
//! | several limits behind one call | [`Combined`] | all are charged or none, and a refusal names the limit |
//! | a limiter for every user, tenant or route | [`Keyed`] | any limiter per key, tiers, memory that follows the keys in use |
//! | a limiter in each value of a `DashMap` that you keep anyway | [`DashKeyed`] | the map stays yours: sessions, connections, tenants |
//! | a bucket for every address, and floods of them | [`FixedKeyed`] | a lock-free table of fixed size, no allocation |
//! | an HTTP or gRPC server, or its clients | [`RateLimitLayer`], [`PaceLayer`] | tower layers over any of these, with header fields |
//! | keys that have failed too often, such as log-ins of a user | `PenaltyBox` | locked out for a while; attempts at once are bounded |
//! | what is done at the same time: requests, connections, jobs | `InFlight` | permits that come back; beside the rates of a layer, too |
//! | calls to an API with quotas on requests and tokens | [`ApiRateLimiter`] | minute, hour, burst and tokens, pauses, backoff, permits |
//! | a limit that is tried on live traffic, and refuses nothing yet | [`Shadow`], [`KeyedShadow`] | counts where it would decide otherwise |
//! | the keys that are refused most often | [`MostDenied`] | bounded memory, stated error |
//! | code that is generic over limiters | [`Limiter`] | peek, charge and undo at one clock reading |
//!
//! [`docs::design`] explains how they work. Calls can wait at each of them, and at one key of a
//! table: see [waits](#waits).
//!
//! # Guarantees
//!
//! They hold for any number of threads and any interleaving. The decision time of a call lies
//! between its start and its return.
//!
//! * **Bound.** A bucket admits at most capacity + rate · (b − a) over any interval `[a, b]` of
//!   decision times. A window admits at most its limit in any interval of its length.
//! * **No false refusal.** A [`TokenBucket`] refuses `n` only if fewer than `n` were available 2 ns
//!   before, or 170 ns with a capacity above 9 years of refill. A sharded bucket may refuse with up
//!   to an eighth of its capacity more. A window refuses only if the last window and slot were
//!   full.
//! * **Exact rates**, from one per 584 years to 10¹² per second, without drift: see
//!   [`TokenBucket`].
//! * **Honest hints.** After exactly the `retry_after` of a [`Denied::NotYet`], the call succeeds
//!   if no other call comes in between. Waiting 1 ns less is not enough. A call that could not wait
//!   behind others learns the whole wait.
//! * **All or nothing.** A call that a combination refuses has charged none of its limits. The
//!   exception, a charge that a lost race leaves behind, is counted ([`Combined::forfeited`]).
//! * **Lock-free.** No operation except a wait blocks. A refusal by a [`TokenBucket`] writes
//!   nothing to shared memory, apart from rare housekeeping. The other types state their
//!   exceptions.
//! * **Bounded memory.** A [`Keyed`] or [`FixedKeyed`] never holds more keys than its maximum.
//!   Evicting a key grants no tokens, and [`Overflow`] decides about a key without room.
//! * **Fair waits.** Threads and futures that wait at a limiter are served first come, first
//!   served, in one queue. Nothing is charged before the admission, so a waiter that leaves costs
//!   the others nothing. A timeout that cannot be met, with the waiters ahead, is refused before
//!   sleeping. Calls that do not wait may overtake the queue.
//! * **Late timers** cost no part of a bucket's rate while they are late by at most the slack, 2 ms
//!   by default. In real time, waiters then exceed a bucket's bound by at most rate · slack.
//! * **No surprises.** No input that a constructor accepted panics, overflows or wraps. A clock
//!   that steps back never admits more.
//!
//! Exceptions to lock-freedom: the first use of the [`DefaultClock`] calibrates it. [`Keyed`] and
//! [`DashKeyed`] find a key under a shared lock of a part of their table. The first call of a
//! thread to a [`Keyed`] numbers the thread under a lock. Waiters lock their queue. So do the calls
//! that wake the first waiter, if there is one: resets, credits, undos, [`ApiRateLimiter::resume`],
//! and the end of a [`TokenPermit`].
//!
//! # Waits
//!
//! | to wait for | call | returns |
//! |---|---|---|
//! | permits of a limiter | `limiter.acquire(n)` | [`Acquire`]: `Result<(), Denied>` |
//! | the same, `'static` | `Acquire::new(arc, n)` | [`Acquire`] |
//! | a key of a [`Keyed`], [`FixedKeyed`] or [`DashKeyed`] | `table.acquire(&key, n)`, or `Acquire::new(table.at(&key), n)` | [`Acquire`] |
//! | a request to an API | `api.acquire()` | [`AcquireRequest`]: [`RateLimitStatus`] |
//! | a request and its tokens | `api.acquire_tokens(estimate)` | [`AcquireTokens`]: `Result<TokenPermit, RateLimitStatus>` |
//!
//! All of them are builders. `.timeout(duration)` bounds the wait. `.await` waits in a future, on
//! the timer of the runtime ([`DefaultTimer`]) or on that of `.timer(timer)`. `.wait()` blocks the
//! thread instead, and needs no timer. [`PaceLayer`], [`PacedStream`], [`PacedSink`] and
//! [`Throttled`] wait in the same queues.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use core::time::Duration;
//! use tidegate::{Denied, ManualClock, Quota, TokenBucket};
//!
//! let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(1), ManualClock::new());
//! bucket.acquire(1).wait()?; // at once; in async code: `bucket.acquire(1).await?`
//! let refused = bucket.acquire(1).timeout(Duration::from_millis(99)).wait(); // before sleeping
//! assert_eq!(refused, Err(Denied::NotYet { retry_after: Duration::from_millis(100).into() }));
//! # }
//! # Ok::<(), tidegate::Denied>(())
//! ```
//!
//! [The design](docs::design#waits) says what a late timer, a waiter that leaves and a waiter that
//! stalls cost.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `std` | yes | operating system clocks, and all waits; without it the crate is `no_std` with `alloc`, and [`TokenBucket::reserve`] tells instants |
//! | `quanta` | yes | [`DefaultClock`] reads the TSC where the operating system trusts it |
//! | `global` | yes | [`get_rate_limiter`]: one [`ApiRateLimiter`] for the process |
//! | `tokio` | no | `acquire().await` on tokio's timer, [`Throttled`] for its readers and writers, and [`TokioClock`] for tests under `tokio::time::pause` |
//! | `async-io` | no | `acquire().await` on async-io's timer, in smol and every other runtime |
//! | `futures-timer` | no | `acquire().await` on a timer with its own thread, in every runtime |
//! | `futures` | no | [`PacedStream`] and [`PacedSink`]: items that wait for a limiter; [`Throttled`]: bytes that wait |
//! | `http` | no | `ApiRateLimiter::observe_response` and `observe_body` read a provider's responses |
//! | `tower` | no | [`tidegate::layer`]: layers for axum, tonic, hyper and clients |
//! | `rules` | no | `layer::Rules`: the limits of a layer from a file of TOML, YAML or JSON, reloaded while in use |
//! | `dashmap` | no | [`DashKeyed`]: a table over a `DashMap` of yours |
//! | `metrics` | no | counters of the layers' decisions and of tables of keys |
//! | `tracing` | no | an event for each refusal of a layer |
//! | `macros` | no | the attribute `#[rate_limited]`; on an `async fn` together with one of the three timers |
//! | `serde` | no | [`Quota`] and [`RateLimitConfig`] in configuration files; [saved](Saved) states |
//! | `fallback` | no | targets without a 64-bit compare-and-swap |
//!
//! The minimum supported Rust version is 1.85. [`docs::aios`] maps every call of the AIOS rate
//! limiting system to this crate, and [`docs::measured`] shows these limiters beside others.
//! [`docs::many_keys`] is about tables of keys, [`docs::changing_limits`] about limits that change
//! while they are used, and [`docs::restarts`] about limits that outlive their process.
//!
// Links to items behind features lead to the table of features where the feature is off.
#![cfg_attr(
    feature = "std",
    doc = "[`Keyed`]: Keyed\n[`MostDenied`]: MostDenied\n[`ShardedTokenBucket`]: ShardedTokenBucket"
)]
#![cfg_attr(
    not(feature = "std"),
    doc = "[`Keyed`]: #features\n[`MostDenied`]: #features\n[`ShardedTokenBucket`]: #features"
)]
#![cfg_attr(
    feature = "std",
    doc = "[`Acquire`]: Acquire\n[`AcquireRequest`]: AcquireRequest\n[`AcquireTokens`]: AcquireTokens\n[`DefaultTimer`]: DefaultTimer"
)]
#![cfg_attr(
    not(feature = "std"),
    doc = "[`Acquire`]: #features\n[`AcquireRequest`]: #features\n[`AcquireTokens`]: #features\n[`DefaultTimer`]: #features"
)]
#![cfg_attr(
    not(feature = "std"),
    doc = "[`docs::many_keys`]: #features\n[`docs::changing_limits`]: #features"
)]
#![cfg_attr(feature = "dashmap", doc = "[`DashKeyed`]: DashKeyed")]
#![cfg_attr(not(feature = "dashmap"), doc = "[`DashKeyed`]: #features")]
#![cfg_attr(feature = "global", doc = "[`get_rate_limiter`]: get_rate_limiter")]
#![cfg_attr(not(feature = "global"), doc = "[`get_rate_limiter`]: #features")]
#![cfg_attr(feature = "tokio", doc = "[`TokioClock`]: TokioClock")]
#![cfg_attr(not(feature = "tokio"), doc = "[`TokioClock`]: #features")]
#![cfg_attr(
    feature = "futures",
    doc = "[`PacedStream`]: PacedStream\n[`PacedSink`]: PacedSink"
)]
#![cfg_attr(
    not(feature = "futures"),
    doc = "[`PacedStream`]: #features\n[`PacedSink`]: #features"
)]
#![cfg_attr(
    any(feature = "futures", feature = "tokio"),
    doc = "[`Throttled`]: Throttled"
)]
#![cfg_attr(
    not(any(feature = "futures", feature = "tokio")),
    doc = "[`Throttled`]: #features"
)]
#![cfg_attr(
    feature = "tower",
    doc = "[`RateLimitLayer`]: crate::layer::RateLimitLayer\n[`PaceLayer`]: crate::layer::PaceLayer\n[`tidegate::layer`]: crate::layer"
)]
#![cfg_attr(
    not(feature = "tower"),
    doc = "[`RateLimitLayer`]: #features\n[`PaceLayer`]: #features\n[`tidegate::layer`]: #features"
)]
#![no_std]
#![cfg_attr(docsrs_tidegate, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", tidegate_loom))]
extern crate std;

mod all_or_none;
mod all_or_nothing;
mod api;
mod clock;
mod combined;
mod denied;
mod gcra;
#[cfg(feature = "global")]
mod global;
#[cfg(any(feature = "std", tidegate_loom))]
mod in_flight;
mod keyed;
mod limiter;
mod prepared_charge;
mod quota;
mod rate_limited;
mod retry_after;
mod save;
mod shadow;
#[cfg(any(feature = "std", tidegate_loom))]
mod sharded;
mod sliding_window;
mod snapshot;
mod sync;
mod time;
mod token_bucket;
mod wait;

#[cfg(feature = "tower")]
pub mod layer;

/// For `tidegate-redis` alone.
#[doc(hidden)]
pub use api::fleet as __fleet;

#[cfg(any(feature = "std", tidegate_loom))]
pub use all_or_nothing::Each;
pub use all_or_nothing::{AllOrNothing, TupleDenied};
#[cfg(any(feature = "std", tidegate_loom))]
pub use api::{AcquireRequest, AcquireTokens};
pub use api::{
    ApiRateLimiter, ApiRateLimiterBuilder, ConfigError, ConfigErrorKind, LimitKind, LimitMessage,
    ParseConfigError, ParseConfigErrorKind, RateLimitConfig, RateLimitStats, RateLimitStatus,
    TokenEstimate, TokenPermit, TokenUsage,
};
#[cfg(feature = "tokio")]
pub use clock::TokioClock;
pub use clock::{Clock, DefaultClock, ManualClock};
#[cfg(feature = "std")]
pub use clock::{CoarseClock, MonotonicClock};
#[cfg(any(feature = "std", tidegate_loom))]
pub use combined::ChangeError;
pub use combined::{
    Combined, CombinedBuilder, CombinedCharge, CombinedDenied, CombinedStart, Limit,
};
pub use denied::Denied;
#[cfg(feature = "global")]
pub use global::{configure_rate_limiter, get_rate_limiter};
#[cfg(any(feature = "std", tidegate_loom))]
pub use in_flight::{InFlight, InFlightPermit};
#[cfg(feature = "dashmap")]
pub use keyed::{DashKeyCharge, DashKeyed, KnownKeys, NewKeys};
#[cfg(feature = "std")]
pub use keyed::{
    DeniedKey, DeniedKeys, KeyCharge, Keyed, KeyedBuilder, KeyedStats, MostDenied, PenaltyBox,
    PenaltyCharge, TrackDenied,
};
pub use keyed::{
    FixedKey, FixedKeyCharge, FixedKeyed, FixedKeyedStats, IpKey, Ipv6Prefix, Ipv6PrefixError,
    KeyDigest, KeyDigester, KeyHash, KeyHasher, KeyView, KeyedLimiter, Overflow, OwnedKey,
};
pub use limiter::Limiter;
pub use quota::{ParseQuotaError, ParseQuotaErrorKind, Quota, QuotaError};
pub use rate_limited::{RateLimited, rate_limited};
pub use retry_after::RetryAfter;
pub use save::{
    ApiState, BucketLevel, CombinedState, LimitState, RestoreError, RestoreTableError, Savable,
    Saved, TableHeader, TableRecord, UnixTime, WindowState,
};
pub use shadow::{KeyedShadow, Shadow, ShadowCharge, ShadowCounts, ShadowDecision, ShadowStats};
#[cfg(any(feature = "std", tidegate_loom))]
pub use sharded::ShardedTokenBucket;
pub use sliding_window::{SlidingWindow, WindowCharge, WindowError};
pub use snapshot::{QuotaUnit, Snapshot};
/// Puts a function behind a limiter: every call is a request, and waits while it is limited.
///
/// For closures, and for calls that should be refused instead of waiting, use the function
/// [`rate_limited`](fn@rate_limited). `use tidegate::rate_limited` imports both.
///
/// ```
/// use std::sync::LazyLock;
/// use tidegate::{ApiRateLimiter, rate_limited};
///
/// static LIMITER: LazyLock<ApiRateLimiter> = LazyLock::new(ApiRateLimiter::default);
///
/// #[rate_limited(LIMITER)]
/// fn shout(text: &str) -> String {
///     text.to_uppercase()
/// }
///
/// assert_eq!(shout("hello"), "HELLO");
/// assert_eq!(LIMITER.stats().total_requests, 1);
/// ```
///
/// A method of a client that owns a limiter, with a callback before each wait. Here the callback
/// advances a manual clock:
///
/// ```
/// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig, rate_limited};
///
/// struct Client {
///     limiter: ApiRateLimiter<ManualClock>,
/// }
///
/// impl Client {
///     #[rate_limited(
///         self.limiter,
///         on_limited = |status| self.limiter.clock().advance(status.wait_time())
///     )]
///     fn ask(&self, question: &str) -> usize {
///         question.len()
///     }
/// }
///
/// let config = RateLimitConfig { burst_size: 1, ..RateLimitConfig::DEFAULT };
/// let limiter = ApiRateLimiter::with_clock(config, ManualClock::new())?;
/// let client = Client { limiter };
/// assert_eq!(client.ask("why?"), 4);
/// assert_eq!(client.ask("why not?"), 8); // after a wait
/// assert_eq!(client.limiter.stats().total_requests, 2);
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
///
/// An `async fn`, with one of the features `tokio`, `async-io` and `futures-timer`:
///
/// ```
/// # #[cfg(all(
/// #     any(feature = "tokio", feature = "async-io", feature = "futures-timer"),
/// #     feature = "global"
/// # ))]
/// # fn main() {
/// use tidegate::rate_limited;
///
/// #[rate_limited(tidegate::get_rate_limiter())]
/// async fn fetch(page: u32) -> u32 {
///     page + 1
/// }
///
/// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// assert_eq!(runtime.block_on(fetch(6)), 7);
/// # }
/// # #[cfg(not(all(
/// #     any(feature = "tokio", feature = "async-io", feature = "futures-timer"),
/// #     feature = "global"
/// # )))]
/// # fn main() {}
/// ```
#[cfg(feature = "macros")]
pub use tidegate_macros::rate_limited;
pub use time::Timestamp;
pub use token_bucket::{BucketCharge, TokenBucket};
#[cfg(feature = "futures-timer")]
pub use wait::FuturesTimer;
pub use wait::Reservation;
#[cfg(any(feature = "futures", feature = "tokio"))]
pub use wait::Throttled;
#[cfg(feature = "tokio")]
pub use wait::TokioTimer;
#[cfg(any(feature = "std", tidegate_loom))]
pub use wait::{Acquire, Awaitable, DefaultTimer, Timer};
#[cfg(feature = "async-io")]
pub use wait::{AsyncIoSleep, AsyncIoTimer};
#[cfg(feature = "futures")]
pub use wait::{PacedSink, PacedStream};

/// What models need besides the public names.
#[cfg(tidegate_loom)]
pub(crate) mod modelled {
    pub(crate) use crate::api::modelled::{Ask, Provider, Seen, Unit};
    pub(crate) use crate::gcra::{AtomicTat, Gcra, Handover, Leased};
    pub(crate) use crate::sync::{Ticket, Turn, WaitQueue};
    pub(crate) use crate::wait::sealed::Waits;
    pub(crate) use crate::wait::{Hold, Instants};
}

/// Chapters: the design, many keys, changing limits, rules from files, restarts, measurements, and
/// the AIOS system call by call.
#[cfg(doc)]
pub mod docs;

#[cfg(all(doctest, feature = "tokio", feature = "rules"))]
#[doc = include_str!("../README.md")]
mod readme {}
