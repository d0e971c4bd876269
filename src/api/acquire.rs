//! Waits for a request, and for a request with its tokens: builders, futures, waits of a thread.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use super::calls::{RequestCall, TokenCall};
use super::{ApiRateLimiter, RateLimitStatus, TokenEstimate, TokenPermit};
use crate::clock::Clock;
use crate::wait::{Asleep, DefaultTimer, SleepSlot, Timer, Waiter};

const fn ignore(_: &RateLimitStatus) {}

/// How long a function behind a limiter sleeps before it asks again, after a refusal. Without a
/// timeout a call is refused only by a full queue, or during a pause without an end. Both may end
/// sooner than the status says.
fn until_retry(status: &RateLimitStatus) -> Duration {
    status
        .wait_time()
        .clamp(Duration::from_millis(1), Duration::from_secs(1))
}

type Request<C> = RequestCall<C, fn(&RateLimitStatus)>;

/// The methods of both waits. `$output` is what they return.
macro_rules! wait {
    ($wait:ident, $call:ty, $output:ty) => {
        impl<C: Clock, T: SleepSlot> $wait<C, T> {
            /// Waits for at most `timeout`, counted from the first poll. A timeout that cannot be
            /// met with those ahead is refused at once, before sleeping. During a pause without an
            /// end it is waited out. [`Duration::MAX`], the default, waits as long as it takes.
            pub const fn timeout(mut self, timeout: Duration) -> Self {
                self.waiter.set_timeout(timeout);
                self
            }

            /// Sleeps on another timer than the [`DefaultTimer`].
            pub fn timer<U: Timer>(self, timer: U) -> $wait<C, U> {
                $wait {
                    waiter: self.waiter,
                    asleep: Asleep::new(timer),
                }
            }

            /// Blocks the thread until the call is decided. Needs no timer: the thread sleeps on
            /// the limiter's clock, in the same queue as the futures.
            ///
            /// # Errors
            ///
            /// As the future.
            pub fn wait(self) -> $output {
                self.waiter.block()
            }
        }

        /// The clock and the timer are never pinned.
        impl<C: Clock, T: SleepSlot> Unpin for $wait<C, T> {}

        impl<C: Clock, T: Timer> Future for $wait<C, T> {
            type Output = $output;

            fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
                let this = self.get_mut();
                this.asleep.poll(&mut this.waiter, context)
            }
        }

        impl<C: Clock, T: SleepSlot> fmt::Debug for $wait<C, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($wait))
                    .field("waiter", &self.waiter)
                    .finish_non_exhaustive()
            }
        }
    };
}

/// Waits until a request is admitted: await it, or let the thread [`wait`](Self::wait).
/// Returns a status that is not limited, unless a [timeout](Self::timeout) could not be met or the
/// [queue was full](ApiRateLimiter::max_waiters).
///
/// Made by [`ApiRateLimiter::acquire`]. It owns a share of the limiter, so it is `'static`.
///
/// # Cancel safety
///
/// Nothing is charged before it is ready. Dropped earlier it leaves the queue, and those behind
/// it move up.
///
/// # Panics
///
/// If it is polled after it was ready.
#[must_use = "a wait does nothing unless it is awaited or waited for"]
pub struct AcquireRequest<C: Clock, T: SleepSlot = DefaultTimer> {
    waiter: Waiter<Request<C>>,
    asleep: Asleep<T>,
}

/// Waits until a request is admitted together with its tokens: await it, or let the thread
/// [`wait`](Self::wait).
///
/// Made by [`ApiRateLimiter::acquire_tokens`]. It owns a share of the limiter, and so does the
/// permit: both are `'static`.
///
/// # Cancel safety
///
/// Nothing is charged before it is ready. Dropped earlier it leaves the queue, and those behind
/// it move up. The permit undoes the charge if it is dropped before
/// [`commit`](TokenPermit::commit).
///
/// # Panics
///
/// If it is polled after it was ready.
#[must_use = "a wait does nothing unless it is awaited or waited for"]
pub struct AcquireTokens<C: Clock, T: SleepSlot = DefaultTimer> {
    waiter: Waiter<TokenCall<C>>,
    asleep: Asleep<T>,
}

wait!(AcquireRequest, Request<C>, RateLimitStatus);
wait!(
    AcquireTokens,
    TokenCall<C>,
    Result<TokenPermit<C>, RateLimitStatus>
);

/// # Waiting
///
/// Threads and futures wait in one queue and are served in order of arrival. Only the first asks,
/// when a request could next be admitted, and when permits, tokens or a call in flight come back.
/// It needs no backoff, because it is alone. Callers that do not wait are not in the queue and may
/// overtake it.
///
/// Waiters that wait out a [pause](Self::pause_for) do not all go at its end. The first goes a
/// random time later, and each of the others a random time after the one before it. The times are
/// between 0 and the interval of the requests per minute, and only delay. After
/// [`resume`](Self::resume) there is no such delay.
impl<C: Clock> ApiRateLimiter<C> {
    /// Waits until a request is admitted.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ApiRateLimiter, LimitKind, ManualClock, RateLimitConfig};
    ///
    /// let clock = ManualClock::new();
    /// let config = RateLimitConfig { burst_size: 1, ..RateLimitConfig::DEFAULT };
    /// let limiter = ApiRateLimiter::with_clock(config, clock.clone())?;
    /// assert!(!limiter.acquire().wait().is_limited);
    /// // The next is due in 1.2 s, so this returns at once.
    /// let status = limiter.acquire().timeout(Duration::from_secs(1)).wait();
    /// assert_eq!(status.limited_by, Some(LimitKind::Burst));
    ///
    /// // A timer that advances the clock. With the feature `tokio`: `limiter.acquire().await`.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// assert!(!runtime.block_on(limiter.acquire().timer(timer)).is_limited);
    /// assert_eq!(tidegate::Clock::now(&clock).as_nanos(), 1_200_000_000);
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn acquire(&self) -> AcquireRequest<C> {
        AcquireRequest {
            waiter: Waiter::new(RequestCall {
                limiter: self.clone(),
                on_limited: ignore,
            }),
            asleep: Asleep::new(DefaultTimer::new()),
        }
    }

