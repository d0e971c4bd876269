//! A call that waits for permits: builder, future, and wait of a thread.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use super::awaitable::{Awaitable, Permits};
use super::call::Hold;
use super::default_timer::DefaultTimer;
use super::progress::Started;
use super::timer::{SleepSlot, Timer};
use super::waiter::{Asleep, Waiter};
use crate::denied::Denied;
use crate::time::Timestamp;

/// Waits for permits: await it, or let the thread [`wait`](Self::wait).
///
/// `limiter.acquire(n)` borrows the limiter. [`Acquire::new`] takes any pointer to it: with an
/// [`Arc`](alloc::sync::Arc) the wait is `'static`. Nothing happens before it is first polled.
/// Polled again after it resolved, it returns the same result and takes nothing.
///
/// # Order
///
/// Waiters are served first come, first served, whatever their sizes, threads and futures
/// alike. Nothing is charged for a waiter before it is admitted. Buckets decide the first waiter as
/// of the instant at which it was due, although its timer wakes it later; the
/// [design](crate::docs::design#waits) says why. Calls that do not wait (`try_acquire`) are not in
/// the queue, and may overtake it.
///
/// The queue moves on when its first future is polled or dropped. A future that is first and
/// is neither polled nor dropped blocks those behind it. So do not [forget](core::mem::forget)
/// a wait, and do not set one aside while you await another.
///
/// It is [`Unpin`], so `&mut wait` can stand in a `select!`. It is [`Send`] if the limiter, the
/// timer and the timer's sleep are.
///
/// # Cancel safety
///
/// A future that is dropped before it is ready leaves the queue, and has taken nothing. Those
/// behind it move up at once. So it can stand in a `select!` or under a timeout of a runtime.
///
/// # Cost
///
/// With permits there and no waiters: a decision, with one reading of the clock, and one load, or
/// two once any call has waited. A wait takes O(log w) with w waiters, or O(w) if its timeout
/// passes behind others. The first waiter has a timer, in a box; the others need none unless they
/// have a timeout.
#[must_use = "a wait does nothing unless it is awaited or waited for"]
pub struct Acquire<L: Awaitable, T: SleepSlot = DefaultTimer> {
    waiter: Waiter<Permits<L>>,
    outcome: Option<Result<(), Denied>>,
    asleep: Asleep<T>,
}

/// The limiter is never pinned.
impl<L: Awaitable, T: SleepSlot> Unpin for Acquire<L, T> {}

impl<L: Awaitable> Acquire<L> {
    /// Waits for `n` permits of `limiter`, a limiter or a pointer to one.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tidegate::{Acquire, ManualClock, Quota, TokenBucket};
    ///
    /// /// The future of a service that waits in `call`: named, not boxed, and `'static`.
    /// struct Call {
    ///     turn: Acquire<Arc<TokenBucket<ManualClock>>>,
    /// }
    ///
    /// let bucket = TokenBucket::with_clock(Quota::per_second(10), ManualClock::new());
    /// let call = Call { turn: Acquire::new(Arc::new(bucket), 1) };
    /// let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    /// let task = runtime.spawn(call.turn);
    /// assert_eq!(runtime.block_on(task)?, Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn new(limiter: L, n: u64) -> Self {
        Self {
            waiter: Waiter::new(Permits { limiter, n }),
            outcome: None,
            asleep: Asleep::new(DefaultTimer::new()),
        }
    }
}

