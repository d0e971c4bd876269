//! Token buckets of many keys in a table that never grows: the public type over [`Set`].

#[cfg(any(feature = "std", tidegate_loom))]
mod changed;
mod save;
mod set;
#[cfg(any(feature = "std", tidegate_loom))]
mod set_quota;
mod state;
mod views;
#[cfg(feature = "std")]
mod waits;

pub use views::FixedKeyCharge;

use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;

pub use save::FixedKey;

use super::keys::KeyHasher;
use super::overflow::{NO_ROOM, Overflow};
use super::table_stats::FixedKeyedStats;
#[cfg(feature = "std")]
use super::wait_queues::{WaitOptions, WaitQueues};
use crate::clock::{Clock, DefaultClock};
use crate::denied::Denied;
use crate::quota::Quota;
use crate::snapshot::{QuotaUnit, Snapshot};
#[cfg(any(feature = "std", tidegate_loom))]
use crate::sync::Succession;
use crate::sync::{AtomicU64, Closed, Ordering, add_saturating};
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;
#[cfg(any(feature = "std", tidegate_loom))]
use changed::ChangedTable;
use set::{KeyTag, Set, SetRefusal, Unfound};
use state::{KeyRefusal, TableState};

/// A token bucket for every key, all with one quota, in a table of fixed size. It is lock-free,
/// never allocates for a decision, and is indifferent to floods of keys.
///
/// It takes keys of any type, and has no type parameter for them. The first parameter is the clock.
///
/// Use it where keys come from strangers (addresses above all) or calls have to be as fast as they
/// can be. Use `Keyed` where limits differ from key to key, or keys must be listed, removed or
/// counted exactly.
///
/// # How keys are kept
///
/// They are not. A key is a hash, and the table keeps 40 bits of it and its position beside the
/// bucket. Two keys with the same hash share a bucket. A new key shares one with a key of its set
/// in one of 10¹¹ cases. Hashes are seeded ([`KeyHasher`]), so clients cannot choose with which key
/// they share.
///
/// A key whose bucket is full again is evicted when another key needs its entry. Nothing is lost,
/// because a new bucket is full as well. So the table needs room for the keys that have *spent*
/// something lately, not for all keys.
///
/// # When there is no room
///
/// Each key can be in one of 15 entries, and there are almost twice as many entries as the
/// capacity. While as many keys as the capacity are in use at once, 1 in 500 of them finds all of
/// its entries in use. With three quarters of that, it is 1 in 8 000.
///
/// The [`Overflow`] policy decides calls for those keys. By default they share one bucket, and
/// together get no more than one key does. [`stats`](Self::stats) counts these calls. A key that
/// finds an entry later has a full bucket there, whatever it took from the shared one.
///
/// # Guarantees
///
/// Each key that has an entry is limited like a [`TokenBucket`]: with the same bound, with honest
/// hints, and without refusing tokens that were available 2 ns before.
///
/// Rates whose emission interval is a whole number of half nanoseconds are exact. Others are never
/// early and at most 2 ns late, with capacities of up to 9 years of refill (at most 170 ns with
/// more).
///
/// The table lasts until 109 years after the clock's origin. With more than 2 tokens per nanosecond
/// that is proportionally shorter: 79 days for 10¹² per second. Later readings are clamped to that
/// instant, and so the table refuses. A clock that steps back is clamped, too.
///
/// # Progress and cost
///
/// Lock-free. A call for a known key takes one hash, one cache line of four neighboring ones
/// (sometimes two) and one compare-and-swap. A refusal writes nothing. A new key takes up to six
/// more atomic writes in the same lines, and more only while other threads claim entries beside it.
/// The table takes 32 bytes per key of the capacity, and allocates nothing after construction,
/// except for calls that wait.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use core::time::Duration;
/// use tidegate::{Denied, FixedKeyed, ManualClock, Quota};
///
/// let clock = ManualClock::new();
/// let limits = FixedKeyed::with_clock(Quota::per_second(10).burst(3), 100_000, clock.clone());
///
/// assert!(limits.try_acquire("alice", 3).is_ok());
/// let retry_after = Duration::from_millis(100).into();
/// assert_eq!(limits.try_acquire("alice", 1), Err(Denied::NotYet { retry_after }));
/// assert!(limits.try_acquire("bob", 1).is_ok());
/// assert_eq!((limits.available("alice"), limits.available("bob")), (0, 2));
///
/// clock.advance(retry_after);
/// assert!(limits.try_acquire("alice", 1).is_ok());
/// # }
/// ```
pub struct FixedKeyed<C = DefaultClock, S = KeyHasher> {
    /// Until the quota changes for the first time.
    state: TableState,
    hasher: S,
    clock: C,
    overflow: Overflow,
    /// The bucket of all keys without room, under [`Overflow::Share`].
    shared: TokenBucket<()>,
    overflowed: AtomicU64,
    #[cfg(any(feature = "std", tidegate_loom))]
    changes: Succession<ChangedTable>,
    #[cfg(feature = "std")]
    waits: WaitQueues,
}

