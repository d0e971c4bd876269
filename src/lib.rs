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
//! | you want | take | because |
//! |---|---|---|
//! | a steady rate with bursts; callers who wait their turn | [`TokenBucket`] | one word; waiters are served in order and know their delay |
//! | the same at millions of calls per second, from many threads | `ShardedTokenBucket` | each thread takes tokens by the batch; the bound is the same |
//! | "at most N in any minute", as a provider counts | [`SlidingWindow`] | no interval of that length ever holds more |
//! | several of these behind one call | [`Combined`] | a call is charged to all or to none, and a refusal names the limit |
//! | one of these for every user, tenant or route | `Keyed` | any limiter per key, tiers, and memory that follows the keys in use |
//! | a bucket for every address, and floods of them | [`FixedKeyed`] | a lock-free table of fixed size, nothing allocated |
//! | a server of tower that refuses or delays requests | `tower::RateLimitLayer`, `tower::PaceLayer` | any of these, one per key, or several, with header fields |
//! | calls to an API with quotas on requests and tokens | [`ApiRateLimiter`] | minute, hour, burst and tokens, pauses, backoff, permits |
//! | code for any of them | [`Limiter`] | peek, charge and undo at one clock reading |
//!
//! # Guarantees
//!
//! Each holds for any number of threads and any interleaving.
//!
//! * **Bound.** A bucket admits at most capacity + rate · (b − a) over any interval `[a, b]` of decision times, a window at
//!   most its limit in any interval of its length.
//! * **No false refusal.** A bucket refuses `n` only if fewer than `n` were there 2 ns before; a window only if the last window
//!   and slot were full. (Capacities above 9 years of refill: 170 ns.)
//! * **Exact rates**, from one per 584 years to 10¹² per second, without drift: see [`TokenBucket`].
//! * **Honest hints.** Waiting exactly `retry_after` succeeds if nobody else comes; 1 ns less does not.
//! * **All or nothing.** A call that a combination refuses has charged none of its limits; what a lost race leaves charged is
//!   counted ([`Combined::forfeited`]).
//! * **Lock-free.** No operation but a wait blocks, and a refusal writes nothing to shared memory. (The first caller in a
//!   window's slot moves it on for all; the first use of the [`DefaultClock`] calibrates it. `Keyed` finds keys under a shared lock
//!   of a part of its table. [`TokenBucket::reset`] and [`ApiRateLimiter::resume`] lock the list of those whom they wake.)
//! * **Bounded memory.** There are never more keys than was allowed, dropping one never gives anybody tokens that were not
//!   earned, and what happens when there is no room is chosen ([`Overflow`]) and counted.
//! * **Fair waits.** A bucket's waiters are served first come, first served, sleep once, and know their delay beforehand. Futures that
//!   wait at a window or a combination form one line, in which only the first tries again. A timeout that cannot be met is told
//!   before sleeping. Dropping a future that waits gives its place up. It borrows its limiter or owns it ([`Acquire::new`]).
//! * **No surprises.** No panic, overflow or wrap for any input that a constructor accepted; a clock that steps back never
//!   admits more.
//!
//! # Features
//!
//! | feature | default | what for |
//! |---|---|---|
//! | `std` | yes | clocks of the operating system, blocking waits; without it the crate is `no_std` + `alloc` |
//! | `quanta` | yes | [`DefaultClock`] reads the TSC where the operating system trusts it |
//! | `global` | yes | `get_rate_limiter`: one [`ApiRateLimiter`] for the process |
//! | `tokio` | no | `acquire().await` on tokio's timer, and `TokioClock` for tests under `tokio::time::pause` |
//! | `async-io` | no | the same on async-io's timer: smol, and any other runtime |
//! | `futures-timer` | no | the same on a timer with a thread of its own, in any runtime |
//! | `futures` | no | `PacedStream` and `PacedSink`: items that wait for a limiter |
//! | `http` | no | `observe_response`: a provider's headers |
//! | `tower` | no | `tidegate::tower`: layers for axum, tonic, hyper and clients |
//! | `metrics` | no | counters of what the layers decide and of what tables of keys hold |
//! | `tracing` | no | an event for each refusal of a layer |
//! | `macros` | no | the attribute `#[rate_limited]`; on an `async fn` with `tokio` |
//! | `serde` | no | [`Quota`] and [`RateLimitConfig`] in configuration files |
//! | `fallback` | no | targets without a 64-bit compare-and-swap |
//!
//! The minimum supported Rust version is 1.85. Coming from the AIOS rate limiting system? Every call of it is in [`docs::aios`].
//! Pictures of these limiters beside others are in [`docs::measured`].

