//! Futures that wait for permits: what they have in common, whatever the limiter and whoever owns it.

use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::awaitable::{Awaitable, Waiter};
use super::timer::Timer;
use crate::denied::Denied;
use crate::time::Timestamp;

pin_project! {
    /// Waits for permits of the limiter that `P` points to: made by the `acquire_with` of the limiters and its kin, which borrow them,
    /// or by [`Acquire::new`] from any pointer.
    ///
    /// Takes its place in line when it is first polled. Polled again once it has completed, it says the same again and takes nothing.
    ///
    /// At a [`TokenBucket`](crate::TokenBucket) it sleeps once, and is ready at its instant. Not polled for long, or
    /// [forgotten](core::mem::forget), it keeps its own tokens and holds nobody up.
    ///
    /// At a window or a combination it is served in order of arrival, whatever the sizes. Only the first in line looks at the limiter,
    /// at the instants that the limiter hints at: what is given back earlier it finds then. Like any queue, the line is held up by a
    /// first one that is neither polled nor dropped: those behind it wait until their timeouts. So do not forget a future that waits
    /// there, nor keep it aside while you await another. Callers who do not wait are never held up.
    ///
    /// It is [`Send`] if the pointer, the timer and the timer's sleep are.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it gives its place up. At a bucket that is as a [`Reservation`](crate::Reservation) does it: the
    /// tokens come back if nobody took a place behind it, and otherwise are forfeited, for those behind it keep their instants. (So
    /// are those of a place that was taken while a [`reset`](crate::TokenBucket::reset) was under way.) At a window or a combination
    /// nothing is charged before it is ready, and those behind it move up.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Acquire<P, T>
    where
        P: Deref,
        P::Target: Awaitable,
        T: Timer,
    {
        limiter: P,
        timer: T,
        n: u64,
        timeout: Duration,
        deadline: Option<Timestamp>,
        at: At<<P::Target as Awaitable>::Waiting>,
        #[pin]
        sleep: Option<T::Sleep>,
    }

    impl<P, T> PinnedDrop for Acquire<P, T>
    where
        P: Deref,
        P::Target: Awaitable,
        T: Timer,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let At::Waiting(waiting) = this.at {
                this.limiter.give_up(waiting);
            }
        }
    }
}

/// How far it is.
enum At<W> {
    Waiting(W),
    Done(Result<(), Denied>),
}

impl<P: Deref<Target: Awaitable>, T: Timer> Acquire<P, T> {
    /// Takes `n` permits of the limiter that `limiter` points to, asleep on `timer` for at most `timeout` until they are there:
    /// [`Duration::MAX`] for as long as it takes.
    ///
    /// With an [`Arc`](alloc::sync::Arc) the future owns its share of the limiter: it can be spawned, kept in a struct, and outlive
    /// whoever made it. The pointer may be of any kind that leads to the same limiter each time, as all of the standard library's
    /// do; with one that does not, places are given up where they were not taken, and waits may not end.
    ///
    /// # Errors
    ///
    /// Those of the limiter's `acquire_timeout_with`: [`Denied::Never`] if `n` is above its capacity, and [`Denied::NotYet`] as soon as
    /// it is known that the permits cannot be there in time.
    ///
    /// # Cancel safety
    ///
    /// See [`Acquire`].
    ///
    /// ```
    /// use core::time::Duration;
    /// use std::sync::Arc;
    /// use tidegate::{Acquire, ManualClock, Quota, Timer, TokenBucket};
    ///
    /// /// What a service returns that waits in `call`: named, not boxed, and `'static`.
    /// struct Call<T: Timer> {
    ///     turn: Acquire<Arc<TokenBucket<ManualClock>>, T>,
    /// }
    ///
    /// let clock = ManualClock::new();
    /// let bucket = Arc::new(TokenBucket::with_clock(Quota::per_second(10), clock.clone()));
    /// bucket.try_acquire(10)?;
    /// // A timer that moves the clock instead of sleeping; in a program: `TokioTimer`, or `tokio::time::sleep`.
    /// let timer = move |wait: Duration| core::future::ready(clock.advance(wait));
    /// let call = Call { turn: Acquire::new(bucket, timer, 1, Duration::MAX) };
    ///
    /// let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    /// let task = runtime.spawn(call.turn);
    /// assert_eq!(runtime.block_on(task)?, Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn new(limiter: P, timer: T, n: u64, timeout: Duration) -> Self {
        Self {
            limiter,
            timer,
            n,
            timeout,
            deadline: None,
            at: At::Waiting(<P::Target as Awaitable>::START),
            sleep: None,
        }
    }

    #[cfg(feature = "futures")]
    pub(super) fn limiter(&self) -> &P::Target {
        &self.limiter
    }

    #[cfg(feature = "futures")]
    pub(super) const fn timer(&self) -> &T {
        &self.timer
    }

    /// Gives up what it waits for, and begins a new wait, for `n` permits.
    #[cfg(feature = "futures")]
    pub(super) fn restart(self: Pin<&mut Self>, n: u64) {
        let mut this = self.project();
        if let At::Waiting(waiting) = this.at {
            this.limiter.give_up(waiting);
        }
        *this.n = n;
        *this.deadline = None;
        *this.at = At::Waiting(<P::Target as Awaitable>::START);
        this.sleep.set(None);
    }
}

impl<P: Deref<Target: Awaitable>, T: Timer> Future for Acquire<P, T> {
    type Output = Result<(), Denied>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let waiting = match this.at {
            At::Waiting(waiting) => waiting,
            At::Done(outcome) => return Poll::Ready(*outcome),
        };
        let limiter = &**this.limiter;
        let waiter = Waiter {
            n: *this.n,
            timeout: *this.timeout,
            deadline: this.deadline,
            timer: this.timer,
            sleep: this.sleep.as_mut(),
        };
        let outcome = ready!(limiter.poll_waiting(waiting, waiter, context));
        // The place is given up here, and not only when this is dropped.
        limiter.give_up(waiting);
        *this.at = At::Done(outcome);
        this.sleep.set(None);
        Poll::Ready(outcome)
    }
}

impl<P: Deref<Target: Awaitable>, T: Timer> fmt::Debug for Acquire<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Acquire");
        shown.field("n", &self.n);
        match &self.at {
            At::Waiting(waiting) => shown.field("waiting", waiting),
            At::Done(outcome) => shown.field("outcome", outcome),
        };
        shown.finish_non_exhaustive()
    }
}