/// Keys of the capacity per set.
const KEYS_PER_SET: usize = 8;

#[cfg(feature = "std")]
impl FixedKeyed {
    /// Creates a table for this many keys in use at once, on the [`DefaultClock`].
    ///
    /// # Panics
    ///
    /// If 32 bytes per key are more than can be addressed. Without enough memory the program ends,
    /// as with any collection.
    ///
    /// ```
    /// use std::sync::LazyLock;
    /// use tidegate::{FixedKeyed, Quota};
    ///
    /// static CLIENTS: LazyLock<FixedKeyed> =
    ///     LazyLock::new(|| FixedKeyed::new(Quota::per_minute(100), 100_000));
    /// assert!(CLIENTS.try_acquire("203.0.113.7", 1).is_ok());
    /// ```
    pub fn new(quota: Quota, capacity_in_keys: usize) -> Self {
        Self::with_clock(quota, capacity_in_keys, DefaultClock)
    }
}

#[cfg(feature = "std")]
impl<C> FixedKeyed<C> {
    /// Creates a table for this many keys in use at once, on a clock of your choice.
    ///
    /// # Panics
    ///
    /// If 32 bytes per key are more than can be addressed. Without enough memory the program ends,
    /// as with any collection.
    pub fn with_clock(quota: Quota, capacity_in_keys: usize, clock: C) -> Self {
        Self::with_clock_and_hasher(quota, capacity_in_keys, clock, KeyHasher::new())
    }
}

impl<C, S> FixedKeyed<C, S> {
    /// Creates a table with a hash function of your choice.
    ///
    /// All of its 64 bits must be good. It should be seeded, because clients that can choose
    /// colliding keys share their buckets.
    ///
    /// # Panics
    ///
    /// If 32 bytes per key are more than can be addressed. Without enough memory the program ends,
    /// as with any collection.
    pub fn with_clock_and_hasher(
        quota: Quota,
        capacity_in_keys: usize,
        clock: C,
        hasher: S,
    ) -> Self {
        let sets = capacity_in_keys.div_ceil(KEYS_PER_SET).max(1);
        Self {
            state: TableState::new(quota, sets),
            hasher,
            clock,
            overflow: Overflow::default(),
            shared: TokenBucket::with_clock(quota, ()),
            overflowed: AtomicU64::new(0),
            #[cfg(any(feature = "std", tidegate_loom))]
            changes: Succession::none(),
            #[cfg(feature = "std")]
            waits: WaitQueues::new(WaitOptions::DEFAULT),
        }
    }

    /// Sets the policy for keys without room, [`Overflow::Share`] by default.
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Returns the quota of each key.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub fn quota(&self) -> Quota {
        let first = self.state.quota;
        if self.changes.is_empty() {
            return first;
        }
        let latest = self.changes.run(&self.state, |table| Ok(table.quota()));
        latest.unwrap_or(first)
    }

    /// Returns the quota of each key.
    #[cfg(not(any(feature = "std", tidegate_loom)))]
    pub const fn quota(&self) -> Quota {
        self.state.quota
    }

    /// Returns the clock that the table reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// Returns the capacity in keys: as many as requested, or up to seven more.
    pub fn capacity_in_keys(&self) -> usize {
        self.state.sets.len() * KEYS_PER_SET
    }
}

/// Access to the sets, whatever the state of the table.
impl<C, S> FixedKeyed<C, S> {
    /// Runs an operation on the set with this number.
    fn on_set<R>(
        &self,
        number: usize,
        operation: impl Fn(&TableState, &Set) -> Result<R, Closed>,
    ) -> R {
        match operation(&self.state, &self.state.sets[number]) {
            Ok(result) => result,
            Err(closed) => self.on_changed_set(closed, number, operation),
        }
    }

    /// Runs an operation on the set that has taken over from the first one with this number.
    #[cfg(any(feature = "std", tidegate_loom))]
    #[cold]
    fn on_changed_set<R>(
        &self,
        _: Closed,
        number: usize,
        operation: impl Fn(&TableState, &Set) -> Result<R, Closed>,
    ) -> R {
        loop {
            // A set is closed after the next state was linked, so this never repeats.
            let result = self.changes.run_after(&self.state, |changed, before| {
                changed.on_set(before, number, &operation)
            });
            if let Some(result) = result {
                return result;
            }
        }
    }

