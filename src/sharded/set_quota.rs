//! The operation that changes the quota of a sharded bucket.

use super::ShardedTokenBucket;
use super::changed::ChangedState;
use crate::clock::Clock;
use crate::quota::Quota;
use crate::time::Timestamp;

impl<C> ShardedTokenBucket<C> {
    /// [`set_quota`](Self::set_quota) as of `now`, or as of the change before this one if that is
    /// later.
    pub fn set_quota_at(&self, quota: Quota, now: Timestamp) {
        self.change_quota(quota, || now);
    }

    /// Reads the clock when the turn of this change has come.
    fn change_quota(&self, quota: Quota, now: impl FnOnce() -> Timestamp) {
        let first = &self.state;
        let changed = self.changes.replace(first, |latest| {
            ChangedState::after(latest, first, quota, now())
        });
        if changed {
            self.wait_queue.wake_head();
        }
    }
}

impl<C: Clock> ShardedTokenBucket<C> {
    /// Changes the quota while other threads use the bucket. No call waits for it.
    ///
    /// The level is carried over in tokens, at most the new capacity:
    /// [`available`](Self::available) is the same before and after. So a larger capacity is not a
    /// free burst. It fills at the new rate. A call is decided by the old quota or by the new one,
    /// never by parts of both. Does nothing if the quota is the same. The number of shards stays.
    ///
    /// # Bound
    ///
    /// As of the plain bucket. For one change at `s`, from rate r to rate r', the bucket admits
    /// from `a` to `b` at most capacity + r · (s − a) + r' · (b − s), with the capacity before the
    /// change.
    ///
    /// # What goes on
    ///
    /// * Waiters keep their places. The first is woken and decided by the new quota. A waiter that
    ///   asks for more than the new capacity is refused with [`Denied::Never`](crate::Denied).
    /// * Leases in shards are collected, and their tokens come back, as if a call had collected
    ///   them. A call that makes or collects leases at that very moment loses those that it holds:
    ///   mostly one, at most an eighth of the capacity. They count as used.
    ///
    /// # Cost
    ///
    /// A bucket whose quota was never changed pays nothing. After the first change, each call reads
    /// the clock and finds the quota through a pointer, which takes some 40 nanoseconds more. Its
    /// leases remain, so threads still do not slow each other down. The bucket keeps the
    /// allocation of the first quota, and a second one as large. A change allocates, visits all
    /// shards, and takes a lock that only other changes take.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ManualClock, Quota, ShardedTokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let quota = Quota::per_second(10_000).burst(10_000);
    /// let bucket = ShardedTokenBucket::with_clock(quota, clock.clone());
    /// for _ in 0..4 {
    ///     bucket.try_acquire(1_000)?; // the thread's shard has a lease from now on
    /// }
    ///
    /// bucket.set_quota(Quota::per_second(50_000).burst(20_000)); // shared: no `mut`
    /// assert_eq!((bucket.capacity(), bucket.available()), (20_000, 6_000));
    /// clock.advance(Duration::from_millis(100));
    /// assert_eq!(bucket.available(), 11_000);
    ///
    /// bucket.set_quota(quota);
    /// assert_eq!(bucket.available(), 10_000);
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub fn set_quota(&self, quota: Quota) {
        self.change_quota(quota, || self.clock.now());
    }
}
