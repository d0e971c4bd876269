//! Changes of a bucket's quota while it is used.

use super::TokenBucket;
use super::changed::ChangedState;
use crate::clock::Clock;
use crate::quota::Quota;
use crate::time::Timestamp;

impl<C> TokenBucket<C> {
    /// [`set_quota`](Self::set_quota) as of `now`.
    ///
    /// The new rate counts from `now`, or from the change before this one if that is later. So an
    /// instant in the past gives or takes what the two rates differ by since then, once.
    pub fn set_quota_at(&self, quota: Quota, now: Timestamp) {
        self.change_quota(quota, || now);
    }

    /// Reads the clock when the turn of this change has come.
    fn change_quota(&self, quota: Quota, now: impl FnOnce() -> Timestamp) {
        let core = &*self.core;
        let changed = core.changes.replace(&core.state, |latest| {
            ChangedState::after(latest, &core.state, quota, now().as_nanos())
        });
        if changed {
            self.wake_head();
        }
    }
}

impl<C: Clock> TokenBucket<C> {
    /// Changes the quota while other threads use the bucket. No call waits for it.
    ///
    /// The level is carried over in tokens: at most the new capacity, and a debt stays a debt. So a
    /// larger capacity is not a free burst. It fills at the new rate. A call is decided by the old
    /// quota or by the new one, never by parts of both. Does nothing if the quota is the same.
    ///
    /// # Bound
    ///
    /// Over an interval from `a` to `b` with changes in it, the bucket admits at most the capacity
    /// before the first change, and what flows in at the rate of each part of the interval. In
    /// numbers for one change at `s`, from rate r to rate r': capacity + r · (s − a) + r' · (b −
    /// s).
    ///
    /// # What goes on
    ///
    /// * Waiters keep their places. The first is woken and decided by the new quota. A waiter that
    ///   asks for more than the new capacity is refused with [`Denied::Never`](crate::Denied).
    /// * Reservations keep their times. A charge or a reservation made before the change can no
    ///   longer be undone. Its tokens count as used.
    ///
    /// # Cost
    ///
    /// A bucket whose quota was never changed pays nothing. After the first change, each call takes
    /// some 20 nanoseconds more to find the quota, and the bucket keeps 300 bytes on the heap. The
    /// change allocates those, and takes a lock that only other changes take.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ManualClock, Quota, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let bucket = TokenBucket::with_clock(Quota::per_second(10), clock.clone());
    /// bucket.try_acquire(4)?;
    ///
    /// bucket.set_quota(Quota::per_second(100)); // shared: no `mut`
    /// assert_eq!((bucket.capacity(), bucket.available()), (100, 6));
    /// clock.advance(Duration::from_millis(500));
    /// assert_eq!(bucket.available(), 56);
    ///
    /// bucket.set_quota(Quota::per_second(20));
    /// assert_eq!(bucket.available(), 20);
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub fn set_quota(&self, quota: Quota) {
        self.change_quota(quota, || self.clock().now());
    }
}
