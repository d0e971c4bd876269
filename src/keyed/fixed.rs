//! Buckets for many keys in a table that never grows: the public face of [`Set`].

mod set;

use alloc::boxed::Box;
use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;

use super::keys::KeyHasher;
use super::overflow::Overflow;
use crate::clock::{Clock, DefaultClock};
use crate::denied::Denied;
use crate::gcra::WordGcra;
use crate::quota::Quota;
use crate::snapshot::Snapshot;
use crate::sync::{AtomicU64, Ordering, add_saturating};
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;
use set::{Full, Refusal, Set, Tag};

/// A token bucket for every key, all with one quota, in a table of fixed size: lock-free, without allocation, and indifferent to
/// floods of keys.
///
/// It takes keys of any type, and has no parameter for them: its first is the clock.
///
/// Take it where keys come from strangers (addresses above all) or have to be decided as fast as can be, and
/// `Keyed` where limits differ from key to key, or must be looked at, removed or counted exactly.
///
/// # How keys are kept
///
/// Not at all: a key is a hash, of which 40 bits and its place in the table are kept beside its bucket. Two keys with the same
/// hash share a bucket; a new key meets its double among those it is kept with in one of 10¹¹ cases. Hashes are
/// seeded ([`KeyHasher`]), so nobody can choose whom to share with.
///
/// A key whose bucket is full again is forgotten when its place is needed, which nobody can notice. So the table has to have room
/// for the keys that have *spent* something lately, not for all there are.
///
/// # When there is no room
///
/// Each key can be in one of 15 places, and there are almost twice as many places as the capacity. While as many keys as the capacity
/// are in use at once, 1 in 500 of them finds all of its places taken by keys in use; with three quarters of that, 1 in 8 000. What
/// becomes of those is up to the [`Overflow`] policy: by default they share one bucket, and together get no more than one key
/// does. It is counted ([`stats`](Self::stats)). (Who finds a place later has a full bucket there, whatever it had of the shared
/// one.)
///
/// # Guarantees
///
/// Each key that has a place is limited as by a [`TokenBucket`]: the same bound, honest hints, and no refusal but of what was not
/// there 2 ns before. Rates whose tokens last a whole number of half nanoseconds are exact, others are never early and at most 2 ns
/// late (both with capacities of up to 9 years of refill; with more, at most 170 ns). The table lasts until 109 years after the
/// clock's origin (with more than 2 tokens per nanosecond proportionally shorter: 79 days for 10¹² per second); from then on its
/// time stands still, and it refuses. A clock that steps back counts as standing still.
///
/// # Progress and cost
///
/// Lock-free. A known key takes one hash, one cache line of four neighbouring ones (sometimes two) and one compare-and-swap; a
/// refusal writes nothing. A new key takes up to six more atomic writes in the same lines, more only while others claim places
/// beside it. Nothing is allocated after construction, 32 bytes per key of the capacity.
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
/// let retry_after = Duration::from_millis(100);
/// assert_eq!(limits.try_acquire("alice", 1), Err(Denied::NotYet { retry_after }));
/// assert!(limits.try_acquire("bob", 1).is_ok());
/// assert_eq!((limits.available("alice"), limits.available("bob")), (0, 2));
///
/// clock.advance(retry_after);
/// assert!(limits.try_acquire("alice", 1).is_ok());
/// # }
/// ```
pub struct FixedKeyed<C = DefaultClock, S = KeyHasher> {
    sets: Box<[Set]>,
    rule: WordGcra,
    hasher: S,
    clock: C,
    quota: Quota,
    overflow: Overflow,
    /// Of all keys without room, if they share one.
    shared: TokenBucket<()>,
    overflowed: AtomicU64,
}

/// Counts of a [`FixedKeyed`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FixedKeyedStats {
    /// Keys that are in use: whose bucket is not full.
    pub active: u64,
    /// How many keys it was made for.
    pub capacity: u64,
    /// Calls that the [`Overflow`] policy has decided.
    pub overflowed: u64,
}

/// Keys of the capacity per set.
const KEYS_PER_SET: usize = 8;

