//! Futures that wait in line at a limiter which cannot promise an instant.

use core::fmt;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::line::{Line, Place};
use super::timer::{Timer, awake};
use crate::clock::Clock;
use crate::combined::Combined;
use crate::denied::Denied;
use crate::limiter::Limiter;
use crate::sliding_window::SlidingWindow;
use crate::time::Timestamp;

pin_project! {
    /// Waits in line at a window or a combination: made by their `acquire_with` and its kin.
    ///
    /// Takes its place when it is first polled, and the place is served in order of arrival, whatever the sizes. Only the first in
    /// line looks at the limiter, at the instants that the limiter hints at: what is given back earlier it finds then. Polled again
    /// once it has completed, it says the same again and charges nothing.
    ///
    /// Like any queue, the line is held up by a first one that is neither polled nor dropped: those behind it wait until their
    /// timeouts. So do not [`forget`](core::mem::forget) a future that waits, nor keep it aside while you await another. Callers who do
    /// not wait are never held up.
    ///
    /// # Cancel safety
    ///
    /// Nothing is charged before it is ready. Dropped before, it leaves the line, and those behind it move up.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct AcquireInLine<'a, L, T: Timer> {
        limiter: &'a L,
        line: &'a Line,
        timer: T,
        n: u64,
        timeout: Duration,
        // Known from the first poll on.
        deadline: Option<Timestamp>,
        at: At<'a>,
        // Until the next try at the head, or until the deadline behind others.
        #[pin]
        sleep: Option<T::Sleep>,
    }
}

/// How far it is.
enum At<'a> {
    Start,
    Behind(Place<'a>),
    Head(#[expect(dead_code, reason = "it is left when this is dropped")] Place<'a>),
    Done(Result<(), Denied>),
}

impl<'a, L, T: Timer> AcquireInLine<'a, L, T> {
    pub(crate) const fn new(
        limiter: &'a L,
        line: &'a Line,
        timer: T,
        n: u64,
        timeout: Duration,
    ) -> Self {
        Self {
            limiter,
            line,
            timer,
            n,
            timeout,
            deadline: None,
            at: At::Start,
            sleep: None,
        }
    }
}

impl<L: Limiter, T: Timer> Future for AcquireInLine<'_, L, T> {
    type Output = Result<(), Denied>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let outcome = loop {
            if let At::Done(outcome) = *this.at {
                return Poll::Ready(outcome);
            }
            if *this.n == 0 {
                break Ok(());
            }
            let now = this.limiter.now();
            let deadline = *this.deadline.get_or_insert(now + *this.timeout);
            let in_time = |denied: &Denied| match denied {
                Denied::NotYet { retry_after } => *retry_after <= deadline - now,
                Denied::Never { .. } => false,
            };
            match this.at {
                At::Start => {
                    // Nobody is overtaken; but what cannot be in time is known at once.
                    let is_first = !this.line.is_busy();
                    let tried = if is_first {
                        this.limiter.try_acquire_at(*this.n, now)
                    } else {
                        this.limiter.peek_at(*this.n, now).and(Err(NOT_MY_TURN))
                    };
                    let denied = match tried {
                        Err(denied) if in_time(&denied) => denied,
                        outcome => break outcome,
                    };
                    let Some(mut place) = this.line.join() else {
                        break Err(denied);
                    };
                    if place.poll_head(context).is_pending() {
                        *this.at = At::Behind(place);
                        continue;
                    }
                    if is_first {
                        // It has just been told when to try again.
                        let wait = denied.retry_after().map(|wait| this.timer.sleep(wait));
                        this.sleep.set(wait);
                    }
                    *this.at = At::Head(place);
                }
                At::Behind(place) => {
                    if place.poll_head(context).is_ready() {
                        this.sleep.set(None);
                        if let At::Behind(place) = mem::replace(this.at, At::Start) {
                            *this.at = At::Head(place);
                        }
                        continue;
                    }
                    if deadline == Timestamp::MAX {
                        return Poll::Pending;
                    }
                    if now >= deadline {
                        break this.limiter.peek_at(*this.n, now).and(Err(NOT_MY_TURN));
                    }
                    if this.sleep.is_none() {
                        this.sleep.set(Some(this.timer.sleep(deadline - now)));
                    }
                    ready!(awake(this.sleep.as_mut(), context));
                }
                At::Head(_) => {
                    if this.sleep.is_some() {
                        ready!(awake(this.sleep.as_mut(), context));
                        continue;
                    }
                    match this.limiter.try_acquire_at(*this.n, now) {
                        Err(Denied::NotYet { retry_after }) if retry_after <= deadline - now => {
                            this.sleep.set(Some(this.timer.sleep(retry_after)));
                        }
                        outcome => break outcome,
                    }
                }
                At::Done(_) => {}
            }
        };
        // The place is left here, and not only when this is dropped.
        *this.at = At::Done(outcome);
        this.sleep.set(None);
        Poll::Ready(outcome)
    }
}

/// It would be admitted if nobody were before it: a guess, as it is not known how long they take.
const NOT_MY_TURN: Denied = Denied::NotYet {
    retry_after: Duration::from_millis(1),
};

impl<L, T: Timer> fmt::Debug for AcquireInLine<'_, L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireInLine")
            .field("n", &self.n)
            .field("at_head", &matches!(self.at, At::Head(_)))
            .finish_non_exhaustive()
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
            pub const fn acquire_with<T: Timer>(&self, timer: T, n: u64) -> AcquireInLine<'_, Self, T> {
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
            ) -> AcquireInLine<'_, Self, T> {
                AcquireInLine::new(self, self.line(), timer, n, timeout)
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
    )*};
}
in_line!(SlidingWindow, Combined);
