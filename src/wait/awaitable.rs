//! Code over any limiter that futures can wait at.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;
use core::time::Duration;

#[cfg(feature = "std")]
use super::AcquireInLine;
use super::{Acquire, Timer};
use crate::clock::Clock;
#[cfg(feature = "std")]
use crate::combined::Combined;
use crate::denied::Denied;
use crate::limiter::Limiter;
#[cfg(feature = "std")]
use crate::sliding_window::SlidingWindow;
use crate::token_bucket::TokenBucket;

/// A limiter that futures can wait at: a bucket; with the feature `std` a window or a combination; or a pointer to one.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Awaitable, Denied, ManualClock, Quota, Timer, TokenBucket};
///
/// async fn twice<L: Awaitable, T: Timer + Clone>(limiter: &L, timer: T) -> Result<(), Denied> {
///     limiter.wait_for(timer.clone(), 1, Duration::MAX).await?;
///     limiter.wait_for(timer, 1, Duration::MAX).await
/// }
///
/// let clock = ManualClock::new();
/// let bucket = TokenBucket::with_clock(Quota::per_second(1), clock.clone());
/// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// runtime.block_on(twice(&bucket, timer))?;
/// assert_eq!(bucket.wait_time(1), Some(Duration::from_secs(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Awaitable: Limiter {
    /// The future that waits.
    type Wait<'a, T: Timer>: Future<Output = Result<(), Denied>>
    where
        Self: 'a;

    /// Takes `n` permits, asleep on `timer` for at most `timeout` until they are there: the limiter's `acquire_timeout_with`.
    fn wait_for<T: Timer>(&self, timer: T, n: u64, timeout: Duration) -> Self::Wait<'_, T>;
}

impl<C: Clock> Awaitable for TokenBucket<C> {
    type Wait<'a, T: Timer>
        = Acquire<'a, C, T>
    where
        Self: 'a;

    fn wait_for<T: Timer>(&self, timer: T, n: u64, timeout: Duration) -> Acquire<'_, C, T> {
        self.acquire_timeout_with(timer, n, timeout)
    }
}

#[cfg(feature = "std")]
macro_rules! in_line {
    ($($limiter:ident),*) => {$(
        impl<C: Clock> Awaitable for $limiter<C> {
            type Wait<'a, T: Timer> = AcquireInLine<'a, Self, T> where Self: 'a;

            fn wait_for<T: Timer>(&self, timer: T, n: u64, timeout: Duration) -> AcquireInLine<'_, Self, T> {
                self.acquire_timeout_with(timer, n, timeout)
            }
        }
    )*};
}
#[cfg(feature = "std")]
in_line!(SlidingWindow, Combined);

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<L: Awaitable + ?Sized> Awaitable for $pointer {
            type Wait<'a, T: Timer> = L::Wait<'a, T> where Self: 'a;

            fn wait_for<T: Timer>(&self, timer: T, n: u64, timeout: Duration) -> L::Wait<'_, T> {
                (**self).wait_for(timer, n, timeout)
            }
        }
    )*};
}
forward!(&L, Box<L>, Arc<L>);
