//! How many calls are sent at the same time, and how many wait to be sent.

use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;

use tokio::sync::{Semaphore, SemaphorePermit};

pub(super) struct Turns {
    semaphore: Semaphore,
    /// Relaxed: a number that guards no memory.
    waiting: AtomicUsize,
    max_waiting: usize,
}

/// Counts a call as waiting until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Relaxed: see the field.
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Turns {
    pub(super) fn new(max_in_flight: usize, max_waiting: usize) -> Self {
        Self {
            semaphore: Semaphore::new(max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            waiting: AtomicUsize::new(0),
            max_waiting,
        }
    }

    /// Waits for a turn, which ends when it is dropped. `None` if too many wait already.
    pub(super) async fn take(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(turn) = self.semaphore.try_acquire() {
            return Some(turn);
        }
        // Relaxed: see the field. Counted before it is compared, so that no more than these wait.
        let others = self.waiting.fetch_add(1, Relaxed);
        let _waiting = Waiting(&self.waiting);
        if others >= self.max_waiting {
            return None;
        }
        // It is never closed.
        self.semaphore.acquire().await.ok()
    }
}
