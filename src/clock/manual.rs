//! A clock that stands still until it is told otherwise.

use alloc::sync::Arc;
use core::time::Duration;

use crate::clock::Clock;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::time::Timestamp;

/// A clock for tests and simulations: it starts at 0 and moves only when told to. Clones share their time.
///
/// A thread that sleeps on it (`Clock::sleep_until`, and so every blocking wait) wakes up when the time is advanced, not when
/// real time passes.
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
    /// A clock that reads 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the time forward, to [`Timestamp::MAX`] at the most.
    pub fn advance(&self, duration: Duration) {
        let nanos = crate::time::nanos(duration);
        // Release: whoever reads the new time (`now`) sees what this thread did before it. A test relies on that when it
        // sets a flag and then advances the clock. The closure always gives a value, so the result carries nothing.
        let _ = self
            .shared
            .now
            .fetch_update(AcqRel, Relaxed, |now| Some(now.saturating_add(nanos)));
        #[cfg(feature = "std")]
        self.shared.sleepers.wake();
    }

    /// Sets the time, also back.
    pub fn set(&self, now: Timestamp) {
        // Release: as in `advance`.
        self.shared.now.store(now.as_nanos(), Release);
        #[cfg(feature = "std")]
        self.shared.sleepers.wake();
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        // Acquire: meets the Release in `advance` and `set`.
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
        // Taking the gate makes sure that a sleeper is either before its look at the clock or already waiting.
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
