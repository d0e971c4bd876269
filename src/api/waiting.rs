//! Waiting for a request to be admitted, in a thread or a future.

use core::time::Duration;
#[cfg(feature = "std")]
use core::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

#[cfg(feature = "std")]
use super::status::{LimitKind, Refusal, Until};
use super::{ApiRateLimiter, RateLimitStatus};
#[cfg(feature = "std")]
use super::{TokenEstimate, TokenPermit};
use crate::clock::Clock;
#[cfg(feature = "std")]
use crate::sync::{Ordering::SeqCst, fence};
use crate::time::Timestamp;
use crate::wait::Timer;

/// A limiter of several limits cannot promise anyone an instant. Threads that wait try again when they are told to, in no
/// particular order. Futures form a line, first come, first served: the first tries again when a request could next be admitted, and when
/// something comes back; as it is alone it needs no backoff. A first one that is neither polled nor dropped holds up those behind it.
/// Threads, and whoever does not wait, do not stand in the line and may overtake it. (Without the
/// feature `std` futures wait as threads do.)
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

    /// [`acquire_with`](Self::acquire_with) the [`UsualTimer`](crate::UsualTimer).
    #[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
    pub async fn acquire(&self) -> RateLimitStatus {
        self.acquire_with(crate::wait::UsualTimer).await
    }

    /// [`acquire_timeout_with`](Self::acquire_timeout_with) the [`UsualTimer`](crate::UsualTimer).
    #[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
    pub async fn acquire_timeout(&self, timeout: Duration) -> RateLimitStatus {
        let timer = crate::wait::UsualTimer;
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

    /// [`acquire_tokens_with`](Self::acquire_tokens_with) the [`UsualTimer`](crate::UsualTimer).
    ///
    /// # Errors
    ///
    /// As [`acquire_tokens_with`](Self::acquire_tokens_with).
    #[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
    pub async fn acquire_tokens(
        &self,
        estimate: impl Into<TokenEstimate>,
    ) -> Result<TokenPermit<'_, C>, RateLimitStatus> {
        let timer = crate::wait::UsualTimer;
        self.acquire_tokens_with(timer, estimate).await
    }

    /// [`acquire_tokens_timeout_with`](Self::acquire_tokens_timeout_with) the [`UsualTimer`](crate::UsualTimer).
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
        let timer = crate::wait::UsualTimer;
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

    #[cfg(feature = "std")]
    pub(crate) async fn until_admitted<T: Timer>(
        &self,
        timer: &T,
        deadline: Option<Timestamp>,
        on_limited: &(impl Fn(&RateLimitStatus) + ?Sized),
    ) -> RateLimitStatus {
        let attempt = |now| {
            let status = self.try_acquire_at(now);
            if status.is_limited {
                Err(status)
            } else {
                Ok(status)
            }
        };
        let look = |now| self.refusal_at(&self.limits.requests(1), now);
        let outcome = self.in_line(timer, deadline, attempt, look, on_limited);
        outcome.await.unwrap_or_else(|status| status)
    }

    #[cfg(feature = "std")]
    async fn until_permitted<T: Timer>(
        &self,
        timer: &T,
        deadline: Option<Timestamp>,
        estimate: TokenEstimate,
    ) -> Result<TokenPermit<'_, C>, RateLimitStatus> {
        let attempt = |now| self.reserve_tokens_at(estimate, now);
        let ask = self.limits.request_with(estimate);
        let look = |now| {
            let refusal = self.refusal_at(&ask, now);
            refusal.or_else(|| self.signals.in_flight.refusal())
        };
        let outcome = self.in_line(timer, deadline, attempt, look, &|_| ());
        outcome.await
    }

    /// Attempts it at the head of the line, until it succeeds or can no more. `look` says what is in its way and changes nothing.
    #[cfg(feature = "std")]
    async fn in_line<T: Timer, A>(
        &self,
        timer: &T,
        deadline: Option<Timestamp>,
        attempt: impl Fn(Timestamp) -> Result<A, RateLimitStatus>,
        look: impl Fn(Timestamp) -> Option<Refusal>,
        on_limited: &(impl Fn(&RateLimitStatus) + ?Sized),
    ) -> Result<A, RateLimitStatus> {
        let limited = |refusal, now| self.limited_at(refusal, Duration::ZERO, now);
        let in_line = Refusal {
            kind: LimitKind::Line,
            most: 0,
            until: Until::Released,
        };
        let line = self.limits.combined.line();
        // Nobody is overtaken.
        let is_first = !line.is_busy();
        let now = self.clock().now();
        let refused = if is_first {
            match attempt(now) {
                Ok(admitted) => return Ok(admitted),
                Err(status) => Some(status),
            }
        } else {
            look(now).map(|refusal| limited(refusal, now))
        };
        if let Some(status) = refused {
            if is_final(&status, left(deadline, now)) {
                return Err(status);
            }
            on_limited(&status);
        }
        let Some(mut place) = line.join() else {
            // Any number may wait.
            return Err(limited(in_line, now));
        };
        let at_once = poll_fn(|context| Poll::Ready(place.poll_head(context).is_ready())).await;
        if !at_once {
            let turn = poll_fn(|context| place.poll_head(context));
            if !self.comes_in_time(turn, timer, deadline).await {
                let now = self.clock().now();
                return Err(limited(look(now).unwrap_or(in_line), now));
            }
        }
        // At the head at once, it has been told when to try again.
        let mut is_told = is_first && at_once;
        let mut waiter = self.signals.in_flight.waiter();
        loop {
            // Before the look, so that what it does not see wakes it up.
            let returned = self.signals.returned.listen();
            // Meets the fence in `tell_the_first`.
            fence(SeqCst);
            let now = self.clock().now();
            let refused = if is_told {
                look(now).map(|refusal| limited(refusal, now))
            } else {
                match attempt(now) {
                    Ok(admitted) => {
                        waiter.has_entered();
                        return Ok(admitted);
                    }
                    Err(status) => Some(status),
                }
            };
            let Some(status) = refused else {
                is_told = false;
                continue;
            };
            if is_final(&status, left(deadline, now)) {
                return Err(status);
            }
            if !is_told {
                on_limited(&status);
            }
            if status.limited_by == Some(LimitKind::InFlight) {
                is_told = !waiter.finds_full();
                if !is_told {
                    let told = poll_fn(|context| waiter.poll_told(context));
                    // Late, it tries a last time.
                    self.comes_in_time(told, timer, deadline).await;
                }
            } else {
                is_told = false;
                // Before it sleeps, so that it keeps no place from the others.
                waiter.gives_up();
                either(returned, timer.sleep(status.retry_after)).await;
            }
        }
    }

    /// Whether it completes before the deadline.
    #[cfg(feature = "std")]
    async fn comes_in_time<T: Timer>(
        &self,
        turn: impl Future<Output = ()>,
        timer: &T,
        deadline: Option<Timestamp>,
    ) -> bool {
        let mut turn = pin!(turn);
        let Some(deadline) = deadline else {
            turn.await;
            return true;
        };
        loop {
            let left = deadline - self.clock().now();
            if left.is_zero() {
                return false;
            }
            // And then look at the clock: the sleep may have been too short.
            if either(turn.as_mut(), timer.sleep(left)).await {
                return true;
            }
        }
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

/// Whether waiting is in vain, with so much time left.
#[cfg(feature = "std")]
fn is_final(status: &RateLimitStatus, left: Duration) -> bool {
    let has_no_time = status.limited_by == Some(LimitKind::InFlight) && left.is_zero();
    status.is_permanent || status.retry_after > left || has_no_time
}

/// How long until then.
fn left(deadline: Option<Timestamp>, now: Timestamp) -> Duration {
    deadline.map_or(Duration::MAX, |deadline| deadline - now)
}

/// Until one of the two completes: whether it is the first.
#[cfg(feature = "std")]
async fn either(first: impl Future<Output = ()>, second: impl Future<Output = ()>) -> bool {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Pending => second.as_mut().poll(context).map(|()| false),
        Poll::Ready(()) => Poll::Ready(true),
    })
    .await
}
