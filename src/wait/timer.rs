//! What lets a future sleep.

use core::future::Future;
use core::time::Duration;

/// How a future sleeps: a runtime's timer, or a closure that makes one.
///
/// # Contract
///
/// The future completes about `duration` after `sleep` was called. Whoever waits then looks at the limiter's clock, and sleeps again
/// if it is too early; so that clock has to follow the timer, or the wait does not end. Dropping the future ends the wait.
///
/// ```
/// use core::time::Duration;
/// use tidegate::Timer;
///
/// fn takes_a_timer(timer: impl Timer) {
///     drop(timer.sleep(Duration::ZERO));
/// }
/// takes_a_timer(|_| core::future::ready(())); // in a program: `tokio::time::sleep`, `TokioTimer`, ...
/// ```
pub trait Timer {
    /// The future that sleeps.
    type Sleep: Future<Output = ()>;

    /// A future that completes after `duration`.
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

/// tokio's timer. Works under `tokio::time::pause` if the limiter's clock follows tokio's. Panics outside of a runtime with its
/// time driver on.
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
