//! A clock that a background thread refreshes.

use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::time::Duration;
use std::io;
use std::thread;

use crate::clock::{Clock, DefaultClock};
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::time::Timestamp;

/// A reading of [`DefaultClock`] that a background thread refreshes: one load per decision, for a
/// stated slack.
///
/// A reading is stale by up to the refresh interval, plus any delay of the thread. A limiter never
/// admits more in its own time because of that. By the wall clock its bound becomes
/// capacity + rate · (b − a + slack).
///
/// Clones share the thread, which ends soon after the last of them is dropped.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{CoarseClock, Quota, TokenBucket};
///
/// let clock = CoarseClock::start(Duration::from_millis(1))?;
/// let bucket = TokenBucket::with_clock(Quota::per_hour(1), clock);
/// assert!(bucket.try_acquire(1).is_ok());
/// assert!(bucket.try_acquire(1).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
// Not `quanta::Upkeep`: it reads the TSC even where the kernel does not trust it, and a process
// has only one.
#[derive(Clone, Debug)]
pub struct CoarseClock {
    /// Nanoseconds. Only the background thread writes it, and it only grows. It guards no memory.
    reading: Arc<AtomicU64>,
    interval: Duration,
}

/// The shortest interval. On common systems a sleep takes about as long as this, or longer.
const SHORTEST: Duration = Duration::from_micros(50);

/// The longest interval, because the thread outlives its last clock by up to an interval.
const LONGEST: Duration = Duration::from_secs(1);

impl CoarseClock {
    /// Starts the thread, which refreshes the reading every `interval`, or later on a busy system.
    ///
    /// An interval below 50 µs counts as 50 µs, because a thread cannot sleep for less. One above a
    /// second counts as a second.
    ///
    /// # Errors
    ///
    /// If the operating system cannot start a thread.
    pub fn start(interval: Duration) -> io::Result<Self> {
        let interval = interval.clamp(SHORTEST, LONGEST);
        let reading = Arc::new(AtomicU64::new(DefaultClock.now().as_nanos()));
        let watched = Arc::downgrade(&reading);
        thread::Builder::new()
            .name(String::from("tidegate-clock"))
            .spawn(move || refresh(&watched, interval))?;
        Ok(Self { reading, interval })
    }
}

fn refresh(reading: &Weak<AtomicU64>, interval: Duration) {
    loop {
        let now = DefaultClock.now();
        let Some(reading) = reading.upgrade() else {
            return;
        };
        // Relaxed: the number guards nothing.
        reading.fetch_max(now.as_nanos(), Relaxed);
        drop(reading);
        DefaultClock.sleep_until(now + interval);
    }
}

impl Clock for CoarseClock {
    #[inline]
    fn now(&self) -> Timestamp {
        // Relaxed: the number guards nothing, and its modification order alone keeps a thread from
        // seeing time go back.
        Timestamp::from_nanos(self.reading.load(Relaxed))
    }

    fn sleep_until(&self, deadline: Timestamp) {
        // A shorter sleep would only wake up to the same reading.
        super::sleep_until(self, deadline, self.interval);
    }

    fn park_until(&self, deadline: Timestamp) {
        super::park_until(self, deadline, self.interval);
    }
}