#![no_std]
#![cfg_attr(docsrs_tidegate, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", tidegate_loom))]
extern crate std;

mod sync;

mod time;

mod quota;

mod denied;

mod snapshot;

mod prepared_charge;

mod gcra;

mod clock;

mod limiter;

mod token_bucket;

mod sliding_window;

mod combined;

#[cfg(any(feature = "std", tidegate_loom))]
mod sharded;

mod keyed;

mod wait;

mod api;
#[cfg(feature = "global")]
mod global;
mod rate_limited;

#[cfg(feature = "tower")]
pub mod tower;

pub use api::{
    ApiRateLimiter, ConfigError, ConfigErrorKind, LimitKind, RateLimitConfig, RateLimitStats,
    RateLimitStatus, TokenEstimate, TokenPermit, TokenUsage,
};
#[cfg(feature = "tokio")]
pub use clock::TokioClock;
pub use clock::{Clock, DefaultClock, ManualClock};
#[cfg(feature = "std")]
pub use clock::{CoarseClock, MonotonicClock};
pub use combined::{
    Combined, CombinedBuilder, CombinedCharge, CombinedDenied, CombinedStart, Limit,
};
pub use denied::Denied;
#[cfg(feature = "global")]
pub use global::{configure_rate_limiter, get_rate_limiter};
pub use keyed::{
    FixedKeyed, FixedKeyedStats, IpKey, Ipv6Prefix, Ipv6PrefixError, KeyDigest, KeyDigester,
    KeyHash, KeyHasher, Overflow,
};
#[cfg(feature = "std")]
pub use keyed::{Keyed, KeyedBuilder, KeyedStats};
pub use limiter::Limiter;
pub use quota::{ParseQuotaError, ParseQuotaErrorKind, Quota, QuotaError};
pub use rate_limited::{RateLimited, rate_limited};
#[cfg(any(feature = "std", tidegate_loom))]
pub use sharded::ShardedTokenBucket;
pub use sliding_window::{SlidingWindow, WindowCharge, WindowError};
pub use snapshot::Snapshot;
/// A function behind a limiter: every call of it is a request, and waits while it is limited.
///
/// For closures, and for calls that should be refused instead of waiting, there is the function
/// [`rate_limited`](fn@rate_limited), which a `use tidegate::rate_limited` brings along.
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
/// A method of a client that has a limiter, and is told when it waits (here on a clock that is moved instead):
///
/// ```
/// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig, rate_limited};
///
/// struct Client {
///     limiter: ApiRateLimiter<ManualClock>,
/// }
///
/// impl Client {
///     #[rate_limited(self.limiter, on_limited = |status| self.limiter.clock().advance(status.wait_time))]
///     fn ask(&self, question: &str) -> usize {
///         question.len()
///     }
/// }
///
/// let config = RateLimitConfig { burst_size: 1, ..RateLimitConfig::DEFAULT };
/// let client = Client { limiter: ApiRateLimiter::with_clock(config, ManualClock::new())? };
/// assert_eq!(client.ask("why?"), 4);
/// assert_eq!(client.ask("why not?"), 8); // after a wait
/// assert_eq!(client.limiter.stats().total_requests, 2);
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
///
/// An `async fn`, with the feature `tokio`:
///
/// ```
/// # #[cfg(all(feature = "tokio", feature = "global"))]
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
/// # #[cfg(not(all(feature = "tokio", feature = "global")))]
/// # fn main() {}
/// ```
#[cfg(feature = "macros")]
pub use tidegate_macros::rate_limited;
pub use time::Timestamp;
pub use token_bucket::{BucketCharge, TokenBucket};
#[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
pub use wait::DefaultTimer;
#[cfg(feature = "futures-timer")]
pub use wait::FuturesTimer;
#[cfg(feature = "tokio")]
pub use wait::TokioTimer;
pub use wait::{Acquire, Awaitable, Reservation, Timer};
#[cfg(feature = "async-io")]
pub use wait::{AsyncIoSleep, AsyncIoTimer};
#[cfg(feature = "futures")]
pub use wait::{PacedSink, PacedStream};

#[cfg(tidegate_loom)]
#[doc(hidden)]
#[allow(missing_docs, reason = "for models")]
pub mod modelled {
    pub use crate::api::modelled::*;
    pub use crate::wait::modelled::*;
}

/// Longer texts.
#[cfg(doc)]
pub mod docs;

#[cfg(all(doctest, feature = "tower"))]
#[doc = include_str!("../README.md")]
mod readme {}
