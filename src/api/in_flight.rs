//! How many calls are in flight, and a place to wait for one to end.

use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, const_fn};

/// A count of calls that may be limited. Relaxed: the count guards no memory, and the waiting line is ordered by its mutex.
#[derive(Debug)]
pub(super) struct InFlight {
    count: AtomicU64,
    most: Option<u64>,
    #[cfg(feature = "std")]
    line: Line,
}

/// Threads that wait for a call to end.
#[cfg(feature = "std")]
#[derive(Debug)]
struct Line {
    gate: std::sync::Mutex<()>,
    ended: std::sync::Condvar,
}

impl InFlight {
    const_fn! {
        pub(super) const fn new(most: Option<u64>) -> Self {
            Self {
                count: AtomicU64::new(0),
                most,
                #[cfg(feature = "std")]
                line: Line { gate: std::sync::Mutex::new(()), ended: std::sync::Condvar::new() },
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        // Relaxed: a number on its own.
        self.count.load(Relaxed)
    }

    pub(super) const fn is_limited(&self) -> bool {
        self.most.is_some()
    }

    /// Counts a call, unless there are as many as may be: then the error says how many that is.
    pub(super) fn enter(&self) -> Result<(), u64> {
        let most = self.most.unwrap_or(u64::MAX);
        let entered = self.count.fetch_update(Relaxed, Relaxed, |count| {
            (count < most).then_some(count + 1)
        });
        entered.map(drop).map_err(|_| most)
    }

    /// A call has ended.
    pub(super) fn leave(&self) {
        self.count.fetch_sub(1, Relaxed);
        #[cfg(feature = "std")]
        if self.is_limited() {
            // Taking the gate makes sure that whoever waits has either not yet looked at the count or is already listening.
            drop(self.line.gate.lock());
            self.line.ended.notify_one();
        }
    }

    /// Lets the next in line try, since the one that was woken cannot make use of it.
    #[cfg(feature = "std")]
    pub(super) fn pass_on(&self) {
        self.line.ended.notify_one();
    }

    /// Blocks until a call may be made. Another thread may be faster.
    #[cfg(feature = "std")]
    pub(super) fn wait_for_room(&self) {
        let most = self.most.unwrap_or(u64::MAX);
        // The gate guards nothing that a panic could leave broken.
        let unpoisoned = std::sync::PoisonError::into_inner;
        let mut gate = self.line.gate.lock().unwrap_or_else(unpoisoned);
        while self.count() >= most {
            gate = self.line.ended.wait(gate).unwrap_or_else(unpoisoned);
        }
    }
}
