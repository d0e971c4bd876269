//! Waits on the timer that a feature selects.
#![cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]

use core::time::Duration;

use super::acquire::Acquire;
use crate::clock::Clock;
use crate::combined::Combined;
use crate::sharded::ShardedTokenBucket;
use crate::sliding_window::SlidingWindow;
use crate::token_bucket::TokenBucket;

/// The timer of `acquire`: tokio's, async-io's or futures-timer's, the first whose feature is on.
#[cfg(all(feature = "async-io", not(feature = "tokio")))]
pub use super::AsyncIoTimer as DefaultTimer;
/// The timer of `acquire`: tokio's, async-io's or futures-timer's, the first whose feature is on.
#[cfg(not(any(feature = "tokio", feature = "async-io")))]
pub use super::FuturesTimer as DefaultTimer;
/// The timer of `acquire`: tokio's, async-io's or futures-timer's, the first whose feature is on.
#[cfg(feature = "tokio")]
pub use super::TokioTimer as DefaultTimer;

macro_rules! on_default_timer {
    ($($limiter:ident),*) => {$(
        impl<C: Clock> $limiter<C> {
            /// [`acquire_with`](Self::acquire_with) the [`DefaultTimer`]. Needs one of the features
            /// `tokio`, `async-io` and `futures-timer`.
            ///
            /// The future borrows the limiter. [`Acquire::new`] makes one that owns an `Arc`, for a
            /// spawned task.
            pub const fn acquire(&self, n: u64) -> Acquire<&Self, DefaultTimer> {
                self.acquire_with(DefaultTimer, n)
            }

            /// [`acquire_timeout_with`](Self::acquire_timeout_with) the [`DefaultTimer`].
            pub const fn acquire_timeout(&self, n: u64, timeout: Duration) -> Acquire<&Self, DefaultTimer> {
                self.acquire_timeout_with(DefaultTimer, n, timeout)
            }
        }
    )*};
}
on_default_timer!(TokenBucket, SlidingWindow, Combined, ShardedTokenBucket);
