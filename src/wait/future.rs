//! Futures that wait for tokens of a bucket: reserve, then sleep.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

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
    /// Takes its place in line when it is first polled, sleeps once, and is ready at its instant. Completed, it is ready at once
    /// when it is polled again.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it gives its place back as a [`Reservation`] does.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Acquire<'a, C: Clock, T: Timer> {
        bucket: &'a TokenBucket<C>,
        timer: T,
        // 0 once it is done, which is always there.
        n: u64,
        max_wait: Duration,
        // The latest instant at which it may be ready: known from the first poll on.
        deadline: Option<Timestamp>,
        place: Option<Place<'a, C>>,
        #[pin]
        sleep: Option<T::Sleep>,
    }
}

/// A place in line, and what says that the line has been dissolved.
struct Place<'a, C: Clock> {
    reservation: Reservation<'a, C>,
    reset: EventListener,
}

impl<C: Clock> TokenBucket<C> {
    /// Takes `n` tokens, asleep on `timer` until they are there.
    ///
    /// First come, first served, whatever the sizes, threads and futures alike. After a [`reset`](Self::reset) all who are asleep
    /// wake up and take new places.
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
            place: None,
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
        // Before the place is taken, so that no reset is missed that takes it away.
        let reset = bucket.resets().listen();
        let reservation = bucket.reserve_at(n, max_wait, now)?;
        Ok(Self { reservation, reset })
    }
}

impl<C: Clock, T: Timer> Future for Acquire<'_, C, T> {
    type Output = Result<(), Denied>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let now = this.bucket.clock().now();
            if let Some(place) = this.place {
                if Pin::new(&mut place.reset).poll(context).is_ready() {
                    // Everybody's place is gone; what this one held cannot come back, nor does it have to.
                    *this.place = None;
                    this.sleep.set(None);
                    continue;
                }
                let left = place.reservation.ready_at() - now;
                if left.is_zero() {
                    if let Some(place) = this.place.take() {
                        place.reservation.commit();
                    }
                    this.sleep.set(None);
                    *this.n = 0;
                    return Poll::Ready(Ok(()));
                }
                if this.sleep.is_none() {
                    this.sleep.set(Some(this.timer.sleep(left)));
                }
                // And then look at the clock: it may have been too early.
                ready!(awake(this.sleep.as_mut(), context));
                continue;
            }
            // What is there takes no place, and nothing is allocated for it.
            if this.bucket.try_acquire_at(*this.n, now).is_ok() {
                *this.n = 0;
                return Poll::Ready(Ok(()));
            }
            let deadline = *this.deadline.get_or_insert(now + *this.max_wait);
            match Place::take(this.bucket, *this.n, deadline - now, now) {
                Ok(place) => *this.place = Some(place),
                Err(denied) => {
                    *this.n = 0;
                    return Poll::Ready(Err(denied));
                }
            }
        }
    }
}

impl<C: Clock, T: Timer> fmt::Debug for Acquire<'_, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("n", &self.n)
            .field(
                "reservation",
                &self.place.as_ref().map(|place| &place.reservation),
            )
            .finish_non_exhaustive()
    }
}
