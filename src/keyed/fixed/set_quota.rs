//! Changes of a table's quota while it is used.

use super::FixedKeyed;
use super::changed::ChangedTable;
use crate::clock::Clock;
use crate::quota::Quota;
use crate::time::Timestamp;

impl<C, S> FixedKeyed<C, S> {
    /// [`set_quota`](Self::set_quota) as of `now`, or as of the change before this one if that is
    /// later.
    pub fn set_quota_at(&self, quota: Quota, now: Timestamp) {
        let changed = self.changes.replace(&self.state, |latest| {
            let changed = ChangedTable::after(latest, &self.state, quota, now.as_nanos())?;
            // Here, so that changes by several threads come in one order.
            self.shared.set_quota_at(quota, now);
            Some(changed)
        });
        if changed {
            #[cfg(feature = "std")]
            self.waits.wake_all();
        }
    }
}

impl<C: Clock, S> FixedKeyed<C, S> {
    /// Changes the quota of all keys while other threads use the table. No call waits for it.
    ///
    /// Each key keeps its level in tokens: at most the new capacity, and a debt stays a debt. So a
    /// larger capacity is not a free burst. It fills at the new rate. A key without an entry has a
    /// full bucket of the new quota, because the table does not know it. So does a key whose bucket
    /// was full. Does nothing if the quota is the same.
    ///
    /// Keys change one after another until the method returns. Each call is decided by the old
    /// quota or by the new one, never by parts of both. [`quota`](Self::quota) may be the new one
    /// already while the last keys have the old one.
    ///
    /// # What goes on
    ///
    /// * Each key is limited as [`TokenBucket::set_quota`](crate::TokenBucket::set_quota) says. The
    ///   bucket that keys without room share changes as well.
    /// * Waiters keep their places. The first of each key is woken and decided by the new quota. A
    ///   waiter that asks for more than the new capacity is refused with
    ///   [`Denied::Never`](crate::Denied).
    /// * A charge made before the change can no longer be undone. Its tokens count as used.
    ///
    /// # Cost
    ///
    /// A table whose quota was never changed pays nothing. The change visits the whole table and
    /// allocates another one: 32 bytes per key of the capacity. It takes a lock that only other
    /// changes take. A call that comes to a set in the middle of the change finishes that set.
    ///
    /// The first table stays where it was. So a table takes twice its memory after the first
    /// change, and three times while a later change is made. After the first change, each call
    /// takes some 50 nanoseconds more to find the quota.
    ///
    /// # Panics
    ///
    /// Never. Without enough memory the program ends, as with any collection.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{FixedKeyed, ManualClock, Quota};
    ///
    /// let clock = ManualClock::new();
    /// let users = FixedKeyed::with_clock(Quota::per_second(10), 1_000, clock.clone());
    /// users.try_acquire("alice", 4)?;
    ///
    /// users.set_quota(Quota::per_second(100)); // shared: no `mut`
    /// assert_eq!((users.available("alice"), users.available("bob")), (6, 100));
    /// clock.advance(Duration::from_millis(500));
    /// assert_eq!(users.available("alice"), 56);
    ///
    /// users.set_quota(Quota::per_second(20));
    /// assert_eq!(users.available("alice"), 20);
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub fn set_quota(&self, quota: Quota) {
        self.set_quota_at(quota, self.clock.now());
    }
}