#[cfg(feature = "std")]
impl FixedKeyed {
    /// For so many keys in use at once, on the [`DefaultClock`].
    ///
    /// # Panics
    ///
    /// If 32 bytes per key are more than can be addressed. (Without enough memory the program ends, as with any collection.)
    ///
    /// ```
    /// use std::sync::LazyLock;
    /// use tidegate::{FixedKeyed, Quota};
    ///
    /// static CLIENTS: LazyLock<FixedKeyed> = LazyLock::new(|| FixedKeyed::new(Quota::per_minute(100), 100_000));
    /// assert!(CLIENTS.try_acquire("203.0.113.7", 1).is_ok());
    /// ```
    pub fn new(quota: Quota, capacity_in_keys: usize) -> Self {
        Self::with_clock(quota, capacity_in_keys, DefaultClock)
    }
}

#[cfg(feature = "std")]
impl<C> FixedKeyed<C> {
    /// For so many keys in use at once, on a clock of your choice.
    ///
    /// # Panics
    ///
    /// If 32 bytes per key are more than can be addressed. (Without enough memory the program ends, as with any collection.)
    pub fn with_clock(quota: Quota, capacity_in_keys: usize, clock: C) -> Self {
        Self::with_clock_and_hasher(quota, capacity_in_keys, clock, KeyHasher::new())
    }
}

impl<C, S> FixedKeyed<C, S> {
    /// With a hash function of your choice, all of whose 64 bits must be good. It should be seeded: who can choose keys that collide
    /// shares their buckets.
    ///
    /// # Panics
    ///
    /// If 32 bytes per key are more than can be addressed. (Without enough memory the program ends, as with any collection.)
    pub fn with_clock_and_hasher(
        quota: Quota,
        capacity_in_keys: usize,
        clock: C,
        hasher: S,
    ) -> Self {
        let sets = capacity_in_keys.div_ceil(KEYS_PER_SET).max(1);
        Self {
            sets: (0..sets).map(|_| Set::new()).collect(),
            rule: WordGcra::new(quota),
            hasher,
            clock,
            quota,
            overflow: Overflow::default(),
            shared: TokenBucket::with_clock(quota, ()),
            overflowed: AtomicU64::new(0),
        }
    }

    /// The same table with another policy for keys that it has no room for.
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// The quota of each key.
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// The clock that the table reads.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// For how many keys there is room: as many as asked for, or up to seven more.
    pub fn capacity_in_keys(&self) -> usize {
        self.sets.len() * KEYS_PER_SET
    }
}

