//! How futures wait at a bucket: book tokens, then sleep.

use core::fmt;
#[cfg(feature = "std")]
use core::future::Future;
#[cfg(feature = "std")]
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

#[cfg(feature = "std")]
use event_listener::{EventListener, Listener};

use super::awaitable::{Awaitable, Waiter};
use super::future::Acquire;
use super::timer::Timer;
use crate::clock::Clock;
use crate::denied::Denied;
use crate::time::Timestamp;
use crate::token_bucket::{ReservedCharge, TokenBucket};

/// How far somebody is who waits at a bucket: with a place in line, or without.
#[expect(unnameable_types, reason = "only `Acquire` has one")]
pub struct BucketWait(Option<Place>);

/// A place in line, and what says that the line has been dissolved.
struct Place {
    booked: ReservedCharge,
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
    /// The future borrows the bucket; [`Acquire::new`] makes one that owns a share of it.
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
    pub const fn acquire_with<T: Timer>(&self, timer: T, n: u64) -> Acquire<&Self, T> {
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
    ) -> Acquire<&Self, T> {
        Acquire::new(self, timer, n, timeout)
    }
}

impl Place {
    fn take<C: Clock>(
        bucket: &TokenBucket<C>,
        n: u64,
        max_wait: Duration,
        now: Timestamp,
    ) -> Result<Self, Denied> {
        Ok(Self {
            // Before the place is taken, so that no reset is missed that takes it away. One that is under way may so dissolve a place
            // that was taken after it, and its tokens are forfeited.
            #[cfg(feature = "std")]
            reset: bucket.resets().listen(),
            booked: bucket.reserve_charge_at(n, max_wait, now)?,
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

impl<C: Clock> Awaitable for TokenBucket<C> {
    type Waiting = BucketWait;

    const START: BucketWait = BucketWait(None);

    fn poll_waiting<T: Timer>(
        &self,
        BucketWait(place): &mut BucketWait,
        mut waiter: Waiter<'_, T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Denied>> {
        loop {
            let Some(placed) = place else {
                let now = self.clock().now();
                // What is there takes no place, and nothing is allocated for it, nor for a refusal.
                let Err(denied) = self.try_acquire_at(waiter.n, now) else {
                    return Poll::Ready(Ok(()));
                };
                let left = waiter.deadline(now) - now;
                if denied.retry_after().is_none_or(|wait| wait > left) {
                    return Poll::Ready(Err(denied));
                }
                match Place::take(self, waiter.n, left, now) {
                    Ok(taken) => *place = Some(taken),
                    Err(denied) => return Poll::Ready(Err(denied)),
                }
                continue;
            };
            let left = placed.booked.ready_at - self.clock().now();
            // Before the look at resets: once its instant has come, the place has been used, and a reset takes nothing away.
            if left.is_zero() {
                *place = None;
                return Poll::Ready(Ok(()));
            }
            if placed.is_dissolved(context) {
                waiter.wake_up();
                // Not cancelled: the reset has given its tokens back, and an undo would give somebody else's if the bucket's time has
                // come to the same grain again.
                *place = None;
                continue;
            }
            waiter.fall_asleep(left);
            // And then look at the clock: it may have been too early.
            ready!(waiter.poll_awake(context));
        }
    }

    fn give_up(&self, BucketWait(place): &mut BucketWait) {
        if let Some(place) = place.take() {
            // As in `poll_waiting`: what a reset has given back is not given back again.
            #[cfg(feature = "std")]
            if place.reset.discard() {
                return;
            }
            self.cancel_at(&place.booked, self.clock().now());
        }
    }
}

impl fmt::Debug for BucketWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Booking");
        if let Some(place) = &self.0 {
            shown.field("ready_at", &place.booked.ready_at);
        }
        shown.finish()
    }
}
