//! A function behind a limiter.

use core::fmt;
#[cfg(feature = "std")]
use core::future::Future;
use core::ops::Deref;

use crate::api::{ApiRateLimiter, RateLimitStats, RateLimitStatus};
use crate::clock::Clock;
#[cfg(feature = "std")]
use crate::wait::Timer;

/// Puts a function behind a limiter, so that every call is a request.
///
/// The limiter may be a reference, an `Arc`, or any other pointer to one. Pass several arguments as
/// a tuple. The attribute `#[rate_limited]` (feature `macros`) does the same for a whole function.
///
/// ```
/// # #[cfg(feature = "std")]
/// # fn run() -> Result<(), tidegate::ConfigError> {
/// use core::cell::Cell;
/// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig, rate_limited};
///
/// let config = RateLimitConfig { burst_size: 1, ..RateLimitConfig::DEFAULT };
/// let limiter = ApiRateLimiter::with_clock(config, ManualClock::new())?;
/// let refusals = Cell::new(0);
/// let shout = rate_limited(&limiter, |text: &str| text.to_uppercase())
///     .on_limited(|_| refusals.set(refusals.get() + 1));
///
/// assert_eq!(shout.call("hello"), "HELLO"); // would wait if limited
/// assert!(shout.try_call("again").is_err()); // does not wait
/// assert_eq!(refusals.get(), 1);
/// assert_eq!(shout.stats().total_requests, 1);
/// # Ok(())
/// # }
/// # #[cfg(feature = "std")]
/// # run().unwrap();
/// ```
pub const fn rate_limited<L, F>(limiter: L, function: F) -> RateLimited<L, F> {
    RateLimited {
        limiter,
        function,
        on_limited: ignore,
    }
}

const fn ignore(_: &RateLimitStatus) {}

/// A function behind a limiter; [`rate_limited`] creates it.
#[derive(Clone, Copy)]
#[must_use = "the function runs only when it is called"]
pub struct RateLimited<L, F, N = fn(&RateLimitStatus)> {
    limiter: L,
    function: F,
    on_limited: N,
}

impl<L, F, N> RateLimited<L, F, N> {
    /// Calls `notify` each time a call is limited, before it waits or is refused.
    pub fn on_limited<M: Fn(&RateLimitStatus)>(self, notify: M) -> RateLimited<L, F, M> {
        RateLimited {
            limiter: self.limiter,
            function: self.function,
            on_limited: notify,
        }
    }
}

impl<L, C, F, N> RateLimited<L, F, N>
where
    L: Deref<Target = ApiRateLimiter<C>>,
    C: Clock,
    N: Fn(&RateLimitStatus),
{
    /// Sleeps until the limiter admits the call, and calls the function.
    #[cfg(feature = "std")]
    pub fn call<A, R>(&self, argument: A) -> R
    where
        F: Fn(A) -> R,
    {
        self.limiter.pass_blocking(&self.on_limited);
        (self.function)(argument)
    }

    /// Calls the function if the limiter admits it now.
    ///
    /// # Errors
    ///
    /// The [`RateLimitStatus`] with the limit that refused. The function was not called, and the
    /// argument is dropped.
    pub fn try_call<A, R>(&self, argument: A) -> Result<R, RateLimitStatus>
    where
        F: Fn(A) -> R,
    {
        let status = self.limiter.try_acquire();
        if status.is_limited {
            (self.on_limited)(&status);
            return Err(status);
        }
        Ok((self.function)(argument))
    }

    /// Waits on the [`DefaultTimer`](crate::DefaultTimer) until the limiter admits the call, and
    /// calls the asynchronous function.
    ///
    /// # Cancel safety
    ///
    /// Nothing is charged before the function is called. After that the future is as cancel safe as
    /// the function.
    #[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
    pub async fn call_async<A, R>(&self, argument: A) -> R::Output
    where
        F: Fn(A) -> R,
        R: Future,
    {
        self.call_async_with(crate::wait::DefaultTimer, argument)
            .await
    }

    /// Waits on `timer` until the limiter admits the call, and calls the asynchronous function.
    ///
    /// # Cancel safety
    ///
    /// Nothing is charged before the function is called. After that the future is as cancel safe as
    /// the function.
    #[cfg(feature = "std")]
    pub async fn call_async_with<T, A, R>(&self, timer: T, argument: A) -> R::Output
    where
        T: Timer,
        F: Fn(A) -> R,
        R: Future,
    {
        self.limiter.until_admitted(timer, &self.on_limited).await;
        (self.function)(argument).await
    }

    /// Returns the statistics of the limiter, which other functions may share.
    pub fn stats(&self) -> RateLimitStats {
        self.limiter.stats()
    }

    /// Returns the limiter.
    pub fn limiter(&self) -> &ApiRateLimiter<C> {
        &self.limiter
    }
}

impl<L: fmt::Debug, F, N> fmt::Debug for RateLimited<L, F, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimited")
            .field("limiter", &self.limiter)
            .finish_non_exhaustive()
    }
}
