//! The interface between waiting futures and the limiters that they wait at.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use super::timer::{Timer, awake};
use crate::denied::Denied;
use crate::time::Timestamp;

/// A limiter that futures can wait at: a bucket; with the feature `std` a sharded bucket, a window
/// or a combination; or a pointer to one.
///
/// [`Acquire::new`](crate::Acquire::new) waits at any of them.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Acquire, Awaitable, Denied, ManualClock, Quota, Timer, TokenBucket};
///
/// async fn twice<L: Awaitable, T: Timer + Clone>(limiter: &L, timer: T) -> Result<(), Denied> {
///     Acquire::new(limiter, timer.clone(), 1, Duration::MAX).await?;
///     Acquire::new(limiter, timer, 1, Duration::MAX).await
/// }
///
/// let clock = ManualClock::new();
/// let bucket = TokenBucket::with_clock(Quota::per_second(1), clock.clone());
/// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// runtime.block_on(twice(&bucket, timer))?;
/// assert_eq!(bucket.wait_time(1), Some(Duration::from_secs(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "futures cannot wait at `{Self}`",
    note = "they can wait at a bucket, a window or a combination, but not at a table of keys"
)]
pub trait Awaitable: sealed::PollWait {}

impl<L: sealed::PollWait + ?Sized> Awaitable for L {}

pub(crate) mod sealed {
    use core::fmt;
    use core::task::{Context, Poll};

    use super::Waiter;
    use crate::denied::Denied;
    use crate::limiter::Limiter;
    use crate::wait::Timer;

    /// How a limiter lets futures wait.
    #[expect(unnameable_types, reason = "that is what seals `Awaitable`")]
    pub trait PollWait: Limiter {
        /// The progress of one wait. The limiter is passed to each step.
        type Waiting: fmt::Debug + Send + Sync + Unpin + 'static;

        /// A wait that has not begun.
        const START: Self::Waiting;

        /// The next step of a wait. `waiting` has begun at this limiter or not at all.
        fn poll_waiting<T: Timer>(
            &self,
            waiting: &mut Self::Waiting,
            waiter: Waiter<'_, T>,
            context: &mut Context<'_>,
        ) -> Poll<Result<(), Denied>>;

        /// Releases what the wait holds, and resets it to `START`.
        fn give_up(&self, waiting: &mut Self::Waiting);
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<L: sealed::PollWait + ?Sized> sealed::PollWait for $pointer {
            type Waiting = L::Waiting;

            const START: L::Waiting = L::START;

            fn poll_waiting<T: Timer>(
                &self,
                waiting: &mut L::Waiting,
                waiter: Waiter<'_, T>,
                context: &mut Context<'_>,
            ) -> Poll<Result<(), Denied>> {
                (**self).poll_waiting(waiting, waiter, context)
            }

            fn give_up(&self, waiting: &mut L::Waiting) {
                (**self).give_up(waiting);
            }
        }
    )*};
}
forward!(&L, Box<L>, Arc<L>);

/// A waiting future as the limiter sees it: permits, deadline, and a timer to sleep on.
#[expect(unnameable_types, reason = "only limiters and `Acquire` need it")]
pub struct Waiter<'a, T: Timer> {
    pub(super) n: u64,
    pub(super) timeout: Duration,
    /// The latest instant at which it may be ready; set by the first poll.
    pub(super) deadline: &'a mut Option<Timestamp>,
    pub(super) timer: &'a T,
    pub(super) sleep: Pin<&'a mut Option<T::Sleep>>,
}

impl<T: Timer> Waiter<'_, T> {
    /// Returns the deadline. The timeout starts at the first `now`.
    pub(super) fn deadline(&mut self, now: Timestamp) -> Timestamp {
        *self.deadline.get_or_insert(now + self.timeout)
    }

    #[cfg(feature = "std")]
    pub(super) fn is_asleep(&self) -> bool {
        self.sleep.is_some()
    }

    /// Sets the timer unless it is set.
    pub(super) fn fall_asleep(&mut self, duration: Duration) {
        if self.sleep.is_none() {
            self.sleep.set(Some(self.timer.sleep(duration)));
        }
    }

    /// Resolves when the sleep is over, or at once without one.
    pub(super) fn poll_awake(&mut self, context: &mut Context<'_>) -> Poll<()> {
        awake(self.sleep.as_mut(), context)
    }

    /// Cancels the sleep.
    pub(super) fn wake_up(&mut self) {
        self.sleep.set(None);
    }
}

impl<T: Timer> fmt::Debug for Waiter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("n", &self.n)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