    /// Without std, quotas do not change.
    #[cfg(not(any(feature = "std", tidegate_loom)))]
    #[expect(clippy::unused_self, reason = "the same call as with std")]
    const fn on_changed_set<R>(
        &self,
        closed: Closed,
        _: usize,
        _: impl Fn(&TableState, &Set) -> Result<R, Closed>,
    ) -> R {
        match closed {}
    }
}

/// Operations at an instant that the caller has read. They read no clock.
///
/// The instant may be older than that of an earlier call. A key that was evicted in between,
/// because its bucket was full, is then decided as of the eviction. So do not pass instants of the
/// future, or new keys are decided as of those from then on.
impl<C, S: BuildHasher> FixedKeyed<C, S> {
    /// [`try_acquire`](Self::try_acquire) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[expect(
        clippy::inline_always,
        reason = "a call and its frame are a tenth of the whole decision"
    )]
    #[inline(always)]
    pub fn try_acquire_at<Q: Hash + ?Sized>(
        &self,
        key: &Q,
        n: u64,
        now: Timestamp,
    ) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        let gcra = &self.state.gcra;
        let Ok(cost) = gcra.cost(n) else {
            return self.try_acquire_much(key, n, now);
        };
        let (set, tag) = self.locate(key);
        let decided = set.decide(gcra, tag, now.as_nanos(), move |now, tat| {
            gcra.admit(tat, now, cost)
                .map_err(|shortfall| (now, shortfall))
        });
        match decided {
            Ok(_) => Ok(()),
            Err(SetRefusal::Denied((now, shortfall))) => Err(gcra.not_yet(now, shortfall)),
            Err(SetRefusal::Unfound(unfound)) => {
                self.try_acquire_unfound(unfound, set, tag, n, now)
            }
        }
    }

    /// [`peek`](Self::peek) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek_at<Q: Hash + ?Sized>(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        let peeked = self.on_key(key, |state, set, tag| state.peek(set, tag, 0, n, now));
        peeked.or_else(|refusal| match refusal {
            KeyRefusal::Denied(denied) => Err(denied),
            KeyRefusal::Full => match self.overflow {
                Overflow::Share => self.shared.peek_at(n, now),
                Overflow::Refuse => Err(NO_ROOM),
                Overflow::Admit => Ok(()),
            },
        })
    }

    /// [`available`](Self::available) as of `now`.
    pub fn available_at<Q: Hash + ?Sized>(&self, key: &Q, now: Timestamp) -> u64 {
        self.available_of(key, now).1
    }

    /// The quota of a key, and its tokens.
    fn available_of<Q: Hash + ?Sized>(&self, key: &Q, now: Timestamp) -> (Quota, u64) {
        let (quota, available) = self.on_key(key, |state, set, tag| {
            Ok((state.quota, state.available(set, tag, now)?))
        });
        let available = available.unwrap_or_else(|| match self.overflow {
            Overflow::Share => self.shared.available_at(now),
            Overflow::Refuse => 0,
            Overflow::Admit => quota.capacity(),
        });
        (quota, available)
    }

    /// Returns what the key's bucket allows and has left at `now`, for header fields and
    /// dashboards.
    pub fn snapshot_at<Q: Hash + ?Sized>(&self, key: &Q, now: Timestamp) -> Snapshot {
        let snapshot = self.on_key(key, |state, set, tag| state.snapshot(set, tag, now));
        snapshot.unwrap_or_else(|| self.snapshot_without_room(key, now))
    }

    #[cold]
    fn snapshot_without_room<Q: Hash + ?Sized>(&self, key: &Q, now: Timestamp) -> Snapshot {
        let (quota, available) = self.available_of(key, now);
        let more = available.saturating_add(1);
        Snapshot {
            limit: None,
            capacity: quota.capacity(),
            refill_time: quota.refill_time(),
            available,
            // None if that is above the capacity.
            next_permit_in: self.wait_time_at(key, more, now),
            unit: QuotaUnit::Requests,
        }
    }

    /// [`wait_time`](Self::wait_time) as of `now`.
    pub fn wait_time_at<Q: Hash + ?Sized>(
        &self,
        key: &Q,
        n: u64,
        now: Timestamp,
    ) -> Option<Duration> {
        match self.peek_at(key, n, now) {
            Ok(()) => Some(Duration::ZERO),
            Err(denied) => denied.retry_after(),
        }
    }

    /// [`stats`](Self::stats) as of `now`.
    pub fn stats_at(&self, now: Timestamp) -> FixedKeyedStats {
        let nanos = now.as_nanos();
        let active = |number| self.on_set(number, |state, set| set.active(&state.gcra, nanos));
        let sets = 0..self.state.sets.len();
        FixedKeyedStats {
            active: sets.map(|number| active(number) as u64).sum(),
            capacity: self.capacity_in_keys() as u64,
            // Relaxed: a number on its own.
            overflowed: self.overflowed.load(Ordering::Relaxed),
        }
    }

    /// Returns the set that a key belongs to until the quota changes, and its tag there.
    #[inline]
    fn locate<Q: Hash + ?Sized>(&self, key: &Q) -> (&Set, KeyTag) {
        self.state.locate(self.hasher.hash_one(key))
    }

    /// Runs an operation on the set of a key.
    #[inline]
    fn on_key<Q: Hash + ?Sized, R>(
        &self,
        key: &Q,
        operation: impl Fn(&TableState, &Set, KeyTag) -> Result<R, Closed>,
    ) -> R {
        let state = &self.state;
        let (set, tag) = self.locate(key);
        match operation(state, set, tag) {
            Ok(result) => result,
            Err(closed) => self.on_changed_set(closed, state.number_of(set), |state, set| {
                operation(state, set, tag)
            }),
        }
    }

    /// [`try_acquire_at`](Self::try_acquire_at) for more than the capacity before any change.
    #[cold]
    #[inline(never)]
    fn try_acquire_much<Q>(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied>
    where
        Q: Hash + ?Sized,
    {
        let acquired = self.on_key(key, |state, set, tag| {
            Ok(state.charge(set, tag, n, now)?.map(drop))
        });
        acquired.or_else(|refusal| self.refused(refusal, n, now))
    }

    /// [`try_acquire_at`](Self::try_acquire_at) for a key that got no entry.
    #[cold]
    #[inline(never)]
    fn try_acquire_unfound(
        &self,
        unfound: Unfound,
        set: &Set,
        tag: KeyTag,
        n: u64,
        now: Timestamp,
    ) -> Result<(), Denied> {
        let acquired = match unfound {
            Unfound::Full => Err(KeyRefusal::Full),
            Unfound::Closed(closed) => {
                let number = self.state.number_of(set);
                self.on_changed_set(closed, number, |state, set| {
                    Ok(state.charge(set, tag, n, now)?.map(drop))
                })
            }
        };
        acquired.or_else(|refusal| self.refused(refusal, n, now))
    }

    fn refused(&self, refusal: KeyRefusal, n: u64, now: Timestamp) -> Result<(), Denied> {
        match refusal {
            KeyRefusal::Denied(denied) => Err(denied),
            KeyRefusal::Full => self.try_acquire_without_room(n, now),
        }
    }

    #[cold]
    #[inline(never)]
    fn try_acquire_without_room(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        add_saturating(&self.overflowed, 1);
        match self.overflow {
            Overflow::Share => self.shared.try_acquire_at(n, now),
            Overflow::Refuse => Err(NO_ROOM),
            Overflow::Admit => Ok(()),
        }
    }
}

