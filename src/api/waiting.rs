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
use crate::clock::Clock;
#[cfg(feature = "std")]
use crate::sync::{Ordering::SeqCst, fence};
use crate::time::Timestamp;
use crate::wait::Timer;

/// A limiter of several limits cannot promise anyone an instant. Threads that wait try again when they are told to, in no
/// particular order. Futures form a line, first come, first served: the first tries again when a request could next be admitted,
/// and as it is alone it needs no backoff. A first one that is neither polled nor dropped holds up those behind it. (Without the
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
        let deadline = self.clock().now() + timeout;
        // The end of the clock's time is none, and timers need not be able to sleep for so long.
        let deadline = Some(deadline).filter(|&deadline| deadline < Timestamp::MAX);
        self.until_admitted(&timer, deadline, &|_| ()).await
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
        let line = self.limits.combined.line();
        // Nobody is overtaken.
        let is_first = !line.is_busy();
        let now = self.clock().now();
        let status = if is_first {
            self.try_acquire_at(now)
        } else {
            self.check_at(now)
        };
        if status.is_limited {
            if status.retry_after > left(deadline, now) {
                return status;
            }
            on_limited(&status);
        } else if is_first {
            return status;
        }
        let Some(mut place) = line.join() else {
            // Any number may wait.
            return status;
        };
        let at_once = poll_fn(|context| Poll::Ready(place.poll_head(context).is_ready())).await;
        if !at_once {
            let turn = poll_fn(|context| place.poll_head(context));
            if !self.comes_in_time(turn, timer, deadline).await {
                return self.behind_at(self.clock().now());
            }
        }
        // At the head at once, it has been told when to try again.
        let mut is_told = is_first && at_once;
        loop {
            // Before the look, so that what it does not see wakes it up.
            let resumed = self.signals.resumed.listen();
            // Meets the fence in `resume_at`.
            fence(SeqCst);
            let now = self.clock().now();
            let status = if is_told {
                self.check_at(now)
            } else {
                self.try_acquire_at(now)
            };
            if status.is_limited {
                if status.retry_after > left(deadline, now) {
                    return status;
                }
                if !is_told {
                    on_limited(&status);
                }
                either(resumed, timer.sleep(status.retry_after)).await;
            } else if !is_told {
                return status;
            }
            is_told = false;
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

    /// What is told to somebody whose turn has not come.
    #[cfg(feature = "std")]
    fn behind_at(&self, now: Timestamp) -> RateLimitStatus {
        let refusal = self.refusal_at(&self.limits.requests(1), now);
        let refusal = refusal.unwrap_or(Refusal {
            kind: LimitKind::Line,
            most: 0,
            until: Until::Released,
        });
        self.limited_at(refusal, Duration::ZERO, now)
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
