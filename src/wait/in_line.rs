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
    /// Takes its place when it is first polled. Completed, it is ready at once when it is polled again.
    ///
    /// # Cancel safety
    ///
    /// Nothing is charged before it is ready. Dropped before, it leaves the line, and those behind it move up.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct AcquireInLine<'a, L, T: Timer> {
        limiter: &'a L,
        line: &'a Line,
        timer: T,
        // 0 once it is done, which is always there.
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
        if *this.n == 0 {
            return Poll::Ready(Ok(()));
        }
        let outcome = loop {
            let now = this.limiter.now();
            let deadline = *this.deadline.get_or_insert(now + *this.timeout);
            let in_time = |denied: &Denied| match denied {
                Denied::NotYet { retry_after } => *retry_after <= deadline - now,
                Denied::Never { .. } => false,
            };
            match this.at {
                At::Start => {
                    // Nobody is overtaken; but what cannot be in time is known at once.
                    let refusal = if this.line.is_busy() {
                        this.limiter.peek_at(*this.n, now).and(Err(NOT_MY_TURN))
                    } else {
                        this.limiter.try_acquire_at(*this.n, now)
                    };
                    match refusal {
                        Err(denied) if in_time(&denied) => match this.line.join() {
                            Some(place) => *this.at = At::Behind(place),
                            None => break Err(denied),
                        },
                        outcome => break outcome,
                    }
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
            }
        };
        *this.at = At::Start;
        this.sleep.set(None);
        *this.n = 0;
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
            /// Nobody can be promised an instant, as callers who do not wait may come in between. So those who wait form a line,
            /// first come, first served, whatever the sizes: the first tries again at the instants that the limiter hints at, the
            /// others sleep without a timer.
            ///
            /// # Errors
            ///
            /// [`Denied::Never`] if `n` is above the capacity, before sleeping. [`Denied::NotYet`] before sleeping if as many wait as
            /// may ([`max_waiters`](Self::max_waiters)).
            ///
            /// # Cancel safety
            ///
            /// Nothing is charged before it completes. Dropped before, it leaves the line, and those behind it move up.
            pub const fn acquire_with<T: Timer>(&self, timer: T, n: u64) -> AcquireInLine<'_, Self, T> {
                self.acquire_timeout_with(timer, n, Duration::MAX)
            }

            /// Takes `n` permits, asleep on `timer` for at most `timeout` until they are there.
            ///
            /// # Errors
            ///
            /// As [`acquire_with`](Self::acquire_with), and [`Denied::NotYet`] as soon as they cannot be there in time, *before*
            /// sleeping for it, or after `timeout` if others were first until then.
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

            /// The same limiter, at which only so many may wait at a time; any number if not set.
            #[must_use]
            pub const fn max_waiters(mut self, most: usize) -> Self {
                self.line_mut().set_most(most as u64);
                self
            }

            /// How many wait.
            pub fn waiting(&self) -> u64 {
                self.line().waiting()
            }
        }
    )*};
}
in_line!(SlidingWindow, Combined);
