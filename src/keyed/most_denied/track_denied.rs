//! A table that also tracks the keys that it refuses.

use alloc::borrow::ToOwned;
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;

use super::MostDenied;
use crate::clock::Clock;
use crate::denied::Denied;
use crate::keyed::key_view::KeyView;
use crate::keyed::keyed_limiter::KeyedLimiter;
use crate::keyed::keys::KeyHasher;
use crate::keyed::table::{Table, WaitTable};
use crate::keyed::wait_queues::Place;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;
use crate::wait::{Acquire, Hold, Instants};

/// A table that also tracks which keys it refuses most often.
///
/// It is a table itself, for [`PerKey`](crate::layer::PerKey) gates and for waits. The table behind
/// it works as before, and an admitted call costs nothing more. Peeks and queries are not tracked.
/// A wait is tracked if it ends in a refusal.
///
/// The keys are of type `K`, and calls may borrow them, as in a map: `&str` for a `String`.
///
/// ```
/// use tidegate::{FixedKeyed, ManualClock, Quota, TrackDenied};
///
/// let table = FixedKeyed::with_clock(Quota::per_minute(2), 1_000, ManualClock::new());
/// let clients = TrackDenied::<_, String>::new(table, 100);
/// for _ in 0..5 {
///     _ = clients.try_acquire("mallory", 1);
/// }
/// assert!(clients.try_acquire("alice", 1).is_ok());
///
/// let top = clients.most_denied().top(10);
/// assert_eq!((top.keys.len(), top.keys[0].key.as_str()), (1, "mallory"));
/// assert_eq!((top.keys[0].at_least, top.keys[0].at_most), (3, 3));
/// ```
///
/// In a layer, behind an `Arc` that a dashboard shares:
///
/// ```
/// # #[cfg(feature = "tower")] {
/// use std::sync::Arc;
/// use tidegate::layer::{PerKey, RateLimitLayer, RequestHead};
/// use tidegate::{FixedKeyed, IpKey, Quota, TrackDenied};
///
/// let table = FixedKeyed::new(Quota::per_minute(100), 50_000);
/// let clients = Arc::new(TrackDenied::<_, IpKey>::new(table, 200));
/// let address = |request: &RequestHead<'_>| request.extension::<IpKey>().copied();
/// let layer = RateLimitLayer::new(PerKey::new(Arc::clone(&clients), address));
/// assert!(clients.most_denied().top(20).keys.is_empty());
/// # drop(layer);
/// # }
/// ```
#[derive(Debug)]
pub struct TrackDenied<T, K, S = KeyHasher> {
    table: T,
    most_denied: Arc<MostDenied<K, S>>,
}

impl<T, K> TrackDenied<T, K> {
    /// Tracks the refusals of `table` with a [`MostDenied`] of this many counters.
    pub fn new(table: T, counters: usize) -> Self {
        Self::with(table, Arc::new(MostDenied::new(counters)))
    }
}

impl<T, K, S> TrackDenied<T, K, S> {
    /// Tracks the refusals of `table` in a list that others may record in, too.
    pub const fn with(table: T, most_denied: Arc<MostDenied<K, S>>) -> Self {
        Self { table, most_denied }
    }

    /// Returns the table.
    pub const fn table(&self) -> &T {
        &self.table
    }

    /// Returns the list.
    pub const fn most_denied(&self) -> &Arc<MostDenied<K, S>> {
        &self.most_denied
    }

    /// Returns the table without the list.
    pub fn into_table(self) -> T {
        self.table
    }

    /// Returns one key of the table as a limiter, whose refusals are tracked.
    pub const fn at<'a, Q: ?Sized>(&'a self, key: &'a Q) -> KeyView<&'a Self, &'a Q> {
        KeyView::new(self, key)
    }
}

impl<T, K, S: BuildHasher> TrackDenied<T, K, S> {
    /// Takes `n` permits of the key's limiter if they are available, and tracks a refusal.
    ///
    /// # Errors
    ///
    /// That of the table.
    #[inline]
    pub fn try_acquire<Q>(&self, key: &Q, n: u64) -> Result<(), Denied>
    where
        T: KeyedLimiter<Q>,
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.try_acquire_at(key, n, self.table.clock_for(key).now())
    }

    /// [`try_acquire`](Self::try_acquire) as of `now`.
    ///
    /// # Errors
    ///
    /// That of the table.
    #[inline]
    pub fn try_acquire_at<Q>(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied>
    where
        T: KeyedLimiter<Q>,
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let decided = self.table.try_acquire_for(key, n, now);
        decided.inspect_err(|_| self.most_denied.record(key))
    }

    /// Waits for `n` permits of the key's limiter, in order of arrival at this key. Tracks a wait
    /// that ends in a refusal.
    ///
    /// # Errors
    ///
    /// As [`Acquire::wait`].
    ///
    /// # Cancel safety
    ///
    /// See [`Acquire`]. A wait that is dropped is not tracked.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{FixedKeyed, ManualClock, Quota, TrackDenied};
    ///
    /// let table = FixedKeyed::with_clock(Quota::per_minute(1), 1_000, ManualClock::new());
    /// let clients = TrackDenied::<_, String>::new(table, 100);
    /// clients.acquire("mallory", 1).wait()?; // in async code: `clients.acquire(..).await?`
    /// assert!(clients.acquire("mallory", 1).timeout(Duration::from_secs(1)).wait().is_err());
    /// assert_eq!(clients.most_denied().top(1).keys[0].at_least, 1);
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub const fn acquire<'a, Q>(&'a self, key: &'a Q, n: u64) -> Acquire<KeyView<&'a Self, &'a Q>>
    where
        T: WaitTable<Q>,
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        Acquire::new(self.at(key), n)
    }
}

