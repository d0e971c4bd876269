//! How futures wait at a limiter that cannot promise an instant: in line.

use core::fmt;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use super::awaitable::{Awaitable, Waiter};
use super::future::Acquire;
use super::line::{Line, Place};
use super::timer::Timer;
use crate::clock::Clock;
use crate::combined::Combined;
use crate::denied::Denied;
use crate::limiter::Limiter;
use crate::sharded::ShardedTokenBucket;
use crate::sliding_window::SlidingWindow;
use crate::time::Timestamp;

/// How far somebody is who waits in line: with a place, or without.
#[expect(unnameable_types, reason = "only `Acquire` has one")]
pub struct InLine(Option<Place>);

impl InLine {
    /// The waiter sleeps until the next try at the head, or until the deadline behind others.
    fn poll_at<L: Limiter, T: Timer>(
        &mut self,
        limiter: &L,
        line: &Line,
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
                    // Nobody is overtaken; but what cannot be in time is known at once.
                    let is_first = !line.is_busy();
                    let tried = if is_first {
                        limiter.try_acquire_at(n, now)
                    } else {
                        limiter.peek_at(n, now).and(Err(NOT_MY_TURN))
                    };
                    let denied = match tried {
                        Err(denied) if in_time(&denied) => denied,
                        outcome => return Poll::Ready(outcome),
                    };
                    let Some(place) = line.enter() else {
                        return Poll::Ready(Err(denied));
                    };
                    // Kept before anything can panic, or nobody would give it up.
                    let place = self.0.insert(place);
                    if place.poll_head(line, context).is_ready() && is_first {
                        // It has just been told when to try again.
                        if let Some(wait) = denied.retry_after() {
                            waiter.fall_asleep(wait);
                        }
                    }
                }
                Some(Place::Head) => {
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
                Some(place) => {
                    if place.poll_head(line, context).is_ready() {
                        waiter.wake_up();
                        continue;
                    }
                    if deadline == Timestamp::MAX {
                        return Poll::Pending;
                    }
                    if now >= deadline {
                        return Poll::Ready(limiter.peek_at(n, now).and(Err(NOT_MY_TURN)));
                    }
                    waiter.fall_asleep(deadline - now);
                    ready!(waiter.poll_awake(context));
                }
            }
        }
    }
}

/// It would be admitted if nobody were before it: a guess, as it is not known how long they take.
const NOT_MY_TURN: Denied = Denied::Busy {
    retry_after: Duration::from_millis(1),
};

impl fmt::Debug for InLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at_head = matches!(self.0, Some(Place::Head));
        f.debug_struct("InLine").field("at_head", &at_head).finish()
    }
}

/// The waits of a limiter that has a line.
macro_rules! in_line {
    ($($limiter:ident),*) => {$(
        impl<C: Clock> $limiter<C> {
            /// Takes `n` permits, asleep on `timer` until they are there.
            ///
            /// Nobody can be promised an instant, as callers who do not wait, and threads that do, may come in between. So the
            /// futures that wait form a line, first come, first served, whatever the sizes: the first tries again at the instants
            /// that the limiter hints at, the others sleep without a timer. `n = 0` is ready at once.
            ///
            /// The future borrows the limiter; [`Acquire::new`] makes one that owns a share of it.
            ///
            /// # Errors
            ///
            /// [`Denied::Never`] if `n` is above the capacity, before sleeping. [`Denied::NotYet`] before sleeping if as many wait as
            /// may ([`max_waiters`](Self::max_waiters)), and if the room would come after the end of the clock's time.
            ///
            /// # Cancel safety
            ///
            /// Nothing is charged before it completes. Dropped before, it leaves the line, and those behind it move up.
            ///
            /// ```
            /// use core::time::Duration;
            /// use tidegate::{ManualClock, SlidingWindow};
            ///
            /// let clock = ManualClock::new();
            /// let window = SlidingWindow::with_clock(1, Duration::from_secs(64), clock.clone())?;
            /// // A timer that moves the clock instead of sleeping; in a program: `TokioTimer`, or `tokio::time::sleep`.
            /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
            ///
            /// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            /// runtime.block_on(async {
            ///     window.acquire_with(timer, 1).await?; // room at once
            ///     let timeout = Duration::from_secs(64);
            ///     assert!(window.acquire_timeout_with(timer, 1, timeout).await.is_err()); // known at once
            ///     window.acquire_with(timer, 1).await?; // a window and a slot later
            ///     assert_eq!(window.wait_time(1), Some(Duration::from_secs(65)));
            ///     Ok::<(), tidegate::Denied>(())
            /// })?;
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub const fn acquire_with<T: Timer>(&self, timer: T, n: u64) -> Acquire<&Self, T> {
                self.acquire_timeout_with(timer, n, Duration::MAX)
            }

            /// Takes `n` permits, asleep on `timer` for at most `timeout` until they are there.
            ///
            /// # Errors
            ///
            /// As [`acquire_with`](Self::acquire_with), and [`Denied::NotYet`] as soon as they cannot be there in time, *before*
            /// sleeping for it, or after `timeout` if others were first until then. Where only those before it keep it from being
            /// admitted, the hint is a guess.
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

            /// The same limiter, at which only so many futures may wait at a time; any number if not set. Whoever comes on top of
            /// them is refused at once, unless it is admitted without waiting. Threads that wait are not counted.
            ///
            /// ```
            /// # use core::{future::Future, pin::pin, task::{Context, Poll, Waker}, time::Duration};
            /// use tidegate::{ManualClock, SlidingWindow};
            ///
            /// let window = SlidingWindow::with_clock(1, Duration::from_secs(60), ManualClock::new())?.max_waiters(1);
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
                self.line_mut().set_most(most as u64);
                self
            }

            /// How many futures wait, the first in line included.
            pub fn waiting(&self) -> u64 {
                self.line().waiting()
            }
        }

        impl<C: Clock> Awaitable for $limiter<C> {
            type Waiting = InLine;

            const START: InLine = InLine(None);

            fn poll_waiting<T: Timer>(
                &self,
                waiting: &mut InLine,
                waiter: Waiter<'_, T>,
                context: &mut Context<'_>,
            ) -> Poll<Result<(), Denied>> {
                waiting.poll_at(self, self.line(), waiter, context)
            }

            fn give_up(&self, InLine(place): &mut InLine) {
                if let Some(place) = place.take() {
                    place.give_up(self.line());
                }
            }
        }
    )*};
}
in_line!(SlidingWindow, Combined, ShardedTokenBucket);
