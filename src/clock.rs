//! Sources of time.

#[cfg(feature = "std")]
mod coarse;
mod default;
mod manual;
#[cfg(feature = "std")]
mod monotonic;
#[cfg(feature = "tokio")]
mod tokio_time;

#[cfg(feature = "std")]
pub use coarse::CoarseClock;
pub use default::DefaultClock;
pub use manual::ManualClock;
#[cfg(feature = "std")]
pub use monotonic::MonotonicClock;
#[cfg(feature = "tokio")]
pub use tokio_time::TokioClock;

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::time::Timestamp;

/// A source of time. Most limiters read it once per decision.
///
/// # Contract
///
/// * Every reading is nanoseconds since one fixed origin, the same for all threads and all clones.
/// * Readings should not go back. A limiter clamps a reading that does: it admits no more than if
///   the clock had stood still since the latest charge. Refusals and queries record no time.
/// * Real clocks should read small numbers: an origin near the start of the process or the machine.
///   Buckets work for all of `u64`. Windows clamp readings later than 292 years.
///
/// ```
/// use tidegate::{Clock, Quota, Timestamp, TokenBucket};
///
/// /// Time in frames of a game at 50 per second.
/// struct Frames(std::cell::Cell<u64>);
///
/// impl Clock for Frames {
///     fn now(&self) -> Timestamp {
///         Timestamp::from_nanos(self.0.get() * 20_000_000)
///     }
/// }
///
/// let shots = TokenBucket::with_clock(Quota::per_second(5), Frames(0.into()));
/// assert!(shots.try_acquire(5).is_ok());
/// shots.clock().0.set(9);
/// assert!(shots.try_acquire(1).is_err());
/// shots.clock().0.set(10);
/// assert!(shots.try_acquire(1).is_ok());
/// ```
pub trait Clock {
    /// Returns the current time.
    fn now(&self) -> Timestamp;

    /// Blocks the thread until the clock reads `deadline` or later.
    ///
    /// The default sleeps on the operating system's clock and then reads this clock again. A clock
    /// with its own time, such as [`ManualClock`], overrides it.
    #[cfg(feature = "std")]
    fn sleep_until(&self, deadline: Timestamp) {
        sleep_until(self, deadline, core::time::Duration::ZERO);
    }

    /// Blocks the thread until the clock reads `deadline`, or the thread is
    /// [unparked](std::thread::Thread::unpark). May return earlier for no reason.
    ///
    /// Threads that [wait](crate::Acquire::wait) sleep here. The default parks on the operating
    /// system's clock. A clock with its own time overrides it, and unparks the thread when its time
    /// has come.
    #[cfg(any(feature = "std", tidegate_loom))]
    fn park_until(&self, deadline: Timestamp) {
        park_until(self, deadline, core::time::Duration::ZERO);
    }
}

/// Parks until `deadline`, for at least `least`.
#[cfg(all(feature = "std", not(tidegate_loom)))]
fn park_until<C: Clock + ?Sized>(clock: &C, deadline: Timestamp, least: core::time::Duration) {
    if deadline == Timestamp::MAX {
        return std::thread::park();
    }
    let now = clock.now();
    if now < deadline {
        std::thread::park_timeout((deadline - now).max(least));
    }
}

/// Parks until another thread wakes this one: a model's clock that moves overrides it.
#[cfg(tidegate_loom)]
fn park_until<C: Clock + ?Sized>(_: &C, _: Timestamp, _: core::time::Duration) {
    crate::sync::thread::park();
}

/// Sleeps until `deadline`, for at least `least` at a time.
#[cfg(feature = "std")]
fn sleep_until<C: Clock + ?Sized>(clock: &C, deadline: Timestamp, least: core::time::Duration) {
    loop {
        let now = clock.now();
        if now >= deadline {
            return;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where threads sleep"
        )]
        std::thread::sleep((deadline - now).max(least));
    }
}

macro_rules! forward_clock {
    ($($pointer:ty),*) => {$(
        impl<C: Clock + ?Sized> Clock for $pointer {
            #[inline]
            fn now(&self) -> Timestamp {
                (**self).now()
            }

            #[cfg(feature = "std")]
            fn sleep_until(&self, deadline: Timestamp) {
                (**self).sleep_until(deadline);
            }

            #[cfg(any(feature = "std", tidegate_loom))]
            fn park_until(&self, deadline: Timestamp) {
                (**self).park_until(deadline);
            }
        }
    )*};
}
forward_clock!(&C, Box<C>, Arc<C>);
