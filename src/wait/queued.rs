//! Futures that wait at a limiter which cannot promise an instant: in its wait queue.

use core::fmt;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use super::acquire::Acquire;
use super::awaitable::{Waiter, sealed::PollWait};
use super::timer::Timer;
use crate::clock::Clock;
use crate::combined::Combined;
use crate::denied::Denied;
use crate::limiter::Limiter;
use crate::sharded::ShardedTokenBucket;
use crate::sliding_window::SlidingWindow;
use crate::sync::{Ticket, WaitQueue};
use crate::time::Timestamp;

/// The progress of a wait: with a ticket, or not yet in the queue.
#[expect(unnameable_types, reason = "only `Acquire` has one")]
pub struct QueuedWait(Option<Ticket>);

impl QueuedWait {
    /// The head sleeps until its next try. A waiter behind it sleeps until its deadline.
    fn poll_at<L: Limiter, T: Timer>(
        &mut self,
        limiter: &L,
        queue: &WaitQueue,
        mut waiter: Waiter<'_, T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Denied>> {
        let n = waiter.n;
        if n == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let now = limiter.now();
            let deadline = waiter.deadline(now);
            let in_time = |denied: &Denied| {
                denied
                    .retry_after()
                    .is_some_and(|wait| wait <= deadline - now)
            };
            match &mut self.0 {
                None => {
                    // No waiter is overtaken, and a deadline that cannot be met is refused at once.
                    let is_first = !queue.is_busy();
                    let tried = if is_first {
                        limiter.try_acquire_at(n, now)
                    } else {
                        limiter.peek_at(n, now).and(Err(BEHIND_OTHERS))
                    };
                    let denied = match tried {
                        Err(denied) if in_time(&denied) => denied,
                        outcome => return Poll::Ready(outcome),
                    };
                    let Some(ticket) = queue.enter() else {
                        return Poll::Ready(Err(denied));
                    };
                    // Stored before anything can panic, so that it is given up in any case.
                    let ticket = self.0.insert(ticket);
                    if ticket.poll_head(queue, context).is_ready() && is_first {
                        // The limiter has just hinted when to try again.
                        if let Some(wait) = denied.retry_after() {
                            waiter.fall_asleep(wait);
                        }
                    }
                }
                Some(Ticket::Head) => {
                    if waiter.is_asleep() {
                        ready!(waiter.poll_awake(context));
                        continue;
                    }
                    match limiter.try_acquire_at(n, now) {
                        Err(Denied::NotYet { retry_after }) if retry_after <= deadline - now => {
                            waiter.fall_asleep(retry_after);
                        }
                        outcome => return Poll::Ready(outcome),
                    }
                }
                Some(ticket) => {
                    if ticket.poll_head(queue, context).is_ready() {
                        waiter.wake_up();
                        continue;
                    }
                    if deadline == Timestamp::MAX {
                        return Poll::Pending;
                    }
                    if now >= deadline {
                        return Poll::Ready(limiter.peek_at(n, now).and(Err(BEHIND_OTHERS)));
                    }
                    waiter.fall_asleep(deadline - now);
                    ready!(waiter.poll_awake(context));
                }
            }
        }
    }
}

/// The call would be admitted if it were the head. How long the waiters ahead take is unknown.
const BEHIND_OTHERS: Denied = Denied::Busy {
    retry_after_nanos: 1_000_000,
};

impl fmt::Debug for QueuedWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at_head = matches!(self.0, Some(Ticket::Head));
        f.debug_struct("QueuedWait")
            .field("at_head", &at_head)
            .finish()
    }
}

