//! A clock that moves only when a test moves it.

use alloc::sync::Arc;
use core::time::Duration;

use crate::clock::Clock;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::time::Timestamp;

/// A clock for tests and simulations. It starts at 0 and moves only by [`advance`](Self::advance)
/// and [`set`](Self::set). Clones share their time.
///
/// A thread that sleeps on it, as every blocking wait does, wakes up when the time is advanced, not
/// when real time passes.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::new();
/// let shared = clock.clone();
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(shared.now(), Timestamp::from_nanos(2_000_000_000));
/// shared.set(Timestamp::ZERO); // a clock may even step back
/// assert_eq!(clock.now(), Timestamp::ZERO);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    shared: Arc<ManualTime>,
}

#[derive(Debug)]
struct ManualTime {
    /// Nanoseconds.
    now: AtomicU64,
    #[cfg(feature = "std")]
    sleepers: Sleepers,
}

impl Default for ManualTime {
    fn default() -> Self {
        Self {
            now: AtomicU64::new(0),
            #[cfg(feature = "std")]
            sleepers: Sleepers::default(),
        }
    }
}

impl ManualClock {
    /// Creates a clock that reads 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the time forward, up to [`Timestamp::MAX`]: by a [`Duration`], or by the
    /// [`RetryAfter`](crate::RetryAfter) of a refusal.
    pub fn advance(&self, duration: impl Into<Duration>) {
        let nanos = crate::time::nanos(duration.into());
        // AcqRel. Its Release pairs with the Acquire in `now`: a thread that reads the new time
        // sees what this thread did before. Tests rely on that when they set a flag and then
        // advance the clock. Its Acquire pairs with the Release in `set` and here: this thread sees
        // what other threads did before they moved the clock.
        // The closure always returns a value, so the result carries nothing.
        let _ = self
            .shared
            .now
            .fetch_update(AcqRel, Relaxed, |now| Some(now.saturating_add(nanos)));
        #[cfg(feature = "std")]
        self.shared.sleepers.wake();
    }

    /// Sets the time, which may also go back.
    pub fn set(&self, now: Timestamp) {
        // Release: as in `advance`.
        self.shared.now.store(now.as_nanos(), Release);
        #[cfg(feature = "std")]
        self.shared.sleepers.wake();
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        // Acquire: pairs with the Release in `advance` and `set`.
        Timestamp::from_nanos(self.shared.now.load(Acquire))
    }

    #[cfg(feature = "std")]
    fn sleep_until(&self, deadline: Timestamp) {
        while self.now() < deadline {
            self.park_until(deadline);
        }
    }

    #[cfg(feature = "std")]
    fn park_until(&self, deadline: Timestamp) {
        self.shared.sleepers.add_this_thread();
        // After it was added: a later advance unparks it.
        if self.now() < deadline {
            std::thread::park();
        }
    }
}

/// The threads to unpark when the time changes.
#[cfg(feature = "std")]
#[derive(Debug, Default)]
struct Sleepers {
    threads: std::sync::Mutex<alloc::vec::Vec<std::thread::Thread>>,
}

#[cfg(feature = "std")]
impl Sleepers {
    fn wake(&self) {
        for thread in core::mem::take(&mut *self.lock()) {
            thread.unpark();
        }
    }

    fn add_this_thread(&self) {
        let this = std::thread::current();
        let mut threads = self.lock();
        // It may have returned for another reason than the time.
        if threads.iter().all(|thread| thread.id() != this.id()) {
            threads.push(this);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, alloc::vec::Vec<std::thread::Thread>> {
        crate::sync::lock(&self.threads)
    }
}
