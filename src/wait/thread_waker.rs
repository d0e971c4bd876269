//! The waker of a thread that waits.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::task::Waker;

use crate::sync::thread::{self, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

fn of_this_thread() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

#[cfg(not(tidegate_loom))]
std::thread_local! {
    static WAKER: Waker = of_this_thread();
}

/// Calls a function with the waker that unparks this thread, which is made once per thread.
#[cfg(not(tidegate_loom))]
pub(super) fn with<R>(function: impl FnOnce(&Waker) -> R) -> R {
    // A destructor of another thread-local value may wait after this one is gone.
    let waker = WAKER.try_with(Waker::clone);
    function(&waker.unwrap_or_else(|_| of_this_thread()))
}

/// Models run again with other threads, so nothing outlives a thread.
#[cfg(tidegate_loom)]
pub(super) fn with<R>(function: impl FnOnce(&Waker) -> R) -> R {
    function(&of_this_thread())
}
