//! Waits until a request is admitted, in a thread or a future.

use core::time::Duration;

use super::{ApiRateLimiter, RateLimitStatus};
#[cfg(feature = "std")]
use super::{TokenEstimate, TokenPermit};
use crate::clock::Clock;
use crate::time::Timestamp;
use crate::wait::Timer;

/// # Waiting
///
/// Several limits cannot promise a waiter an instant.
///
/// Threads sleep for the wait that they are given and then try again, in no particular order.
///
/// Futures join a wait queue and are served in order of arrival. Only the head tries. It does so
/// when a request could next be admitted, and when permits or tokens come back. It needs no
/// backoff, because it is alone. A head that is neither polled nor dropped blocks the waiters
/// behind it.
///
/// Threads and callers that do not wait are not in the queue and may overtake it. Without the
/// feature `std`, futures wait as threads do, and there is no `acquire_tokens`.
impl<C: Clock> ApiRateLimiter<C> {
    /// Sleeps until a request is admitted. Returns a status that is not limited.
    #[cfg(feature = "std")]
    pub fn acquire_blocking(&self) -> RateLimitStatus {
        self.sleep_until_admitted(None, &|_| ())
    }

    /// Sleeps until a request is admitted, for at most `timeout`.
    ///
    /// Returns a limited status as soon as the request cannot be admitted in time, *before*
    /// sleeping.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig};
    ///
    /// let config = RateLimitConfig { burst_size: 1, ..RateLimitConfig::DEFAULT };
    /// let limiter = ApiRateLimiter::with_clock(config, ManualClock::new())?;
    /// assert!(!limiter.acquire_blocking().is_limited);
    /// // The next is due in 1.2 s, so the call returns at once.
    /// assert!(limiter.acquire_blocking_timeout(Duration::from_secs(1)).is_limited);
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    #[cfg(feature = "std")]
    pub fn acquire_blocking_timeout(&self, timeout: Duration) -> RateLimitStatus {
        let deadline = self.clock().now() + timeout;
        self.sleep_until_admitted(Some(deadline), &|_| ())
    }

    /// [`acquire_blocking`](Self::acquire_blocking) with a callback before each sleep, for
    /// `rate_limited`.
    #[cfg(feature = "std")]
    #[doc(hidden)]
    pub fn pass_blocking(&self, on_limited: &dyn Fn(&RateLimitStatus)) {
        // Without a deadline the request is always admitted in the end.
        let _ = self.sleep_until_admitted(None, on_limited);
    }

    #[cfg(feature = "std")]
    fn sleep_until_admitted(
        &self,
        deadline: Option<Timestamp>,
        on_limited: &dyn Fn(&RateLimitStatus),
    ) -> RateLimitStatus {
        loop {
            let now = self.clock().now();
            let status = self.try_acquire_at(now);
            let left = time_left(deadline, now);
            if !status.is_limited || status.retry_after > left {
                return status;
            }
            on_limited(&status);
            self.clock().sleep_until(now + status.wait_time.min(left));
        }
    }

    /// [`acquire_with`](Self::acquire_with) the [`DefaultTimer`](crate::DefaultTimer).
    #[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
    pub async fn acquire(&self) -> RateLimitStatus {
        self.acquire_with(crate::wait::DefaultTimer).await
    }

    /// [`acquire_timeout_with`](Self::acquire_timeout_with) the
    /// [`DefaultTimer`](crate::DefaultTimer).
    #[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
    pub async fn acquire_timeout(&self, timeout: Duration) -> RateLimitStatus {
        let timer = crate::wait::DefaultTimer;
        self.acquire_timeout_with(timer, timeout).await
    }

    /// Waits in the queue until a request is admitted, on the given timer. Returns a status that is
    /// not limited.
    ///
    /// # Cancel safety
    ///
    /// Nothing is charged before the future is ready. A future that is dropped earlier leaves the
    /// queue, and the waiters behind it move up.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig};
    ///
    /// let clock = ManualClock::new();
    /// let limiter = ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, clock.clone())?;
    /// // A timer that advances the clock instead of sleeping.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     for _ in 0..11 {
    ///         assert!(!limiter.acquire_with(timer).await.is_limited);
    ///     }
    /// });
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub async fn acquire_with<T: Timer>(&self, timer: T) -> RateLimitStatus {
        self.until_admitted(&timer, None, &|_| ()).await
    }

