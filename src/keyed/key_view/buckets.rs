//! What a view can do for token buckets.

use super::{KeyHandle, KeyView};
#[cfg(feature = "std")]
use crate::denied::Denied;
use crate::keyed::table::BucketTable;
#[cfg(feature = "std")]
use crate::keyed::table::QuotaTable;
#[cfg(feature = "std")]
use crate::quota::Quota;
use crate::time::Timestamp;

/// Operations on the token bucket of a key.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use tidegate::{Keyed, ManualClock, Quota, TokenBucket};
///
/// let (clock, quota) = (ManualClock::new(), Quota::per_second(10));
/// let users = Keyed::new(move |_: &String| TokenBucket::with_clock(quota, clock.clone()));
/// let alice = users.at("alice");
/// alice.debit(15); // adds the key
/// assert_eq!((alice.available(), alice.debt()), (0, 5));
/// alice.credit(8);
/// assert_eq!((alice.available(), alice.debt()), (3, 0));
/// alice.reset();
/// assert_eq!(alice.available(), 10);
/// # }
/// ```
impl<T, H> KeyView<T, H>
where
    H: KeyHandle,
    T: BucketTable<H::Key>,
{
    /// [`debit`](Self::debit) as of `now`.
    pub fn debit_at(&self, n: u64, now: Timestamp) {
        self.table.debit_for(self.key(), n, now);
    }

    /// [`credit`](Self::credit) as of `now`.
    pub fn credit_at(&self, n: u64, now: Timestamp) {
        self.table.credit_for(self.key(), n, now);
    }

    /// [`debt`](Self::debt) as of `now`.
    pub fn debt_at(&self, now: Timestamp) -> u64 {
        self.table.debt_for(self.key(), now)
    }

    /// Charges `n` tokens that were already spent, whether or not they are available. Adds the key
    /// if the table does not hold it.
    ///
    /// The level may become negative. Calls are then refused until the debt has flowed in. A bucket
    /// that is kept as a word holds debts of up to 18 years of refill; with more than 2 tokens per
    /// nanosecond, of up to 2⁶⁰ tokens. A bucket that is kept whole holds those of
    /// [`TokenBucket::debit`](crate::TokenBucket::debit). Charges beyond the limit are dropped.
    ///
    /// If there is no room for the key, the [`Overflow`](crate::Overflow) policy decides. With
    /// `Share`, the shared bucket is charged. With `Refuse` and `Admit` no bucket is, because the
    /// calls of the key are decided without one. The statistics count it under each policy.
    pub fn debit(&self, n: u64) {
        self.debit_at(n, self.now());
    }

    /// Returns `n` tokens that were charged but not spent, such as the unused part of an estimate.
    /// Never fills the bucket beyond its capacity. Does nothing if the table does not hold the key:
    /// its bucket is full then, or it had no room and shared one.
    ///
    /// The bound of the key's bucket grows by the credits, as for
    /// [`TokenBucket::credit`](crate::TokenBucket::credit).
    ///
    /// Wakes the first of those that wait for the key, for which this takes a lock if there is one.
    pub fn credit(&self, n: u64) {
        self.credit_at(n, self.now());
    }

    /// Returns the tokens that were charged by [`debit`](Self::debit) beyond the level and have not
    /// flowed in yet. Part of a token counts as one.
    pub fn debt(&self) -> u64 {
        self.debt_at(self.now())
    }
}

/// The quota of one key.
#[cfg(feature = "std")]
impl<T, H> KeyView<T, H>
where
    H: KeyHandle,
    T: QuotaTable<H::Key>,
{
    /// Changes the quota of this key while calls use it. Adds the key if the table does not hold
    /// it.
    ///
    /// The key keeps its level, as in [`TokenBucket::set_quota`](crate::TokenBucket::set_quota). It
    /// keeps the quota until it is [removed](crate::Keyed::remove), and then gets what the factory
    /// makes. So it is never evicted, and counts toward `max_keys`. Where many keys differ from the
    /// others, let the factory say so: see [`Keyed::set_factory`](crate::Keyed::set_factory).
    ///
    /// A charge from before the change can no longer be undone. The first of those that wait for
    /// the key is woken.
    ///
    /// ```
    /// use tidegate::{Keyed, ManualClock, Quota, TokenBucket};
    ///
    /// let (clock, quota) = (ManualClock::new(), Quota::per_minute(10));
    /// let users = Keyed::new(move |_: &String| TokenBucket::with_clock(quota, clock.clone()));
    /// users.try_acquire("alice", 4)?;
    /// users.at("alice").set_quota(Quota::per_minute(100))?;
    /// let snapshot = users.at("alice").snapshot();
    /// assert_eq!((snapshot.capacity, snapshot.available), (100, 6));
    /// assert_eq!(users.available("bob"), 10);
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Denied::Busy`] if there is no room for the key. Nothing has changed then.
    pub fn set_quota(&self, quota: Quota) -> Result<(), Denied> {
        self.set_quota_at(quota, self.now())
    }

    /// [`set_quota`](Self::set_quota) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`set_quota`](Self::set_quota).
    pub fn set_quota_at(&self, quota: Quota, now: Timestamp) -> Result<(), Denied> {
        self.table.set_quota_for(self.key(), quota, now)
    }
}
