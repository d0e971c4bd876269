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

/// A reading of [`DefaultClock`] that a background thread refreshes: one load per decision, at the price of a stated slack.
///
/// A reading is old by up to the refresh interval, and by as much more as the system delays the thread. An old reading is
/// a clock that is late: a limiter never admits more for it in its own time, and by the wall clock its bound then reads
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
// Not `quanta::Upkeep`: that reads the TSC even where the kernel does not trust it, and there is one per process.
#[derive(Clone, Debug)]
pub struct CoarseClock {
    /// Nanoseconds, only ever raised; written by the background thread. It guards no other memory.
    reading: Arc<AtomicU64>,
    interval: Duration,
}

/// What a sleep takes at least on common systems.
const SHORTEST: Duration = Duration::from_micros(50);

/// The thread lives on for an interval after its last clock.
const LONGEST: Duration = Duration::from_secs(1);

impl CoarseClock {
    /// Starts the thread, which refreshes the reading every `interval`, and a little later when the system is busy.
    ///
    /// An interval below 50 µs is taken as 50 µs (a thread cannot sleep for less), and one above a second as a second.
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
        // Relaxed: the number is all there is.
        reading.fetch_max(now.as_nanos(), Relaxed);
        drop(reading);
        DefaultClock.sleep_until(now + interval);
    }
}

impl Clock for CoarseClock {
    #[inline]
    fn now(&self) -> Timestamp {
        // Relaxed: the number is all there is; its order alone keeps a thread from seeing time go back.
        Timestamp::from_nanos(self.reading.load(Relaxed))
    }

    fn sleep_until(&self, deadline: Timestamp) {
        // Shorter than a refresh would only wake up to the same reading.
        super::sleep_until(self, deadline, self.interval);
    }
}
