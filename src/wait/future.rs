//! Futures that wait for tokens of a bucket: reserve, then sleep.

use core::fmt;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

#[cfg(feature = "std")]
use event_listener::EventListener;
use pin_project_lite::pin_project;

use super::reservation::Reservation;
use super::timer::{Timer, awake};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;

pin_project! {
    /// Waits for tokens of a [`TokenBucket`]: made by [`acquire_with`](TokenBucket::acquire_with) and its kin.
    ///
    /// Takes its place in line when it is first polled, sleeps once, and is ready at its instant. Polled again once it has
    /// completed, it says the same again and takes nothing. Not polled for long, or [forgotten](core::mem::forget), it keeps its own
    /// tokens and holds nobody up.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it gives its place back as a [`Reservation`] does: the tokens come back if nobody took a place
    /// behind it, and otherwise are forfeited, for those behind it keep their instants. (So are those of a place that was taken
    /// while a [`reset`](TokenBucket::reset) was under way.)
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Acquire<'a, C: Clock, T: Timer> {
        bucket: &'a TokenBucket<C>,
        timer: T,
        n: u64,
        max_wait: Duration,
        // The latest instant at which it may be ready: known from the first refusal on.
        deadline: Option<Timestamp>,
        at: At<'a, C>,
        #[pin]
        sleep: Option<T::Sleep>,
    }
}

/// How far it is.
enum At<'a, C: Clock> {
    Start,
    Placed(Place<'a, C>),
    Done(Result<(), Denied>),
}

/// A place in line, and what says that the line has been dissolved.
struct Place<'a, C: Clock> {
    reservation: Reservation<'a, C>,
    #[cfg(feature = "std")]
    reset: EventListener,
}

impl<C: Clock> TokenBucket<C> {
    /// Takes `n` tokens, asleep on `timer` until they are there.
    ///
    /// First come, first served, whatever the sizes, threads and futures alike. After a [`reset`](Self::reset) all futures that are
    /// asleep wake up and take new places, in the order in which their executors poll them, within the same deadlines (without the
    /// feature `std` they sleep on). A [`credit`](Self::credit) moves nobody forward. `n = 0` is ready at once.
    ///
    /// There is no number of waiters to set: a [timeout](Self::acquire_timeout_with) bounds the line, since whoever comes once it is
    /// that long is refused at once. At most rate · timeout tokens are waited for.
    ///
    /// # Errors
    ///
    /// [`Denied::Never`] if `n` is above the capacity; [`Denied::NotYet`] only if the waiting line has reached its end (see
    /// [`debit`](Self::debit)). Both before sleeping.
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
    /// // A timer that moves the clock instead of sleeping; in a program: `TokioTimer`, or `tokio::time::sleep`.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     bucket.acquire_with(timer, 1).await?; // there already
    ///     bucket.acquire_with(timer, 1).await?; // 100 ms later
    ///     let timeout = Duration::from_millis(99);
    ///     assert!(bucket.acquire_timeout_with(timer, 1, timeout).await.is_err()); // known at once
    ///     Ok::<(), tidegate::Denied>(())
    /// })?;
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub const fn acquire_with<T: Timer>(&self, timer: T, n: u64) -> Acquire<'_, C, T> {
        self.acquire_timeout_with(timer, n, Duration::MAX)
    }

    /// Takes `n` tokens, asleep on `timer` for at most `timeout` until they are there.
    ///
    /// # Errors
    ///
    /// As [`acquire_with`](Self::acquire_with), and [`Denied::NotYet`] if the wait would be longer than `timeout`. That is known,
    /// and returned, *before* sleeping; so a timeout bounds the line as well.
    ///
    /// # Cancel safety
    ///
    /// See [`Acquire`].
    pub const fn acquire_timeout_with<T: Timer>(
        &self,
        timer: T,
        n: u64,
        timeout: Duration,
    ) -> Acquire<'_, C, T> {
        Acquire {
            bucket: self,
            timer,
            n,
            max_wait: timeout,
            deadline: None,
            at: At::Start,
            sleep: None,
        }
    }
}

impl<'a, C: Clock> Place<'a, C> {
    fn take(
        bucket: &'a TokenBucket<C>,
        n: u64,
        max_wait: Duration,
        now: Timestamp,
    ) -> Result<Self, Denied> {
        Ok(Self {
            // Before the place is taken, so that no reset is missed that takes it away. One that is under way may so dissolve a place
            // that was taken after it, and its tokens are forfeited.
            #[cfg(feature = "std")]
            reset: bucket.resets().listen(),
            reservation: bucket.reserve_at(n, max_wait, now)?,
        })
    }

    /// Whether the bucket was reset; if not, the task is woken when it is.
    #[cfg(feature = "std")]
    fn is_dissolved(&mut self, context: &mut Context<'_>) -> bool {
        Pin::new(&mut self.reset).poll(context).is_ready()
    }

    #[cfg(not(feature = "std"))]
    #[expect(clippy::unused_self, reason = "as with `std`")]
    const fn is_dissolved(&mut self, _: &mut Context<'_>) -> bool {
        false
    }
}

impl<C: Clock, T: Timer> Future for Acquire<'_, C, T> {
    type Output = Result<(), Denied>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let outcome = loop {
            match this.at {
                At::Start => {
                    let now = this.bucket.clock().now();
                    // What is there takes no place, and nothing is allocated for it, nor for a refusal.
                    let denied = match this.bucket.try_acquire_at(*this.n, now) {
                        Err(denied) => denied,
                        admitted => break admitted,
                    };
                    let deadline = *this.deadline.get_or_insert(now + *this.max_wait);
                    if denied
                        .retry_after()
                        .is_none_or(|wait| wait > deadline - now)
                    {
                        break Err(denied);
                    }
                    match Place::take(this.bucket, *this.n, deadline - now, now) {
                        Ok(place) => *this.at = At::Placed(place),
                        Err(denied) => break Err(denied),
                    }
                }
                At::Placed(place) => {
                    let left = place.reservation.delay();
                    // Before the look at resets: once its instant has come, the place has been used, and a reset takes nothing away.
                    if left.is_zero() {
                        if let At::Placed(place) = mem::replace(this.at, At::Start) {
                            place.reservation.commit();
                        }
                        break Ok(());
                    }
                    if place.is_dissolved(context) {
                        this.sleep.set(None);
                        if let At::Placed(place) = mem::replace(this.at, At::Start) {
                            // Not cancelled: the reset has given its tokens back, and an undo would give somebody else's if the
                            // bucket's time has come to the same grain again.
                            place.reservation.commit();
                        }
                        continue;
                    }
                    if this.sleep.is_none() {
                        this.sleep.set(Some(this.timer.sleep(left)));
                    }
                    // And then look at the clock: it may have been too early.
                    ready!(awake(this.sleep.as_mut(), context));
                }
                At::Done(outcome) => return Poll::Ready(*outcome),
            }
        };
        *this.at = At::Done(outcome);
        this.sleep.set(None);
        Poll::Ready(outcome)
    }
}

impl<C: Clock, T: Timer> fmt::Debug for Acquire<'_, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reservation = match &self.at {
            At::Placed(place) => Some(&place.reservation),
            At::Start | At::Done(_) => None,
        };
        f.debug_struct("Acquire")
            .field("n", &self.n)
            .field("reservation", &reservation)
            .finish_non_exhaustive()
    }
}
