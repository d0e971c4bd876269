//! The timer of a wait that was given none, chosen where the wait sleeps.

#[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
mod choice;

#[cfg(not(any(feature = "tokio", feature = "async-io", feature = "futures-timer")))]
use super::timer::SleepSlot;

/// Sleeps on the timer of the runtime that polls: the timer of a wait that was given none.
///
/// * In a tokio runtime whose timer is on: tokio's (feature `tokio`), which also follows
///   `tokio::time::pause`.
/// * Elsewhere: async-io's (feature `async-io`) or else futures-timer's (feature `futures-timer`).
///   Both work in every runtime.
///
/// The choice is made for each sleep. So features are additive: in one process, a task in tokio and
/// a task in smol each sleep on their own runtime's timer, whatever other crates have switched on.
///
/// Without any of the three features this is no [`Timer`](crate::Timer), and awaiting without
/// [`timer`](crate::Acquire::timer) does not compile.
///
/// # Panics
///
/// If `tokio` is the only one of the three features, a sleep panics outside of a tokio runtime
/// whose timer is on, as tokio's own do. With another one as well, it notices such a runtime by
/// catching that panic. So a program that is built with `panic = "abort"` ends there.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DefaultTimer;

impl DefaultTimer {
    pub(crate) const fn new() -> Self {
        Self
    }
}

/// There is nothing to sleep on.
#[cfg(not(any(feature = "tokio", feature = "async-io", feature = "futures-timer")))]
impl SleepSlot for DefaultTimer {
    type Slot = ();
}