/// Operations as of now. Each reads the clock once.
impl<C: Clock, S: BuildHasher> FixedKeyed<C, S> {
    /// Reads the table's clock once.
    #[inline]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Takes `n` tokens of the key's bucket if they are available. `n = 0` always succeeds and
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// [`Denied::NotYet`] with the wait if fewer than `n` tokens are available, and
    /// [`Denied::Never`] if `n` is above the capacity. Nothing is charged then.
    ///
    /// If there is no room for the key, the [`Overflow`] policy decides. With [`Overflow::Share`]
    /// the error is that of the shared bucket. With [`Overflow::Refuse`] it is [`Denied::Busy`]
    /// with a retry after a second, which is an estimate.
    #[expect(
        clippy::inline_always,
        reason = "a call and its frame are a tenth of the whole decision"
    )]
    #[inline(always)]
    pub fn try_acquire<Q: Hash + ?Sized>(&self, key: &Q, n: u64) -> Result<(), Denied> {
        self.try_acquire_at(key, n, self.clock.now())
    }

    /// Returns `Ok` if `n` tokens would be admitted now. Changes nothing.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek<Q: Hash + ?Sized>(&self, key: &Q, n: u64) -> Result<(), Denied> {
        self.peek_at(key, n, self.clock.now())
    }

    /// Returns how many whole tokens the key could have now; all of them if the key is new.
    pub fn available<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.available_at(key, self.clock.now())
    }

    /// Returns how long until `n` tokens would be admitted for this key if no other call came;
    /// `None` if never. While there is no room for the key, it is an estimate.
    pub fn wait_time<Q: Hash + ?Sized>(&self, key: &Q, n: u64) -> Option<Duration> {
        self.wait_time_at(key, n, self.clock.now())
    }

    /// Returns counts for dashboards. Reads the whole table, 32 bytes per key of the capacity.
    pub fn stats(&self) -> FixedKeyedStats {
        self.stats_at(self.clock.now())
    }
}

impl<C: fmt::Debug, S> fmt::Debug for FixedKeyed<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedKeyed")
            .field("quota", &self.quota())
            .field("capacity_in_keys", &self.capacity_in_keys())
            .field("overflow", &self.overflow)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
