//! Waiting for a request to be admitted, in a thread or a future.

use core::time::Duration;

use super::{ApiRateLimiter, RateLimitStatus};
#[cfg(feature = "std")]
use super::{TokenEstimate, TokenPermit};
use crate::clock::Clock;
use crate::time::Timestamp;
use crate::wait::Timer;

/// A limiter of several limits cannot promise anyone an instant. Threads that wait try again when they are told to, in no
/// particular order. Futures form a line, first come, first served: the first tries again when a request could next be admitted,
/// and when something comes back; as it is alone it needs no backoff. A first one that is neither polled nor dropped holds up those
/// behind it. Threads, and whoever does not wait, are not in the line and may overtake it. (Without the feature `std` futures wait as
/// threads do, and there is no `acquire_tokens`.)
impl<C: Clock> ApiRateLimiter<C> {
    /// Admits a request, sleeping for as long as it is limited. Returns a status that is not limited.
    #[cfg(feature = "std")]
    pub fn acquire_blocking(&self) -> RateLimitStatus {
        self.sleep_until_admitted(None, &|_| ())
    }

    /// Admits a request, sleeping for at most `timeout` while it is limited. Returns a status that is limited as soon as it
    /// cannot be admitted in time, *before* sleeping for it.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig};
    ///
    /// let config = RateLimitConfig { burst_size: 1, ..RateLimitConfig::DEFAULT };
    /// let limiter = ApiRateLimiter::with_clock(config, ManualClock::new())?;
    /// assert!(!limiter.acquire_blocking().is_limited);
    /// // The next is due in 1.2 s: known at once, and nobody sleeps.
    /// assert!(limiter.acquire_blocking_timeout(Duration::from_secs(1)).is_limited);
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    #[cfg(feature = "std")]
    pub fn acquire_blocking_timeout(&self, timeout: Duration) -> RateLimitStatus {
        let deadline = self.clock().now() + timeout;
        self.sleep_until_admitted(Some(deadline), &|_| ())
    }

    /// Admits a request, sleeping for as long as it is limited and saying so each time. For the decorator and the attribute.
    #[cfg(feature = "std")]
    #[doc(hidden)]
    pub fn pass_blocking(&self, on_limited: &dyn Fn(&RateLimitStatus)) {
        // Without a deadline it is admitted in the end.
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
            let left = left(deadline, now);
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

    /// [`acquire_timeout_with`](Self::acquire_timeout_with) the [`DefaultTimer`](crate::DefaultTimer).
    #[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
    pub async fn acquire_timeout(&self, timeout: Duration) -> RateLimitStatus {
        let timer = crate::wait::DefaultTimer;
        self.acquire_timeout_with(timer, timeout).await
    }

    /// Admits a request, in line and asleep on a timer of your choice for as long as it is limited. Returns a status that is not
    /// limited.
    ///
    /// # Cancel safety
    ///
    /// Nothing is charged before it completes. Dropped before, it leaves the line, and those behind it move up.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig};
    ///
    /// let clock = ManualClock::new();
    /// let limiter = ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, clock.clone())?;
    /// // A timer that moves the clock instead of sleeping.
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

    /// Admits a request, in line and asleep on a timer of your choice for at most `timeout` while it is limited. Returns a status that
    /// is limited as soon as it cannot be admitted in time, *before* sleeping for it, or after `timeout` if others were before it in
    /// line until then ([`LimitKind::Line`](crate::LimitKind::Line), if no limit is in the way).
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
    /// // A timer that moves the clock instead of sleeping.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     assert!(!limiter.acquire_with(timer).await.is_limited);
    ///     // The next is due in 1.2 s: known at once, and nobody sleeps.
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
        // The end of the clock's time is none, and timers need not be able to sleep for so long.
        Some(deadline).filter(|&deadline| deadline < Timestamp::MAX)
    }