/// The waits of a limiter that has a wait queue.
macro_rules! queued_waits {
    ($($limiter:ident),*) => {$(
        impl<C: Clock> $limiter<C> {
            /// Waits for `n` permits, asleep on `timer`, and takes them.
            ///
            /// Waiting futures form a queue: first come, first served, whatever the sizes. The head
            /// tries at the instants that the limiter hints at; the others sleep without a timer.
            /// Callers that do not wait, and blocked threads, may overtake the queue, so a waiter
            /// has no promised instant. `n = 0` is ready at once.
            ///
            /// The future borrows the limiter. [`Acquire::new`] makes one that owns a share of it.
            ///
            /// # Errors
            ///
            /// [`Denied::Never`] if `n` is above the capacity, before sleeping. [`Denied::NotYet`]
            /// or [`Denied::Busy`] before sleeping if the queue is full
            /// ([`max_waiters`](Self::max_waiters)), or if the permits would come after the end of
            /// the clock's time.
            ///
            /// # Cancel safety
            ///
            /// Nothing is charged before the future resolves. A dropped future leaves the queue,
            /// and the waiters behind it move up.
            ///
            /// ```
            /// use core::time::Duration;
            /// use tidegate::{ManualClock, SlidingWindow};
            ///
            /// let clock = ManualClock::new();
            /// let window = SlidingWindow::with_clock(1, Duration::from_secs(64), clock.clone())?;
            /// // A timer that moves the clock. A program uses `tokio::time::sleep`.
            /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
            ///
            /// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            /// runtime.block_on(async {
            ///     window.acquire_with(timer, 1).await?; // room at once
            ///     let timeout = Duration::from_secs(64);
            ///     let refused = window.acquire_timeout_with(timer, 1, timeout).await; // at once
            ///     assert!(refused.is_err());
            ///     window.acquire_with(timer, 1).await?; // a window and a slot later
            ///     assert_eq!(window.wait_time(1), Some(Duration::from_secs(65)));
            ///     Ok::<(), tidegate::Denied>(())
            /// })?;
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub const fn acquire_with<T: Timer>(&self, timer: T, n: u64) -> Acquire<&Self, T> {
                self.acquire_timeout_with(timer, n, Duration::MAX)
            }

            /// Waits for `n` permits for at most `timeout`, asleep on `timer`, and takes them.
            ///
            /// # Errors
            ///
            /// As [`acquire_with`](Self::acquire_with). Also [`Denied::NotYet`] as soon as the
            /// permits cannot come in time, *before* sleeping for them, and [`Denied::Busy`] if
            /// other waiters are ahead and the timeout ends first, or is below 1 ms.
            ///
            /// # Cancel safety
            ///
            /// As [`acquire_with`](Self::acquire_with).
            pub const fn acquire_timeout_with<T: Timer>(
                &self,
                timer: T,
                n: u64,
                timeout: Duration,
            ) -> Acquire<&Self, T> {
                Acquire::new(self, timer, n, timeout)
            }

            /// Returns the same limiter with a bounded wait queue; by default it is unbounded.
            ///
            /// A future that finds the queue full is refused at once, unless it is admitted without
            /// waiting. Blocked threads do not count.
            ///
            /// ```
            /// # use core::{future::Future, pin::pin, time::Duration};
            /// # use core::task::{Context, Poll, Waker};
            /// use tidegate::{ManualClock, SlidingWindow};
            ///
            /// let minute = Duration::from_secs(60);
            /// let window = SlidingWindow::with_clock(1, minute, ManualClock::new())?;
            /// let window = window.max_waiters(1);
            /// window.try_acquire(1)?;
            /// # let never = |_| core::future::pending();
            /// # let mut context = Context::from_waker(Waker::noop());
            /// let mut first = pin!(window.acquire_with(never, 1));
            /// let mut second = pin!(window.acquire_with(never, 1));
            /// assert!(first.as_mut().poll(&mut context).is_pending());
            /// assert_eq!(window.waiting(), 1);
            /// assert!(matches!(second.as_mut().poll(&mut context), Poll::Ready(Err(_))));
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            #[must_use]
            pub const fn max_waiters(mut self, most: usize) -> Self {
                self.wait_queue_mut().set_most(most as u64);
                self
            }

            /// Returns the number of waiting futures, the head included.
            pub fn waiting(&self) -> u64 {
                self.wait_queue().waiting()
            }
        }

        impl<C: Clock> PollWait for $limiter<C> {
            type Waiting = QueuedWait;

            const START: QueuedWait = QueuedWait(None);

            fn poll_waiting<T: Timer>(
                &self,
                waiting: &mut QueuedWait,
                waiter: Waiter<'_, T>,
                context: &mut Context<'_>,
            ) -> Poll<Result<(), Denied>> {
                waiting.poll_at(self, self.wait_queue(), waiter, context)
            }

            fn give_up(&self, QueuedWait(ticket): &mut QueuedWait) {
                if let Some(ticket) = ticket.take() {
                    ticket.give_up(self.wait_queue());
                }
            }
        }
    )*};
}
queued_waits!(SlidingWindow, Combined, ShardedTokenBucket);
