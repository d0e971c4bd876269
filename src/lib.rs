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
//! | "at most N in any minute", as a provider counts | [`SlidingWindow`] | no interval of that length ever holds more |
//! | code for any of them | [`Limiter`] | peek, charge and undo at one clock reading |
//!
//! # Guarantees
//!
//! Each holds for any number of threads and any interleaving.
//!
//! * **Bound.** A bucket admits at most capacity + rate · (b − a) over any interval `[a, b]` of decision times, a window at
//!   most its limit in any interval of its length.
//! * **No false refusal.** A bucket refuses `n` only if fewer than `n` were there 2 ns before; a window only if the last window
//!   and slot were full. (Capacities above 18 years of refill: 110 ns.)
//! * **Exact rates**, from one per centuries to 10¹² per second, without drift: see [`TokenBucket`].
//! * **Honest hints.** Waiting exactly `retry_after` succeeds if nobody else comes; 1 ns less does not.
//! * **Lock-free.** No operation but a wait blocks, and a refusal writes nothing to shared memory. (The first caller in a
//!   window's slot moves it on for all; the first use of the [`DefaultClock`] calibrates it.)
//! * **Fair waits.** A bucket's waiters are served first come, first served, sleep once, and know their delay beforehand.
//! * **No surprises.** No panic, overflow or wrap for any input that a constructor accepted; a clock that steps back never
//!   admits more.
//!
//! # Features
//!
//! | feature | default | what for |
//! |---|---|---|
//! | `std` | yes | clocks of the operating system, blocking waits; without it the crate is `no_std` + `alloc` |
//! | `quanta` | yes | [`DefaultClock`] reads the TSC where the operating system trusts it |
//! | `serde` | no | [`Quota`] in configuration files |
//! | `fallback` | no | targets without a 64-bit compare-and-swap |
//!
//! The minimum supported Rust version is 1.85.

#![no_std]
#![cfg_attr(docsrs_tidegate, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod sync;

mod time;

mod quota;

mod denied;

mod prospect;

mod gcra;
mod window;

mod clock;

mod limiter;

mod tat;
mod token_bucket;

mod ring;
mod sliding_window;

mod combined;

mod wait;

mod api;
#[cfg(feature = "global")]
mod global;
mod rate_limited;

pub use api::{
    ApiRateLimiter, ConfigError, ConfigErrorKind, LimitKind, RateLimitConfig, RateLimitStats,
    RateLimitStatus, TokenEstimate, TokenPermit, TokenUsage,
};
pub use clock::{Clock, DefaultClock, ManualClock};
#[cfg(feature = "std")]
pub use clock::{CoarseClock, MonotonicClock};
pub use combined::{
    Combined, CombinedBuilder, CombinedCharge, CombinedDenied, CombinedStart, Limit,
};
pub use denied::Denied;
#[cfg(feature = "global")]
pub use global::{configure_rate_limiter, get_rate_limiter};
pub use limiter::Limiter;
pub use quota::{ParseQuotaError, ParseQuotaErrorKind, Quota, QuotaError};
pub use rate_limited::{RateLimited, rate_limited};
pub use sliding_window::{SlidingWindow, WindowCharge};
pub use time::Timestamp;
pub use token_bucket::{BucketCharge, TokenBucket};
#[cfg(feature = "tokio")]
pub use wait::TokioTimer;
pub use wait::{Reservation, Timer};
pub use window::WindowError;

#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
mod readme {}
