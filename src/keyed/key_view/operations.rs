//! What a view can do for every limiter.

use core::time::Duration;

use super::{KeyHandle, KeyView, Table};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::keyed::table::ResetTable;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// Operations at an instant that the caller has read. They read no clock.
impl<T, H> KeyView<T, H>
where
    H: KeyHandle,
    T: Table<H::Key>,
{
    /// [`try_acquire`](Self::try_acquire) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[inline]
    pub fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.table.try_acquire_for(self.key(), n, now)
    }

    /// [`peek`](Self::peek) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[inline]
    pub fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.table.peek_for(self.key(), n, now)
    }

    /// [`available`](Self::available) as of `now`.
    pub fn available_at(&self, now: Timestamp) -> u64 {
        self.table.available_for(self.key(), now)
    }

    /// [`wait_time`](Self::wait_time) as of `now`.
    pub fn wait_time_at(&self, n: u64, now: Timestamp) -> Option<Duration> {
        match self.peek_at(n, now) {
            Ok(()) => Some(Duration::ZERO),
            Err(denied) => denied.retry_after(),
        }
    }

    /// [`snapshot`](Self::snapshot) as of `now`.
    pub fn snapshot_at(&self, now: Timestamp) -> Snapshot {
        self.table.snapshot_for(self.key(), now)
    }
}

/// Operations as of now. Each reads the clock once.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use core::time::Duration;
/// use tidegate::{Keyed, ManualClock, Quota, TokenBucket};
///
/// let (clock, quota) = (ManualClock::new(), Quota::per_second(10));
/// let users = Keyed::new(move |_: &String| TokenBucket::with_clock(quota, clock.clone()));
/// let alice = users.at("alice");
/// assert_eq!((alice.capacity(), alice.available(), users.len()), (10, 10, 0));
/// assert_eq!(alice.try_acquire(8), Ok(()));
/// let retry_after = Duration::from_millis(100);
/// assert_eq!(alice.peek(3).unwrap_err().retry_after(), Some(retry_after));
/// assert_eq!(alice.wait_time(3), Some(retry_after));
/// assert_eq!(alice.snapshot().available, 2);
/// # }
/// ```
impl<T, H> KeyView<T, H>
where
    H: KeyHandle,
    T: Table<H::Key>,
{
    /// Returns the clock that the table reads for this key.
    ///
    /// For a `Keyed` it is the clock of the limiter that was made for the first
    /// key. If there was no key yet, the limiter is made for this one. The key is not added.
    pub fn clock(&self) -> &T::Clock {
        self.table.clock_for(self.key())
    }

    /// Reads the table's clock once.
    #[inline]
    pub fn now(&self) -> Timestamp {
        self.clock().now()
    }

    /// Returns the most permits that one call can ever be admitted for.
    pub fn capacity(&self) -> u64 {
        self.table.capacity_for(self.key())
    }

    /// Takes `n` permits of the key's limiter if they are available. `n = 0` always succeeds and
    /// changes nothing. Adds the key if it is admitted.
    ///
    /// # Errors
    ///
    /// [`Denied::NotYet`] with the wait if too few permits are available, and [`Denied::Never`] if
    /// `n` is above the capacity. Nothing is charged then. If there is no room for the key, the
    /// table's [`Overflow`](crate::Overflow) policy decides.
    #[inline]
    pub fn try_acquire(&self, n: u64) -> Result<(), Denied> {
        self.try_acquire_at(n, self.now())
    }

    /// Returns `Ok` if `n` permits would be admitted now. Changes nothing, and adds no key.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[inline]
    pub fn peek(&self, n: u64) -> Result<(), Denied> {
        self.peek_at(n, self.now())
    }

    /// Returns how many permits the key could have now; all of them if the key is new.
    pub fn available(&self) -> u64 {
        self.available_at(self.now())
    }

    /// Returns how long until `n` permits would be admitted if no other call came; `None` if
    /// never. While there is no room for the key, it is an estimate.
    pub fn wait_time(&self, n: u64) -> Option<Duration> {
        self.wait_time_at(n, self.now())
    }

    /// Returns what the key's limiter allows and has left now, for header fields and dashboards.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot_at(self.now())
    }
}

/// Forgiveness.
impl<T, H> KeyView<T, H>
where
    H: KeyHandle,
    T: ResetTable<H::Key>,
{
    /// [`reset`](Self::reset) as of `now`.
    pub fn reset_at(&self, now: Timestamp) {
        self.table.reset_for(self.key(), now);
    }

    /// Forgives what the key has spent, and every debt. Does nothing if the table does not hold the
    /// key.
    ///
    /// A token bucket is filled. Any other limiter of a `Keyed` is
    /// removed, and made again when the key comes back. What it shares with
    /// other keys is not forgiven.
    ///
    /// While the table has no room for the key, its policy decides: the limiter that keys without
    /// room share is not reset, because it is not the key's own.
    ///
    /// Wakes the first of those that wait for the key, for which this takes a lock if there is one.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use core::time::Duration;
    /// use tidegate::{Keyed, ManualClock, SlidingWindow};
    ///
    /// let clock = ManualClock::new();
    /// let users = Keyed::new(move |_: &String| {
    ///     SlidingWindow::with_clock(3, Duration::from_secs(1), clock.clone()).expect("valid")
    /// });
    /// let alice = users.at("alice");
    /// alice.try_acquire(3)?;
    /// assert_eq!(alice.available(), 0);
    /// alice.reset();
    /// assert_eq!(alice.available(), 3);
    /// # }
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub fn reset(&self) {
        self.reset_at(self.now());
    }
}
