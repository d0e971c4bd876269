//! A clock that moves only when a test moves it.

use alloc::sync::Arc;
use core::time::Duration;

use crate::clock::Clock;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::time::Timestamp;

/// A clock for tests and simulations. It starts at 0 and moves only when told to. Clones share
/// their time.
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
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Nanoseconds.
    now: AtomicU64,
    #[cfg(feature = "std")]
    sleepers: Sleepers,
}

impl Default for Shared {
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

    /// Moves the time forward, up to [`Timestamp::MAX`].
    pub fn advance(&self, duration: Duration) {
        let nanos = crate::time::nanos(duration);
        // Release: pairs with the Acquire in `now`. A thread that reads the new time sees what this
        // thread did before it, which tests rely on when they set a flag and then advance the
        // clock. Acquire: keeps that guarantee across several `advance` calls by different threads.
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
        self.shared.sleepers.wait_while(|| self.now() < deadline);
    }
}

#[cfg(feature = "std")]
#[derive(Debug, Default)]
struct Sleepers {
    gate: std::sync::Mutex<()>,
    woken: std::sync::Condvar,
}

#[cfg(feature = "std")]
impl Sleepers {
    fn wake(&self) {
        // Taking the gate ensures that a sleeper is either before its check of the clock or asleep.
        drop(self.lock());
        self.woken.notify_all();
    }

    fn wait_while(&self, condition: impl Fn() -> bool) {
        let mut gate = self.lock();
        while condition() {
            gate = self
                .woken
                .wait(gate)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// The gate guards nothing that a panic could leave broken.
    fn lock(&self) -> std::sync::MutexGuard<'_, ()> {
        self.gate
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