impl<L: Awaitable, T: SleepSlot> Acquire<L, T> {
    /// Waits for at most `timeout`, counted from the first poll. [`Duration::MAX`], the default,
    /// waits as long as it takes.
    ///
    /// A timeout that cannot be met is refused at once, before sleeping: with those ahead, the
    /// permits would come too late. The refusal's hint is the whole wait. So a timeout also bounds
    /// the queue, to what flows in within it.
    ///
    /// Timers are late, so a wait may end a little after its timeout, and behind other waiters
    /// later by the limiter's `wait_slack`.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{Denied, ManualClock, Quota, TokenBucket};
    ///
    /// let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(1), ManualClock::new());
    /// bucket.acquire(1).wait()?; // at once
    /// let refused = bucket.acquire(1).timeout(Duration::from_millis(99)).wait();
    /// assert_eq!(refused, Err(Denied::NotYet { retry_after: Duration::from_millis(100).into() }));
    /// # Ok::<(), Denied>(())
    /// ```
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.waiter.set_timeout(timeout);
        self
    }

    /// Sleeps on another timer than the [`DefaultTimer`].
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ManualClock, Quota, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(1), clock.clone());
    /// // A timer that moves the clock. In tokio, `tokio::time::sleep` is one.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     bucket.acquire(1).timer(timer).await?; // at once
    ///     bucket.acquire(1).timer(timer).await // 100 ms later
    /// })?;
    /// assert_eq!(tidegate::Clock::now(&clock).as_nanos(), 100_000_000);
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub fn timer<U: Timer>(self, timer: U) -> Acquire<L, U> {
        Acquire {
            waiter: self.waiter,
            outcome: self.outcome,
            asleep: Asleep::new(timer),
        }
    }

    /// Blocks the thread until the permits are taken. Needs no timer: the thread sleeps on the
    /// limiter's clock, in the same queue as the futures.
    ///
    /// # Errors
    ///
    /// * [`Denied::Never`] if `n` is above the capacity.
    /// * [`Denied::NotYet`] if the [timeout](Self::timeout) cannot be met, or if the queue is full.
    /// * [`Denied::Busy`] in the same cases while the permits are there, but others are ahead.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ManualClock, Quota, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(1), clock.clone());
    /// bucket.acquire(1).wait()?; // at once
    /// std::thread::scope(|scope| {
    ///     let waiter = scope.spawn(|| bucket.acquire(1).wait());
    ///     clock.advance(Duration::from_millis(100));
    ///     assert_eq!(waiter.join().unwrap(), Ok(()));
    /// });
    /// assert_eq!(bucket.available(), 0);
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub fn wait(self) -> Result<(), Denied> {
        self.outcome.unwrap_or_else(|| self.waiter.block())
    }

    /// The limiter that it waits at.
    pub const fn limiter(&self) -> &L {
        &self.waiter.call().limiter
    }

    /// Gives up the current wait, and starts a new one for `n` permits. It continues the last, if
    /// that was admitted late.
    #[cfg(any(feature = "futures", feature = "tokio"))]
    pub(super) fn restart(self: Pin<&mut Self>, n: u64) {
        let this = self.get_mut();
        this.outcome = this.waiter.restart(|call| call.n = n);
        this.asleep.wake_up();
    }
}

#[cfg(any(feature = "futures", feature = "tokio"))]
impl<L: Awaitable, T: Timer> Acquire<L, T> {
    /// Sleeps on the timer.
    pub(super) fn sleep(&self, time: Duration) -> T::Sleep {
        self.asleep.timer().sleep(time)
    }
}

/// Sleeps on the timer until the permits are taken.
///
/// # Errors
///
/// As [`Acquire::wait`].
impl<L: Awaitable, T: Timer> Future for Acquire<L, T> {
    type Output = Result<(), Denied>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(outcome) = this.outcome {
            return Poll::Ready(outcome);
        }
        match this.waiter.start() {
            Started::Done(outcome) => {
                this.outcome = Some(outcome);
                Poll::Ready(outcome)
            }
            Started::Join(refusal) => this.poll_joining(refusal, context),
            Started::Before => this.poll_waiting(context),
        }
    }
}

// Apart from `poll`, so that an admission at once is short.
impl<L: Awaitable, T: Timer> Acquire<L, T> {
    #[cold]
    #[inline(never)]
    fn poll_joining(
        &mut self,
        refusal: Option<(Hold, Timestamp)>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Denied>> {
        let polled = self.asleep.poll_joining(&mut self.waiter, refusal, context);
        self.decided(polled)
    }

    #[inline(never)]
    fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Denied>> {
        let polled = self.asleep.poll_waiting(&mut self.waiter, context);
        self.decided(polled)
    }

    /// Keeps the outcome for later polls.
    const fn decided(&mut self, polled: Poll<Result<(), Denied>>) -> Poll<Result<(), Denied>> {
        if let Poll::Ready(outcome) = polled {
            self.outcome = Some(outcome);
        }
        polled
    }
}

impl<L: Awaitable, T: SleepSlot> fmt::Debug for Acquire<L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("n", &self.waiter.call().n)
            .field("waiter", &self.waiter)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}