/// Operations at an instant that the caller has read. They read no clock.
///
/// An instant older than that of an earlier call is allowed; a key that was forgotten meanwhile, as its bucket was full, is judged as
/// of the time when it was. So do not pass instants that have not come, or new keys are judged by them from then on.
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
        let rule = &self.rule;
        let cost = rule.cost(n)?;
        let (set, tag) = self.locate(key);
        let decided = set.decide(rule, tag, now.as_nanos(), move |now, tat| {
            rule.admit(tat, now, cost)
                .map_err(|shortfall| (now, shortfall))
        });
        match decided {
            Ok(()) => Ok(()),
            Err(Refusal::Denied((now, shortfall))) => Err(rule.not_yet(now, shortfall)),
            Err(Refusal::Full(full)) => self.overflowed(&full, n, now),
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
        let cost = self.rule.cost(n)?;
        let (set, tag) = self.locate(key);
        match set.peek(&self.rule, tag, now.as_nanos()) {
            Ok(None) => Ok(()),
            Ok(Some((tat, now))) => match self.rule.admit(tat, now, cost) {
                Ok(_) => Ok(()),
                Err(shortfall) => Err(self.rule.not_yet(now, shortfall)),
            },
            Err(full) => match self.overflow {
                Overflow::Share => self.shared.peek_at(n, now),
                Overflow::Refuse => Err(full.denied(&self.rule)),
                Overflow::Admit => Ok(()),
            },
        }
    }

    /// [`available`](Self::available) as of `now`.
    pub fn available_at<Q: Hash + ?Sized>(&self, key: &Q, now: Timestamp) -> u64 {
        let (set, tag) = self.locate(key);
        match set.peek(&self.rule, tag, now.as_nanos()) {
            Ok(None) => self.quota.capacity(),
            Ok(Some((tat, now))) => self.rule.available(tat, now),
            Err(_) => match self.overflow {
                Overflow::Share => self.shared.available_at(now),
                Overflow::Refuse => 0,
                Overflow::Admit => self.quota.capacity(),
            },
        }
    }

    /// What the key's bucket allows and has left at `now`, to tell others.
    pub fn snapshot_at<Q: Hash + ?Sized>(&self, key: &Q, now: Timestamp) -> Snapshot {
        let available = self.available_at(key, now);
        let more = available.saturating_add(1);
        Snapshot {
            limit: None,
            capacity: self.quota.capacity(),
            refill_time: self.quota.refill_time(),
            available,
            // None if that is above the capacity.
            next_permit_in: self.wait_time_at(key, more, now),
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
        let active = |set: &Set| set.active(&self.rule, now.as_nanos()) as u64;
        FixedKeyedStats {
            active: self.sets.iter().map(active).sum(),
            capacity: self.capacity_in_keys() as u64,
            // Relaxed: a number on its own.
            overflowed: self.overflowed.load(Ordering::Relaxed),
        }
    }

    /// The set that a key belongs to, and what it leaves there.
    #[inline]
    fn locate<Q: Hash + ?Sized>(&self, key: &Q) -> (&Set, Tag) {
        let hash = self.hasher.hash_one(key);
        // The high bits choose the set, the others are the tag: any number of sets, without a division.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the high half of a product with a number of sets is less than that number"
        )]
        let set = ((u128::from(hash) * self.sets.len() as u128) >> 64) as usize;
        (&self.sets[set], Tag::of(hash))
    }

    #[cold]
    #[inline(never)]
    fn overflowed(&self, full: &Full, n: u64, now: Timestamp) -> Result<(), Denied> {
        add_saturating(&self.overflowed, 1);
        match self.overflow {
            Overflow::Share => self.shared.try_acquire_at(n, now),
            Overflow::Refuse => Err(full.denied(&self.rule)),
            Overflow::Admit => Ok(()),
        }
    }
}

/// Operations as of now. Each reads the clock once.
impl<C: Clock, S: BuildHasher> FixedKeyed<C, S> {
    /// Takes `n` tokens of the key's bucket if they are there. `n = 0` always succeeds and changes nothing.
    ///
    /// # Errors
    ///
    /// [`Denied::NotYet`] with the wait if fewer than `n` are there, [`Denied::Never`] if `n` is above the capacity. Nothing is
    /// charged then. If there is no room for the key, what the [`Overflow`] policy says: what the shared bucket answers,
    /// or the time until there is room.
    #[expect(
        clippy::inline_always,
        reason = "a call and its frame are a tenth of the whole decision"
    )]
    #[inline(always)]
    pub fn try_acquire<Q: Hash + ?Sized>(&self, key: &Q, n: u64) -> Result<(), Denied> {
        self.try_acquire_at(key, n, self.clock.now())
    }

    /// Whether `n` tokens would be given now. Changes nothing.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek<Q: Hash + ?Sized>(&self, key: &Q, n: u64) -> Result<(), Denied> {
        self.peek_at(key, n, self.clock.now())
    }

    /// Whole tokens that the key could have now; all of them if it was never seen.
    pub fn available<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.available_at(key, self.clock.now())
    }

    /// How long until `n` tokens would be given to this key if nobody else came; `None` if never.
    pub fn wait_time<Q: Hash + ?Sized>(&self, key: &Q, n: u64) -> Option<Duration> {
        self.wait_time_at(key, n, self.clock.now())
    }

    /// Counts, for dashboards: looks at the whole table, 32 bytes per key of the capacity.
    pub fn stats(&self) -> FixedKeyedStats {
        self.stats_at(self.clock.now())
    }
}

impl<C: fmt::Debug, S> fmt::Debug for FixedKeyed<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedKeyed")
            .field("quota", &self.quota)
            .field("capacity_in_keys", &self.capacity_in_keys())
            .field("overflow", &self.overflow)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