    /// [`acquire_with`](Self::acquire_with) that waits for at most `timeout`.
    ///
    /// Returns a limited status as soon as the request cannot be admitted in time, *before*
    /// sleeping. If other waiters are ahead until the end, it returns after `timeout`, with
    /// [`LimitKind::Queue`](crate::LimitKind::Queue) if no limit refuses.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_with`](Self::acquire_with).
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ApiRateLimiter, LimitKind, ManualClock, RateLimitConfig};
    ///
    /// let clock = ManualClock::new();
    /// let config = RateLimitConfig { burst_size: 1, ..RateLimitConfig::DEFAULT };
    /// let limiter = ApiRateLimiter::with_clock(config, clock.clone())?;
    /// // A timer that advances the clock instead of sleeping.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     assert!(!limiter.acquire_with(timer).await.is_limited);
    ///     // The next is due in 1.2 s, so the call returns at once.
    ///     let status = limiter.acquire_timeout_with(timer, Duration::from_secs(1)).await;
    ///     assert_eq!(status.limited_by, Some(LimitKind::Burst));
    ///     assert!(!limiter.acquire_timeout_with(timer, Duration::from_secs(2)).await.is_limited);
    /// });
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub async fn acquire_timeout_with<T: Timer>(
        &self,
        timer: T,
        timeout: Duration,
    ) -> RateLimitStatus {
        let deadline = self.deadline_in(timeout);
        self.until_admitted(&timer, deadline, &|_| ()).await
    }

    fn deadline_in(&self, timeout: Duration) -> Option<Timestamp> {
        let deadline = self.clock().now() + timeout;
        // At the end of the clock's time there is no deadline. Not every timer can sleep that long.
        Some(deadline).filter(|&deadline| deadline < Timestamp::MAX)
    }

    /// [`acquire_tokens_with`](Self::acquire_tokens_with) the
    /// [`DefaultTimer`](crate::DefaultTimer).
    ///
    /// # Errors
    ///
    /// As [`acquire_tokens_with`](Self::acquire_tokens_with).
    #[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
    pub async fn acquire_tokens(
        &self,
        estimate: impl Into<TokenEstimate>,
    ) -> Result<TokenPermit<'_, C>, RateLimitStatus> {
        let timer = crate::wait::DefaultTimer;
        self.acquire_tokens_with(timer, estimate).await
    }

    /// [`acquire_tokens_timeout_with`](Self::acquire_tokens_timeout_with) the
    /// [`DefaultTimer`](crate::DefaultTimer).
    ///
    /// # Errors
    ///
    /// As [`acquire_tokens_timeout_with`](Self::acquire_tokens_timeout_with).
    #[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
    pub async fn acquire_tokens_timeout(
        &self,
        estimate: impl Into<TokenEstimate>,
        timeout: Duration,
    ) -> Result<TokenPermit<'_, C>, RateLimitStatus> {
        let timer = crate::wait::DefaultTimer;
        self.acquire_tokens_timeout_with(timer, estimate, timeout)
            .await
    }

    /// Waits in the queue until [`reserve_tokens`](Self::reserve_tokens) succeeds, on the given
    /// timer.
    ///
    /// Also waits for a permit to end while
    /// [`max_in_flight`](crate::RateLimitConfig::max_in_flight) are out. The queue is that of
    /// [`acquire_with`](Self::acquire_with), so small estimates do not overtake a large one. Tokens
    /// that come back wake the head.
    ///
    /// # Errors
    ///
    /// Only a [permanent](RateLimitStatus::is_permanent) status, before sleeping: the estimate is
    /// above a limit and is not a [guess](TokenEstimate::guess).
    ///
    /// # Cancel safety
    ///
    /// Nothing is charged before the future is ready. A future that is dropped earlier leaves the
    /// queue, and the waiters behind it move up. The permit undoes the charge if it is dropped
    /// before [`commit`](TokenPermit::commit).
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ApiRateLimiter, Clock, ManualClock, RateLimitConfig, Timestamp};
    ///
    /// let clock = ManualClock::new();
    /// let config = RateLimitConfig { tokens_per_minute: 60_000, ..RateLimitConfig::DEFAULT };
    /// let limiter = ApiRateLimiter::with_clock(config, clock.clone())?;
    /// // A timer that advances the clock instead of sleeping. A real program:
    /// // `limiter.acquire_tokens(estimate).await`.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     let mut permit = limiter.acquire_tokens_with(timer, 50_000).await?;
    ///     permit.commit();
    ///     permit.settle(55_000);
    ///     // 5 000 remain, and 1 000 flow in per second.
    ///     let permit = limiter.acquire_tokens_with(timer, 8_000).await?;
    ///     assert_eq!(clock.now(), Timestamp::ZERO + Duration::from_secs(3));
    ///     drop(permit);
    ///     let status = limiter.acquire_tokens_with(timer, 60_001).await.unwrap_err();
    ///     assert!(status.is_permanent);
    ///     Ok::<(), tidegate::RateLimitStatus>(())
    /// }).unwrap();
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    #[cfg(feature = "std")]
    pub async fn acquire_tokens_with<T: Timer>(
        &self,
        timer: T,
        estimate: impl Into<TokenEstimate>,
    ) -> Result<TokenPermit<'_, C>, RateLimitStatus> {
        self.until_permitted(&timer, None, estimate.into()).await
    }

    /// [`acquire_tokens_with`](Self::acquire_tokens_with) that waits for at most `timeout`.
    ///
    /// # Errors
    ///
    /// * A [permanent](RateLimitStatus::is_permanent) status, before sleeping.
    /// * A limited status as soon as the call cannot be admitted in time, *before* sleeping.
    /// * [`LimitKind::InFlight`](crate::LimitKind::InFlight) after `timeout`, if no permit ended.
    /// * After `timeout` behind other waiters, the limit that refuses, or
    ///   [`LimitKind::Queue`](crate::LimitKind::Queue) if none does.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_tokens_with`](Self::acquire_tokens_with).
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ApiRateLimiter, LimitKind, ManualClock, RateLimitConfig};
    ///
    /// let clock = ManualClock::new();
    /// let config = RateLimitConfig { max_in_flight: Some(1), ..RateLimitConfig::DEFAULT };
    /// let limiter = ApiRateLimiter::with_clock(config, clock.clone())?;
    /// // A timer that advances the clock instead of sleeping.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     let minute = Duration::from_secs(60);
    ///     let acquire =
    ///         |tokens, timeout| limiter.acquire_tokens_timeout_with(timer, tokens, timeout);
    ///     let permit = acquire(100_000, minute).await.unwrap();
    ///     // Half of the tokens are back after 30 s, so the call returns at once.
    ///     let status = acquire(50_000, minute / 3).await.unwrap_err();
    ///     assert_eq!(status.limited_by, Some(LimitKind::Tokens));
    ///     assert_eq!(status.retry_after, minute / 2);
    ///     // When the permit will end is unknown.
    ///     let status = acquire(50_000, minute).await.unwrap_err();
    ///     assert_eq!(status.limited_by, Some(LimitKind::InFlight));
    ///     drop(permit);
    ///     assert!(acquire(50_000, minute).await.is_ok());
    /// });
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    #[cfg(feature = "std")]
    pub async fn acquire_tokens_timeout_with<T: Timer>(
        &self,
        timer: T,
        estimate: impl Into<TokenEstimate>,
        timeout: Duration,
    ) -> Result<TokenPermit<'_, C>, RateLimitStatus> {
        let deadline = self.deadline_in(timeout);
        self.until_permitted(&timer, deadline, estimate.into())
            .await
    }

    /// `acquire` with a callback before each sleep, for `rate_limited`.
    #[cfg(feature = "tokio")]
    #[doc(hidden)]
    pub async fn pass(&self, on_limited: &(dyn Fn(&RateLimitStatus) + Sync)) {
        // Without a deadline the request is always admitted in the end.
        let _ = self
            .until_admitted(&crate::wait::TokioTimer, None, on_limited)
            .await;
    }

    #[cfg(not(feature = "std"))]
    pub(crate) async fn until_admitted<T: Timer>(
        &self,
        timer: &T,
        deadline: Option<Timestamp>,
        on_limited: &(impl Fn(&RateLimitStatus) + ?Sized),
    ) -> RateLimitStatus {
        loop {
            let now = self.clock().now();
            let status = self.try_acquire_at(now);
            let left = time_left(deadline, now);
            if !status.is_limited || status.retry_after > left {
                return status;
            }
            on_limited(&status);
            timer.sleep(status.wait_time.min(left)).await;
        }
    }
}

/// The time until a deadline.
pub(super) fn time_left(deadline: Option<Timestamp>, now: Timestamp) -> Duration {
    deadline.map_or(Duration::MAX, |deadline| deadline - now)
}
