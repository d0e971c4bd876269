//! How futures sleep: the trait, and the timers of common runtimes.

use core::future::Future;
#[cfg(feature = "async-io")]
use core::pin::Pin;
#[cfg(feature = "async-io")]
use core::task::{Context, Poll};
use core::time::Duration;

/// Creates sleeping futures: a runtime's timer, or a closure.
///
/// # Contract
///
/// The future resolves about `duration` after `sleep` was called. A waiter then reads the limiter's
/// clock and sleeps again if it is too early. So the clock must follow the timer, or the wait never
/// ends. Dropping the future cancels the sleep.
///
/// ```
/// use core::time::Duration;
/// use tidegate::Timer;
///
/// fn takes_a_timer(timer: impl Timer) {
///     drop(timer.sleep(Duration::ZERO));
/// }
/// takes_a_timer(|_| core::future::ready(())); // a program passes `tokio::time::sleep`
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a timer that futures can sleep on",
    note = "switch on one of the features `tokio`, `async-io` and `futures-timer`, or give a timer: `.timer(sleep)`; a thread needs none: `.wait()`"
)]
pub trait Timer {
    /// The sleeping future.
    type Sleep: Future<Output = ()>;

    /// Returns a future that resolves after `duration`.
    fn sleep(&self, duration: Duration) -> Self::Sleep;
}

impl<F, S> Timer for F
where
    F: Fn(Duration) -> S,
    S: Future<Output = ()>,
{
    type Sleep = S;

    fn sleep(&self, duration: Duration) -> S {
        self(duration)
    }
}

/// The room for a sleep in a future: of any [`Timer`], and of a
/// [`DefaultTimer`](crate::DefaultTimer) that no feature has made a timer.
#[expect(
    unnameable_types,
    reason = "a bound of `Acquire`, implemented for all timers"
)]
pub trait SleepSlot {
    type Slot;
}

impl<T: Timer> SleepSlot for T {
    type Slot = T::Sleep;
}

/// tokio's timer.
///
/// Works under `tokio::time::pause` if the limiter's clock follows tokio's, as
/// [`TokioClock`](crate::TokioClock) does.
///
/// # Panics
///
/// A sleep panics outside of a tokio runtime with an enabled time driver.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioTimer;

#[cfg(feature = "tokio")]
impl Timer for TokioTimer {
    type Sleep = tokio::time::Sleep;

    fn sleep(&self, duration: Duration) -> tokio::time::Sleep {
        tokio::time::sleep(duration)
    }
}

/// async-io's timer, for smol. It works in every runtime.
#[cfg(feature = "async-io")]
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncIoTimer;

#[cfg(feature = "async-io")]
impl Timer for AsyncIoTimer {
    type Sleep = AsyncIoSleep;

    fn sleep(&self, duration: Duration) -> AsyncIoSleep {
        AsyncIoSleep(async_io::Timer::after(duration))
    }
}

/// The sleep of [`AsyncIoTimer`].
#[cfg(feature = "async-io")]
#[derive(Debug)]
pub struct AsyncIoSleep(async_io::Timer);

#[cfg(feature = "async-io")]
impl Future for AsyncIoSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(drop)
    }
}

/// The timer of `futures-timer`: one thread for all sleeps. It works in every runtime.
#[cfg(feature = "futures-timer")]
#[derive(Clone, Copy, Debug, Default)]
pub struct FuturesTimer;

#[cfg(feature = "futures-timer")]
impl Timer for FuturesTimer {
    type Sleep = futures_timer::Delay;

    fn sleep(&self, duration: Duration) -> futures_timer::Delay {
        futures_timer::Delay::new(duration)
    }
}
