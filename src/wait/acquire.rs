//! The future that waits for permits, whatever the limiter and its owner.

use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::awaitable::{Awaitable, Waiter, sealed::PollWait};
use super::timer::Timer;
use crate::denied::Denied;
use crate::time::Timestamp;

pin_project! {
    /// Waits for permits of the limiter that `P` points to.
    ///
    /// `acquire_with` and its relatives on the limiters return a future that borrows the limiter.
    /// [`Acquire::new`] takes any pointer. A future joins the queue when it is first polled. Polled
    /// again after it resolved, it returns the same result and takes nothing.
    ///
    /// At a [`TokenBucket`](crate::TokenBucket) a future reserves its tokens, sleeps once, and is
    /// ready at its instant. A future that is never polled again, or is
    /// [forgotten](core::mem::forget), delays only itself.
    ///
    /// At any other limiter futures are served in order of arrival, whatever the sizes. Only the
    /// head tries, at the instants that the limiter hints at, and finds permits that came back
    /// earlier then. A head that is neither polled nor dropped blocks the waiters behind it until
    /// their timeouts. So do not forget a waiting future, and do not set one aside while awaiting
    /// another. Callers that do not wait are never blocked.
    ///
    /// It is [`Send`] if the pointer, the timer and the timer's sleep are.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before it is ready leaves the queue. At a bucket it cancels its
    /// reservation, as [`Reservation`](crate::Reservation) does: the tokens come back unless a
    /// later caller has reserved behind it. Otherwise they are forfeited, because the later callers
    /// keep their instants. A reservation made during a [`reset`](crate::TokenBucket::reset) is
    /// forfeited, too. At any other limiter nothing is charged before the future is ready, and the
    /// waiters behind it move up.
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
        state: State<<P::Target as PollWait>::Waiting>,
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
            if let State::Waiting(waiting) = this.state {
                this.limiter.give_up(waiting);
            }
        }
    }
}

/// The state of an [`Acquire`].
enum State<W> {
    Waiting(W),
    Done(Result<(), Denied>),
}

impl<P: Deref<Target: Awaitable>, T: Timer> Acquire<P, T> {
    /// Waits for `n` permits of the limiter behind `limiter`, asleep on `timer`, for at most
    /// `timeout`. [`Duration::MAX`] waits as long as it takes.
    ///
    /// With an [`Arc`](alloc::sync::Arc) the future owns its share of the limiter. It can be
    /// spawned, stored in a struct, and can outlive its caller. The pointer must lead to the same
    /// limiter every time, as all pointers of the standard library do. Otherwise waits may not end.
    ///
    /// # Errors
    ///
    /// Those of the limiter's `acquire_timeout_with`: [`Denied::Never`] if `n` is above its
    /// capacity, and [`Denied::NotYet`] as soon as the permits cannot come in time.
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
    /// /// The future of a service that waits in `call`: named, not boxed, and `'static`.
    /// struct Call<T: Timer> {
    ///     turn: Acquire<Arc<TokenBucket<ManualClock>>, T>,
    /// }
    ///
    /// let clock = ManualClock::new();
    /// let bucket = Arc::new(TokenBucket::with_clock(Quota::per_second(10), clock.clone()));
    /// bucket.try_acquire(10)?;
    /// // A timer that moves the clock. A program uses `TokioTimer` or `tokio::time::sleep`.
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
            state: State::Waiting(<P::Target as PollWait>::START),
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

    /// Gives up the current wait, and starts a new one for `n` permits.
    #[cfg(feature = "futures")]
    pub(super) fn restart(self: Pin<&mut Self>, n: u64) {
        let mut this = self.project();
        if let State::Waiting(waiting) = this.state {
            this.limiter.give_up(waiting);
        }
        *this.n = n;
        *this.deadline = None;
        *this.state = State::Waiting(<P::Target as PollWait>::START);
        this.sleep.set(None);
    }
}

impl<P: Deref<Target: Awaitable>, T: Timer> Future for Acquire<P, T> {
    type Output = Result<(), Denied>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let waiting = match this.state {
            State::Waiting(waiting) => waiting,
            State::Done(outcome) => return Poll::Ready(*outcome),
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
        // Given up now, and not only when this future is dropped.
        limiter.give_up(waiting);
        *this.state = State::Done(outcome);
        this.sleep.set(None);
        Poll::Ready(outcome)
    }
}

impl<P: Deref<Target: Awaitable>, T: Timer> fmt::Debug for Acquire<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Acquire");
        shown.field("n", &self.n);
        match &self.state {
            State::Waiting(waiting) => shown.field("waiting", waiting),
            State::Done(outcome) => shown.field("outcome", outcome),
        };
        shown.finish_non_exhaustive()
    }
}
