//! Futures that wait at a bucket: reserve tokens, then sleep.

use core::fmt;
#[cfg(any(feature = "std", tidegate_loom))]
use core::future::Future;
#[cfg(any(feature = "std", tidegate_loom))]
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use super::acquire::Acquire;
use super::awaitable::{Waiter, sealed::PollWait};
use super::timer::Timer;
use crate::clock::Clock;
use crate::denied::Denied;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::sync::EventListener;
#[cfg(all(feature = "std", not(tidegate_loom)))]
use crate::sync::Listener;
use crate::time::Timestamp;
use crate::token_bucket::{ReservedCharge, TokenBucket};

/// The progress of a wait at a bucket: with a reservation, or without.
#[expect(unnameable_types, reason = "only `Acquire` has one")]
pub struct BucketWait(Option<BucketTicket>);

/// A reservation, and the listener that reports a reset of the bucket.
struct BucketTicket {
    reserved: ReservedCharge,
    #[cfg(any(feature = "std", tidegate_loom))]
    reset: EventListener,
}

impl<C: Clock> TokenBucket<C> {
    /// Waits for `n` tokens, asleep on `timer`, and takes them.
    ///
    /// First come, first served, whatever the sizes, threads and futures alike: a waiter reserves
    /// its tokens and sleeps once. `n = 0` is ready at once.
    ///
    /// A [`reset`](Self::reset) wakes all sleeping futures. They reserve again within their
    /// deadlines, in the order in which their executors poll them. Without the feature `std` they
    /// sleep on. A [`credit`](Self::credit) moves no waiter forward.
    ///
    /// A [timeout](Self::acquire_timeout_with) bounds the queue: at most rate · timeout tokens are
    /// waited for, and a later caller is refused at once.
    ///
    /// The future borrows the bucket. [`Acquire::new`] makes one that owns a share of it.
    ///
    /// # Errors
    ///
    /// [`Denied::Never`] if `n` is above the capacity. [`Denied::NotYet`] if the reservations reach
    /// the longest [debt](Self::debit) or the end of the clock's time. Both before sleeping.
    ///
    /// # Cancel safety
    ///
    /// See [`Acquire`].
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ManualClock, Quota, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(1), clock.clone());
    /// // A timer that moves the clock. A program uses `TokioTimer` or `tokio::time::sleep`.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     bucket.acquire_with(timer, 1).await?; // at once
    ///     bucket.acquire_with(timer, 1).await?; // 100 ms later
    ///     let timeout = Duration::from_millis(99);
    ///     assert!(bucket.acquire_timeout_with(timer, 1, timeout).await.is_err()); // at once
    ///     Ok::<(), tidegate::Denied>(())
    /// })?;
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub const fn acquire_with<T: Timer>(&self, timer: T, n: u64) -> Acquire<&Self, T> {
        self.acquire_timeout_with(timer, n, Duration::MAX)
    }

    /// Waits for `n` tokens for at most `timeout`, asleep on `timer`, and takes them.
    ///
    /// # Errors
    ///
    /// As [`acquire_with`](Self::acquire_with), and [`Denied::NotYet`] *before* sleeping if the
    /// wait would be longer than `timeout`.
    ///
    /// # Cancel safety
    ///
    /// See [`Acquire`].
    pub const fn acquire_timeout_with<T: Timer>(
        &self,
        timer: T,
        n: u64,
        timeout: Duration,
    ) -> Acquire<&Self, T> {
        Acquire::new(self, timer, n, timeout)
    }
}

impl BucketTicket {
    fn take<C: Clock>(
        bucket: &TokenBucket<C>,
        n: u64,
        max_wait: Duration,
        now: Timestamp,
    ) -> Result<Self, Denied> {
        Ok(Self {
            // Registered before the reservation, so that no reset that cancels it is missed. So a
            // concurrent reset may cancel a reservation that was made after it. Its tokens are then
            // forfeited.
            #[cfg(any(feature = "std", tidegate_loom))]
            reset: bucket.resets().listen(),
            reserved: bucket.reserve_charge_at(n, max_wait, now)?,
        })
    }

    /// Whether the bucket was reset. If not, a reset wakes the task.
    #[cfg(any(feature = "std", tidegate_loom))]
    fn was_reset(&mut self, context: &mut Context<'_>) -> bool {
        Pin::new(&mut self.reset).poll(context).is_ready()
    }

    #[cfg(not(any(feature = "std", tidegate_loom)))]
    #[expect(clippy::unused_self, reason = "as with `std`")]
    const fn was_reset(&mut self, _: &mut Context<'_>) -> bool {
        false
    }
}

impl<C: Clock> PollWait for TokenBucket<C> {
    type Waiting = BucketWait;

    const START: BucketWait = BucketWait(None);

    fn poll_waiting<T: Timer>(
        &self,
        BucketWait(slot): &mut BucketWait,
        mut waiter: Waiter<'_, T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Denied>> {
        loop {
            let Some(ticket) = slot else {
                let now = self.clock().now();
                // Available tokens need no reservation. Neither they nor a refusal allocate.
                let Err(denied) = self.try_acquire_at(waiter.n, now) else {
                    return Poll::Ready(Ok(()));
                };
                let left = waiter.deadline(now) - now;
                if denied.retry_after().is_none_or(|wait| wait > left) {
                    return Poll::Ready(Err(denied));
                }
                match BucketTicket::take(self, waiter.n, left, now) {
                    Ok(taken) => *slot = Some(taken),
                    Err(denied) => return Poll::Ready(Err(denied)),
                }
                continue;
            };
            let left = ticket.reserved.ready_at - self.clock().now();
            // Before the check for a reset: once its instant has come the reservation is used, and
            // a reset cancels nothing.
            if left.is_zero() {
                *slot = None;
                return Poll::Ready(Ok(()));
            }
            if ticket.was_reset(context) {
                waiter.wake_up();
                // Not canceled: the reset has returned its tokens. An undo would return another
                // call's tokens if the TAT is at the same grain again.
                *slot = None;
                continue;
            }
            waiter.fall_asleep(left);
            // Then read the clock again, because the timer may have been early.
            ready!(waiter.poll_awake(context));
        }
    }

    fn give_up(&self, BucketWait(slot): &mut BucketWait) {
        if let Some(ticket) = slot.take() {
            // As in `poll_waiting`: tokens that a reset has returned are not returned again.
            #[cfg(any(feature = "std", tidegate_loom))]
            if ticket.reset.discard() {
                return;
            }
            self.cancel_at(&ticket.reserved, self.clock().now());
        }
    }
}

impl fmt::Debug for BucketWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("BucketWait");
        if let Some(ticket) = &self.0 {
            shown.field("ready_at", &ticket.reserved.ready_at);
        }
        shown.finish()
    }
}