/// All queries are those of the table.
impl<T, K, S, Q> Table<Q> for TrackDenied<T, K, S>
where
    T: Table<Q>,
    K: Borrow<Q>,
    S: BuildHasher,
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
{
    type Clock = T::Clock;
    type Charge = T::Charge;

    fn clock_for(&self, key: &Q) -> &T::Clock {
        self.table.clock_for(key)
    }

    fn capacity_for(&self, key: &Q) -> u64 {
        self.table.capacity_for(key)
    }

    #[inline]
    fn peek_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.table.peek_for(key, n, now)
    }

    #[inline]
    fn try_acquire_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(key, n, now)
    }

    #[inline]
    fn charge_for(&self, key: &Q, n: u64, now: Timestamp) -> Result<T::Charge, Denied> {
        let charged = self.table.charge_for(key, n, now);
        charged.inspect_err(|_| self.most_denied.record(key))
    }

    fn undo_for(&self, key: &Q, charge: T::Charge) -> u64 {
        self.table.undo_for(key, charge)
    }

    fn available_for(&self, key: &Q, now: Timestamp) -> u64 {
        self.table.available_for(key, now)
    }

    fn refill_time_for(&self, key: &Q) -> Duration {
        self.table.refill_time_for(key)
    }

    fn settle_for(
        &self,
        key: &Q,
        charge: Option<Self::Charge>,
        charged: u64,
        used: u64,
        now: Timestamp,
    ) {
        self.table.settle_for(key, charge, charged, used, now);
    }

    fn give_back_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.table.give_back_for(key, n, now);
    }

    fn take_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.table.take_for(key, n, now);
    }

    fn snapshot_for(&self, key: &Q, now: Timestamp) -> Snapshot {
        self.table.snapshot_for(key, now)
    }

    fn has_several_limits(&self) -> bool {
        self.table.has_several_limits()
    }

    fn each_snapshot_for(&self, key: &Q, now: Timestamp, each: &mut dyn FnMut(Snapshot)) {
        self.table.each_snapshot_for(key, now, each);
    }

    fn snapshot_of_refusal_for(&self, key: &Q, n: u64, now: Timestamp) -> Snapshot {
        self.table.snapshot_of_refusal_for(key, n, now)
    }

    fn is_unused_for(&self, key: &Q, now: Timestamp) -> bool {
        self.table.is_unused_for(key, now)
    }

    fn record_peeked_refusal_for(&self, key: &Q, n: u64, now: Timestamp) {
        self.table.record_peeked_refusal_for(key, n, now);
        if self.table.peek_for(key, n, now).is_err() {
            self.most_denied.record(key);
        }
    }
}

/// Calls wait at the table.
impl<T, K, S, Q> WaitTable<Q> for TrackDenied<T, K, S>
where
    T: WaitTable<Q>,
    K: Borrow<Q>,
    S: BuildHasher,
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
{
    fn max_permits_for(&self, key: &Q) -> u64 {
        self.table.max_permits_for(key)
    }

    #[inline]
    fn waiting_for(&self, key: &Q) -> u64 {
        self.table.waiting_for(key)
    }

    fn queued(&self, key: &Q) -> u128 {
        self.table.queued(key)
    }

    fn enter(&self, key: &Q) -> Option<Place> {
        self.table.enter(key)
    }

    fn exit(&self, place: Place) {
        self.table.exit(place);
    }

    #[inline]
    fn attempt(&self, key: &Q, n: u64, at: Instants) -> Result<(), Hold> {
        self.table.attempt(key, n, at)
    }

    fn charge_as_of(&self, key: &Q, n: u64, at: Instants) -> Result<T::Charge, Hold> {
        self.table.charge_as_of(key, n, at)
    }

    fn hold_as_of(&self, key: &Q, n: u64, at: Instants) -> Option<Hold> {
        self.table.hold_as_of(key, n, at)
    }

    fn refusal(&self, key: &Q, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
        self.table.refusal(key, ahead, n, now)
    }

    fn refused(&self, key: &Q, n: u64, now: Timestamp) {
        self.table.refused(key, n, now);
        self.most_denied.record(key);
    }
}
