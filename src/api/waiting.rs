//! Waiting for a request to be admitted, in a thread or a future.

#[cfg(feature = "std")]
use core::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

#[cfg(feature = "std")]
use event_listener::EventListener;

use super::{ApiRateLimiter, RateLimitStatus};
use crate::clock::Clock;
#[cfg(feature = "std")]
use crate::sync::{Ordering::SeqCst, fence};
#[cfg(feature = "std")]
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
            let left = deadline.map_or(Duration::MAX, |deadline| deadline - now);
            if !status.is_limited || status.retry_after > left {
                return status;
            }
            on_limited(&status);
            self.clock().sleep_until(now + status.wait_time.min(left));
        }
    }

    /// Admits a request, in line and asleep on tokio's timer for as long as it is limited. Returns a status that is not limited.
    ///
    /// # Cancel safety
    ///
    /// Nothing is charged before it completes. Dropped before, it leaves the line, and those behind it move up.
    #[cfg(feature = "tokio")]
    pub async fn acquire(&self) -> RateLimitStatus {
        self.acquire_with(crate::wait::TokioTimer).await
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
        self.until_admitted(&timer, &|_| ()).await
    }

    /// Admits a request, asleep for as long as it is limited and saying so each time. For the decorator and the attribute.
    #[cfg(feature = "tokio")]
    #[doc(hidden)]
    pub async fn pass(&self, on_limited: &(dyn Fn(&RateLimitStatus) + Sync)) {
        // Without a deadline it is admitted in the end.
        let _ = self
            .until_admitted(&crate::wait::TokioTimer, on_limited)
            .await;
    }

    #[cfg(feature = "std")]
    pub(crate) async fn until_admitted<T: Timer>(
        &self,
        timer: &T,
        on_limited: &(impl Fn(&RateLimitStatus) + ?Sized),
    ) -> RateLimitStatus {
        let line = self.limits.combined.line();
        // Nobody is overtaken.
        let is_first = !line.is_busy();
        let status = if is_first {
            self.try_acquire()
        } else {
            self.check()
        };
        if status.is_limited {
            on_limited(&status);
        } else if is_first {
            return status;
        }
        let Some(mut place) = line.join() else {
            // Any number may wait.
            return status;
        };
        let mut was_behind = false;
        poll_fn(|context| {
            let turn = place.poll_head(context);
            was_behind |= turn.is_pending();
            turn
        })
        .await;
        // At the head at once, it has been told when to try again.
        let mut is_told = is_first && !was_behind;
        loop {
            // Before the look, so that what it does not see wakes it up.
            let resumed = self.signals.resumed.listen();
            // Meets the fence in `resume_at`.
            fence(SeqCst);
            let status = if is_told {
                self.check()
            } else {
                self.try_acquire()
            };
            if status.is_limited {
                if !is_told {
                    on_limited(&status);
                }
                either(timer.sleep(status.retry_after), resumed).await;
            } else if !is_told {
                return status;
            }
            is_told = false;
        }
    }

    #[cfg(not(feature = "std"))]
    pub(crate) async fn until_admitted<T: Timer>(
        &self,
        timer: &T,
        on_limited: &(impl Fn(&RateLimitStatus) + ?Sized),
    ) -> RateLimitStatus {
        loop {
            let status = self.try_acquire();
            if !status.is_limited {
                return status;
            }
            on_limited(&status);
            timer.sleep(status.wait_time).await;
        }
    }
}

/// Until one of the two completes.
#[cfg(feature = "std")]
async fn either(sleep: impl Future<Output = ()>, mut event: EventListener) {
    let mut sleep = pin!(sleep);
    poll_fn(|context| match Pin::new(&mut event).poll(context) {
        Poll::Pending => sleep.as_mut().poll(context),
        ready @ Poll::Ready(()) => ready,
    })
    .await;
}