    /// [`acquire_tokens_with`](Self::acquire_tokens_with) the [`DefaultTimer`](crate::DefaultTimer).
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

    /// [`acquire_tokens_timeout_with`](Self::acquire_tokens_timeout_with) the [`DefaultTimer`](crate::DefaultTimer).
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

    /// [`reserve_tokens`](Self::reserve_tokens), in line and asleep on a timer of your choice for as long as it is limited, and until
    /// a permit comes back where [`max_in_flight`](crate::RateLimitConfig::max_in_flight) are out.
    ///
    /// It is the line of [`acquire`](Self::acquire_with): a large estimate is not overtaken by small ones behind it. Tokens that others
    /// give back wake its head.
    ///
    /// # Errors
    ///
    /// Only a status that is [permanent](RateLimitStatus::is_permanent), before sleeping: the estimate is above a limit, and no
    /// [guess](TokenEstimate::guess).
    ///
    /// # Cancel safety
    ///
    /// Nothing is charged before it completes. Dropped before, it leaves the line, and those behind it move up. The permit that it
    /// completes with, dropped before [`commit`](TokenPermit::commit), takes the charge back.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ApiRateLimiter, Clock, ManualClock, RateLimitConfig, Timestamp};
    ///
    /// let clock = ManualClock::new();
    /// let config = RateLimitConfig { tokens_per_minute: 60_000, ..RateLimitConfig::DEFAULT };
    /// let limiter = ApiRateLimiter::with_clock(config, clock.clone())?;
    /// // A timer that moves the clock instead of sleeping. A real program: `limiter.acquire_tokens(estimate).await`.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     let mut permit = limiter.acquire_tokens_with(timer, 50_000).await?;
    ///     permit.commit();
    ///     permit.settle(55_000);
    ///     // 5 000 are left, and 1 000 come each second.
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
    /// A status that is [permanent](RateLimitStatus::is_permanent), before sleeping. Else one that is limited, as soon as it cannot be
    /// admitted in time, *before* sleeping for it; or after `timeout`, if others were before it in line until then
    /// ([`LimitKind::Line`](crate::LimitKind::Line), if no limit is in the way), or no permit came back
    /// ([`LimitKind::InFlight`](crate::LimitKind::InFlight)).
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
    /// // A timer that moves the clock instead of sleeping.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     let minute = Duration::from_secs(60);
    ///     let permit = limiter.acquire_tokens_timeout_with(timer, 100_000, minute).await.unwrap();
    ///     // Half of them are back after 30 s: known at once, and nobody sleeps.
    ///     let status = limiter.acquire_tokens_timeout_with(timer, 50_000, minute / 3).await.unwrap_err();
    ///     assert_eq!((status.limited_by, status.retry_after), (Some(LimitKind::Tokens), minute / 2));
    ///     // When a permit comes back, nobody knows.
    ///     let status = limiter.acquire_tokens_timeout_with(timer, 50_000, minute).await.unwrap_err();
    ///     assert_eq!(status.limited_by, Some(LimitKind::InFlight));
    ///     drop(permit);
    ///     assert!(limiter.acquire_tokens_timeout_with(timer, 50_000, minute).await.is_ok());
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

    /// Admits a request, asleep for as long as it is limited and saying so each time. For the decorator and the attribute.
    #[cfg(feature = "tokio")]
    #[doc(hidden)]
    pub async fn pass(&self, on_limited: &(dyn Fn(&RateLimitStatus) + Sync)) {
        // Without a deadline it is admitted in the end.
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
            let left = left(deadline, now);
            if !status.is_limited || status.retry_after > left {
                return status;
            }
            on_limited(&status);
            timer.sleep(status.wait_time.min(left)).await;
        }
    }
}

/// How long until then.
pub(super) fn left(deadline: Option<Timestamp>, now: Timestamp) -> Duration {
    deadline.map_or(Duration::MAX, |deadline| deadline - now)
}