    /// Waits until a request is admitted together with the tokens that it is expected to use, as by
    /// [`reserve_tokens`](Self::reserve_tokens).
    ///
    /// Also waits for a permit to end while
    /// [`max_in_flight`](crate::RateLimitConfig::max_in_flight) are out. The queue is that of
    /// [`acquire`](Self::acquire), so small estimates do not overtake a large one.
    ///
    /// # Errors
    ///
    /// * A [permanent](RateLimitStatus::is_permanent) status, before sleeping: the estimate is
    ///   above a limit and is not a [guess](TokenEstimate::guess).
    /// * With a [timeout](AcquireTokens::timeout), a limited status as soon as it cannot be met,
    ///   *before* sleeping; [`LimitKind::InFlight`](crate::LimitKind::InFlight) after the timeout
    ///   if no permit ended; and after the timeout behind other waiters the limit that refuses, or
    ///   [`LimitKind::Queue`](crate::LimitKind::Queue) if none does.
    /// * If the queue is [full](Self::max_waiters), at once: the limit that refuses behind all
    ///   waiters, or `LimitKind::Queue` if none does.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ApiRateLimiter, LimitKind, ManualClock, RateLimitConfig};
    ///
    /// let clock = ManualClock::new();
    /// let config = RateLimitConfig {
    ///     tokens_per_minute: 60_000,
    ///     max_in_flight: Some(1),
    ///     ..RateLimitConfig::DEFAULT
    /// };
    /// let limiter = ApiRateLimiter::with_clock(config, clock.clone())?;
    /// // A timer that advances the clock. With the feature `tokio`:
    /// // `limiter.acquire_tokens(estimate).await`.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     let mut permit = limiter.acquire_tokens(50_000).timer(timer).await?;
    ///     permit.commit();
    ///     permit.settle(55_000);
    ///     // 5 000 remain, and 1 000 flow in per second.
    ///     let permit = limiter.acquire_tokens(8_000).timer(timer).await?;
    ///     assert_eq!(tidegate::Clock::now(&clock).as_nanos(), 3_000_000_000);
    ///     // One call at once: this waits for the permit to end, in vain.
    ///     let second = limiter.acquire_tokens(0).timer(timer).timeout(Duration::from_secs(1));
    ///     assert_eq!(second.await.unwrap_err().limited_by, Some(LimitKind::InFlight));
    ///     drop(permit);
    ///     assert!(limiter.acquire_tokens(60_001).timer(timer).await.unwrap_err().is_permanent);
    ///     Ok::<(), tidegate::RateLimitStatus>(())
    /// }).unwrap();
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn acquire_tokens(&self, estimate: impl Into<TokenEstimate>) -> AcquireTokens<C> {
        AcquireTokens {
            waiter: Waiter::new(TokenCall {
                limiter: self.clone(),
                estimate: estimate.into(),
            }),
            asleep: Asleep::new(DefaultTimer::new()),
        }
    }

    /// Returns the number of threads and futures that wait.
    pub fn waiting(&self) -> u64 {
        self.shared.wait_queue.waiting()
    }

    /// Returns the same limiter with a bounded wait queue, for all clones; by default it is
    /// unbounded. A caller that finds it full is refused at once, unless it is admitted without
    /// waiting.
    #[must_use]
    pub fn max_waiters(self, most: usize) -> Self {
        self.shared.wait_queue.set_max_waiters(most as u64);
        self
    }

    /// Returns the same limiter with another slack, for all clones: see
    /// [`TokenBucket::wait_slack`](crate::TokenBucket::wait_slack).
    #[must_use]
    pub fn wait_slack(self, slack: Duration) -> Self {
        self.shared.wait_queue.set_slack(slack);
        self
    }

    /// [`acquire`](Self::acquire) with a callback if the call has to wait, for `rate_limited`.
    #[cfg(feature = "std")]
    #[doc(hidden)]
    pub fn pass_blocking(&self, on_limited: &dyn Fn(&RateLimitStatus)) {
        loop {
            let limiter = self.clone();
            let call = RequestCall {
                limiter,
                on_limited,
            };
            let status = Waiter::new(call).block();
            if !status.is_limited {
                return;
            }
            let retry = self.clock().now() + until_retry(&status);
            on_limited(&status);
            self.clock().sleep_until(retry);
        }
    }

    /// [`acquire`](Self::acquire) with a callback if the call has to wait, for `rate_limited`.
    #[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
    #[doc(hidden)]
    pub async fn pass(&self, on_limited: &(dyn Fn(&RateLimitStatus) + Sync)) {
        self.until_admitted(DefaultTimer, on_limited).await;
    }

    pub(crate) async fn until_admitted<T: Timer>(
        &self,
        timer: T,
        on_limited: impl Fn(&RateLimitStatus),
    ) {
        let mut asleep = Asleep::new(timer);
        loop {
            let call = RequestCall {
                limiter: self.clone(),
                on_limited: &on_limited,
            };
            let status = asleep.wait(Waiter::new(call)).await;
            if !status.is_limited {
                return;
            }
            on_limited(&status);
            let sleep = asleep.timer().sleep(until_retry(&status));
            sleep.await;
        }
    }
}
