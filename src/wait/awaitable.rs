//! What futures need of a limiter to wait at it, and code over any limiter that has it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use super::Acquire;
use super::timer::{Timer, awake};
use crate::denied::Denied;
use crate::limiter::Limiter;
use crate::time::Timestamp;

/// A limiter that futures can wait at: a bucket; with the feature `std` a window or a combination; or a pointer to one.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Awaitable, Denied, ManualClock, Quota, Timer, TokenBucket};
///
/// async fn twice<L: Awaitable, T: Timer + Clone>(limiter: &L, timer: T) -> Result<(), Denied> {
///     limiter.wait_for(timer.clone(), 1, Duration::MAX).await?;
///     limiter.wait_for(timer, 1, Duration::MAX).await
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
///
/// A future that is to outlive the caller owns a pointer to its limiter: [`Acquire::new`].
#[diagnostic::on_unimplemented(
    message = "futures cannot wait at `{Self}`",
    note = "they can at a bucket, a window or a combination; tables of keys do not wait"
)]
pub trait Awaitable: Limiter {
    /// How far one wait is, without the limiter, which is given at each step.
    #[doc(hidden)]
    type Waiting: fmt::Debug + Send + Sync + Unpin + 'static;

    /// A wait that has not begun.
    #[doc(hidden)]
    const START: Self::Waiting;

    /// The next step of a wait. `waiting` has begun at this limiter, or not at all.
    #[doc(hidden)]
    fn poll_waiting<T: Timer>(
        &self,
        waiting: &mut Self::Waiting,
        waiter: Waiter<'_, T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Denied>>;

    /// Gives up what a wait has taken so far, if anything. It is then as if it had not begun.
    #[doc(hidden)]
    fn give_up(&self, waiting: &mut Self::Waiting);

    /// Takes `n` permits, asleep on `timer` for at most `timeout` until they are there: the limiter's `acquire_timeout_with`.
    fn wait_for<T: Timer>(&self, timer: T, n: u64, timeout: Duration) -> Acquire<&Self, T> {
        Acquire::new(self, timer, n, timeout)
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<L: Awaitable + ?Sized> Awaitable for $pointer {
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

/// Somebody who waits, as a limiter sees it: what is wanted, until when, and something to sleep on.
#[expect(unnameable_types, reason = "only limiters and `Acquire` need it")]
pub struct Waiter<'a, T: Timer> {
    pub(super) n: u64,
    pub(super) timeout: Duration,
    /// The latest instant at which it may be ready: known once somebody has asked.
    pub(super) deadline: &'a mut Option<Timestamp>,
    pub(super) timer: &'a T,
    pub(super) sleep: Pin<&'a mut Option<T::Sleep>>,
}

impl<T: Timer> Waiter<'_, T> {
    /// The timeout runs from the first `now` on.
    pub(super) fn deadline(&mut self, now: Timestamp) -> Timestamp {
        *self.deadline.get_or_insert(now + self.timeout)
    }

    #[cfg(feature = "std")]
    pub(super) fn is_asleep(&self) -> bool {
        self.sleep.is_some()
    }

    /// Sets the timer, unless it is set already.
    pub(super) fn fall_asleep(&mut self, duration: Duration) {
        if self.sleep.is_none() {
            self.sleep.set(Some(self.timer.sleep(duration)));
        }
    }

    /// Completes when the sleep is over, or there is none.
    pub(super) fn poll_awake(&mut self, context: &mut Context<'_>) -> Poll<()> {
        awake(self.sleep.as_mut(), context)
    }

    /// Ends the sleep before its time.
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
