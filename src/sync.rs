//! The only file that names an atomic: portable-atomic's, or loom's under models.

pub(crate) use core::sync::atomic::Ordering;

#[cfg(not(tidegate_loom))]
portable_atomic::cfg_no_atomic_64! {
    compile_error!("this target has no 64-bit compare-and-swap: enable the feature `fallback`");
}

#[cfg(tidegate_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, fence};
#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) use portable_atomic::AtomicUsize;
#[cfg(not(tidegate_loom))]
pub(crate) use portable_atomic::{AtomicU64, fence};

#[cfg(tidegate_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(all(feature = "std", not(tidegate_loom)))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(tidegate_loom)]
pub(crate) use loom::thread;
#[cfg(all(feature = "std", not(tidegate_loom)))]
pub(crate) use std::thread;

#[cfg(any(feature = "std", tidegate_loom))]
mod lazy;
#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) use lazy::Lazy;
#[cfg(any(feature = "std", tidegate_loom))]
mod wait_queue;
#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) use wait_queue::{DEFAULT_SLACK, Demand, Ticket, Turn, WaitQueue, earliest_behind};

#[cfg(any(feature = "std", tidegate_loom))]
mod link;
#[cfg(any(feature = "std", tidegate_loom))]
mod succession;
#[cfg(any(feature = "http", tidegate_loom))]
pub(crate) use link::Latest;
#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) use succession::{Succession, Successor};

/// The state of a limiter was replaced by another. The operation has changed nothing, and is to be
/// repeated on its successor.
#[cfg(any(feature = "std", tidegate_loom))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

/// Without std no state is ever replaced.
#[cfg(not(any(feature = "std", tidegate_loom)))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {}

/// Locks a mutex whose holders leave its contents intact even if they panic.
#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(any(feature = "std", tidegate_loom))]
mod thread_number;
#[cfg(all(feature = "std", not(tidegate_loom)))]
pub(crate) use thread_number::own_number;
#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) use thread_number::thread_number;

mod count_per_thread;
pub(crate) use count_per_thread::CountPerThread;

/// Pauses after a failed exchange.
///
/// The thread that has just changed the word then makes several calls before the cache line moves
/// again, and a move takes longer than a call. On AMD's Zen 4, eight pauses are about four moves.
/// `contended` in `benches/compare` measures other numbers of pauses.
#[inline]
pub(crate) fn back_off() {
    // A model runs the threads in every order without pauses.
    #[cfg(not(tidegate_loom))]
    for _ in 0..8 {
        core::hint::spin_loop();
    }
}

/// Adds to a counter that saturates. Relaxed: the counter guards nothing.
pub(crate) fn add_saturating(count: &AtomicU64, n: u64) {
    // The closure always returns a value, so the result carries nothing.
    let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sum| {
        Some(sum.saturating_add(n))
    });
}

/// Defines a function that is `const` except under loom, whose atomics register at run time.
macro_rules! const_fn {
    ($(#[$attribute:meta])* $visibility:vis const fn $($rest:tt)*) => {
        #[cfg(not(tidegate_loom))]
        $(#[$attribute])* $visibility const fn $($rest)*
        #[cfg(tidegate_loom)]
        #[allow(clippy::missing_const_for_fn, reason = "loom's atomics are not const")]
        $(#[$attribute])* $visibility fn $($rest)*
    };
}
pub(crate) use const_fn;
