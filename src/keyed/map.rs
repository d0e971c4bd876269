//! A limiter for every key, in a table that follows the keys in use.

mod builder;
mod cell;
mod insert;
mod read;
mod shard;
mod stats;
mod table;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;
use std::sync::{Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;

use crossbeam_utils::CachePadded;

pub use builder::KeyedBuilder;
pub use stats::KeyedStats;

use super::keys::KeyHasher;
use super::overflow::Overflow;
use crate::denied::Denied;
use crate::gcra::WordGcra;
use crate::limiter::Limiter;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::time::Timestamp;
use builder::Factory;
use cell::Tier;
use shard::Shard;

/// A limiter of its own for every key: user, tenant, address, route.
///
/// A factory makes the limiter of a key when the key first comes, and again when it comes back after its limiter was unused. It
/// sees the key, so that tiers are a `match` away. For keys by which strangers could flood you, and where one quota does for all,
/// there is the faster [`FixedKeyed`](crate::FixedKeyed).
///
/// # Memory follows the keys in use
///
/// A limiter that nobody could tell from a new one (a full bucket, an empty window) is not needed. Whenever a key is added, a few
/// others are looked at and dropped if that is so: there is no thread, no scan of all keys, and no time to live to choose. What is
/// dropped takes no debt with it. Tables that have become too large shrink. [`sweep`](Self::evict_unused) drops at once
/// what there is to drop.
///
/// There are never more keys than [`max_keys`](KeyedBuilder::max_keys). If that many are in use, the [`Overflow`] policy says
/// what becomes of a new one. (To find one that is unused, a newcomer looks at 64 places where it would be kept, and at 64
/// somewhere else, in turn. So with more keys than that it may come to the policy although a key has become unused just now.)
///
/// # What is kept
///
/// Of a key whose limiter is a [`TokenBucket`](crate::TokenBucket) with the same quota as the first key's: the key and 8 bytes, in
/// a hash table. With another quota: 8 bytes more, as long as there are no more than 64 quotas. Any other limiter is kept whole.
/// Buckets of which only a word is kept last until 109 years after their clock's origin, when their time stands still; rates whose
/// tokens last a whole number of half nanoseconds are exact, others never early and at most 2 ns late (both with capacities of up to
/// 9 years of refill; with more, at most 170 ns).
///
/// A limiter that others share as well, such as one for everybody in a [`Combined`](crate::Combined) of each key, is unused only when
/// nobody uses it: as long as somebody does, no key is dropped. Request it beside the `Keyed`, not in it.
///
/// # Guarantees and progress
///
/// Each key is limited as by its limiter alone; a call reads the clock of the first limiter that was made, once. Looking a key up
/// takes a shared lock on a part of the table, as little as possible is done under it, and nothing of yours but the comparison and
/// hashing of keys. (Besides, [`for_each`](Self::for_each) clones keys under it, and keys and limiters that go are dropped under that
/// part's lock: neither may call back. And hashing must not panic, or keys may be lost while a table grows.) A new key takes the
/// exclusive lock of that part, and before that, if its quota is not the first key's, for a look at the others a lock of the whole.
/// No call of a known key allocates.
///
/// ```
/// use tidegate::{Keyed, ManualClock, Quota, TokenBucket};
///
/// let clock = ManualClock::new(); // a real program: `TokenBucket::new(quota)`
/// let time = clock.clone();
/// let limits = Keyed::new(move |user: &String| {
///     let quota = if user.starts_with("pro:") { Quota::per_minute(600) } else { Quota::per_minute(60) };
///     TokenBucket::with_clock(quota, time.clone())
/// });
///
/// assert!(limits.try_acquire("alice", 60).is_ok());
/// assert!(limits.try_acquire("alice", 1).is_err());
/// assert!(limits.try_acquire("pro:bob", 61).is_ok());
/// assert_eq!((limits.available("alice"), limits.available("pro:bob")), (0, 539));
/// assert_eq!(limits.len(), 2);
///
/// assert!(limits.remove("alice"));
/// assert_eq!(limits.available("alice"), 60);
/// ```
pub struct Keyed<K, L, S = KeyHasher> {
    shards: Box<[Locked<K, L>]>,
    hasher: S,
    /// Made for the first key.
    first: OnceLock<First<L>>,
    factory: Factory<K, L>,
    /// Quotas other than the first that more than one key may have.
    tiers: Mutex<Vec<Arc<Tier<L>>>>,
    max_keys: u64,
    overflow: Overflow,
    /// Of all keys without room, if they share one.
    shared: OnceLock<L>,
    /// How many keys there are: raised before a key is added, lowered after some were dropped.
    keys: CachePadded<AtomicU64>,
    /// Where room is looked for next.
    cursor: AtomicU64,
    overflowed: AtomicU64,
}

type Locked<K, L> = CachePadded<RwLock<Shard<K, L>>>;

/// The first limiter. It serves as the clock, and tells which kind of key is kept as a word alone.
enum First<L> {
    Plain(Tier<L>),
    Whole(L),
}

impl<L> First<L> {
    #[inline]
    const fn limiter(&self) -> &L {
        match self {
            Self::Plain(tier) => &tier.bucket,
            Self::Whole(limiter) => limiter,
        }
    }

    #[inline]
    const fn rule(&self) -> Option<&WordGcra> {
        match self {
            Self::Plain(tier) => Some(&tier.rule),
            Self::Whole(_) => None,
        }
    }
}

/// Parts of the table: so many that threads seldom meet in one. Per thread that the machine runs at once:
const SHARDS_PER_THREAD: usize = 8;
const LEAST_SHARDS: usize = 64;
/// A part has no more keys than that on average, which bounds the pause when it grows (with more than 67 million keys, more).
const MOST_PER_SHARD: usize = 1 << 14;
const MOST_SHARDS: usize = 1 << 12;
/// Nor fewer, if it could: a few keys are kept in one part, of which every newcomer sees all.
const LEAST_PER_SHARD: usize = 64;

fn shards(max_keys: usize) -> usize {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let spread = (threads * SHARDS_PER_THREAD).max(LEAST_SHARDS);
    let split = max_keys.div_ceil(MOST_PER_SHARD);
    let most = (max_keys / LEAST_PER_SHARD).clamp(1, MOST_SHARDS);
    // Powers of two, not above `most`.
    spread.max(split).next_power_of_two().min(1 << most.ilog2())
}

impl<K, L> Keyed<K, L> {
    /// A limiter for each key as `factory` makes it, for up to 1 000 000 keys at once.
    ///
    /// The factory is called when a key comes for the first time or comes back, without any lock held, and sometimes in vain: what it
    /// makes must depend on nothing but the key, and be new.
    pub fn new(factory: impl Fn(&K) -> L + Send + Sync + 'static) -> Self {
        Self::builder(factory).build()
    }

    /// The same with more to choose.
    ///
    /// ```
    /// use tidegate::{Keyed, Overflow, Quota, TokenBucket};
    ///
    /// let limits = Keyed::builder(|_: &u64| TokenBucket::new(Quota::per_second(10)))
    ///     .max_keys(100_000)
    ///     .overflow(Overflow::Refuse)
    ///     .build();
    /// assert!(limits.try_acquire(&42, 1).is_ok());
    /// ```
    pub fn builder(factory: impl Fn(&K) -> L + Send + Sync + 'static) -> KeyedBuilder<K, L> {
        KeyedBuilder::new(Box::new(factory))
    }
}

impl<K, L, S> Keyed<K, L, S> {
    pub(super) fn built(builder: KeyedBuilder<K, L, S>) -> Self {
        let shards = shards(builder.max_keys);
        let shard = |_| CachePadded::new(RwLock::new(Shard::new()));
        Self {
            shards: (0..shards).map(shard).collect(),
            hasher: builder.hasher,
            first: OnceLock::new(),
            factory: builder.factory,
            tiers: Mutex::new(Vec::new()),
            max_keys: builder.max_keys as u64,
            overflow: builder.overflow,
            shared: builder.shared.map_or_else(OnceLock::new, OnceLock::from),
            keys: CachePadded::new(AtomicU64::new(0)),
            cursor: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
        }
    }

    /// How many keys there are, those among them that are unused and not yet dropped.
    pub fn len(&self) -> usize {
        // Relaxed: a number on its own.
        usize::try_from(self.keys.load(Relaxed)).unwrap_or(usize::MAX)
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts, for dashboards. Takes the shared lock of each part of the table in turn.
    pub fn stats(&self) -> KeyedStats {
        let mut stats = KeyedStats {
            max_keys: self.max_keys,
            // Relaxed: a number on its own.
            overflowed: self.overflowed.load(Relaxed),
            ..KeyedStats::default()
        };
        for shard in &self.shards {
            let shard = read(shard);
            let (created, dropped) = shard.counts();
            stats.keys += shard.len() as u64;
            stats.created += created;
            stats.dropped += dropped;
        }
        stats
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    // A comparison of keys that panicked has left a table whole.
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Hash + Eq, L: Limiter, S: BuildHasher> Keyed<K, L, S> {
    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<Shard<K, L>> {
        // Below the 7 bits that hash tables compare, above those by which they place.
        const SHIFT: u32 = 57 - MOST_SHARDS.ilog2();
        let number = (hash >> SHIFT) as usize & (self.shards.len() - 1);
        &self.shards[number]
    }

    /// The limiter that serves as the clock.
    #[inline]
    fn first<Q>(&self, key: &Q) -> &First<L>
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        match self.first.get() {
            Some(first) => first,
            None => self.make_first(key),
        }
    }

    /// The time on the clock of the first limiter.
    #[cfg(feature = "tower")]
    pub(crate) fn now_for(&self, key: &K) -> Timestamp
    where
        K: Clone,
    {
        self.first(key).limiter().now()
    }

    #[cold]
    fn make_first<Q>(&self, key: &Q) -> &First<L>
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        // Made before the cell is entered: a factory that calls back would wait there for itself.
        let limiter = (self.factory)(&key.to_owned());
        let now = limiter.now();
        let tier = match limiter.plain_quota_at(now) {
            Some(quota) => Tier::of(limiter, quota),
            None => Err(limiter),
        };
        self.first
            .get_or_init(|| tier.map_or_else(First::Whole, First::Plain))
    }
}

/// Operations at an instant that the caller has read. They read no clock.
///
/// An instant older than that of an earlier call is allowed. To a key that comes back after it was dropped, time stands still until the
/// instant as of which it was; so do not pass instants that have not come, or new keys are judged by them from then on.
impl<K: Hash + Eq, L: Limiter, S: BuildHasher> Keyed<K, L, S> {
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
    pub fn try_acquire_at<Q>(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.decide(self.first(key), key, n, now)
    }

    #[expect(clippy::inline_always, reason = "as `try_acquire_at`")]
    #[inline(always)]
    fn decide<Q>(&self, first: &First<L>, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if n == 0 {
            return Ok(());
        }
        let hash = self.hasher.hash_one(key);
        let First::Plain(Tier { rule, .. }) = first else {
            return self.try_acquire_other(hash, key, n, first, now);
        };
        // Prepared without the lock.
        let cost = rule.cost(n);
        let as_of = rule.now(now.as_nanos());
        let shard = read(self.shard(hash));
        let Some(word) = shard.word(hash, key) else {
            drop(shard);
            return self.try_acquire_other(hash, key, n, first, now);
        };
        let charged = word.charge(rule, cost?, as_of);
        drop(shard);
        charged.map_err(|shortfall| rule.not_yet(as_of, shortfall))
    }

    /// A key that has not the first quota, or is not there.
    #[inline(never)]
    fn try_acquire_other<Q>(
        &self,
        hash: u64,
        key: &Q,
        n: u64,
        first: &First<L>,
        now: Timestamp,
    ) -> Result<(), Denied>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let shard = read(self.shard(hash));
        if let Some(cell) = shard.other(hash, key) {
            return cell.try_acquire_at(n, now);
        }
        drop(shard);
        self.try_acquire_new(hash, key, n, first, now)
    }

    /// [`sweep`](Self::evict_unused) as of `now`.
    pub fn evict_unused_at(&self, now: Timestamp) -> u64 {
        let Some(first) = self.first.get() else {
            return 0;
        };
        let hasher = |key: &K| self.hasher.hash_one(key);
        let mut dropped = 0;
        for shard in &self.shards {
            let here = write(shard).sweep_all(first.rule(), now, hasher);
            self.give_room(here);
            dropped += here;
        }
        dropped
    }
}

/// Operations as of now. Each reads the clock once.
impl<K: Hash + Eq, L: Limiter, S: BuildHasher> Keyed<K, L, S> {
    /// Takes `n` permits of the key's limiter if they are there. `n = 0` always succeeds and changes nothing.
    ///
    /// `key` is any borrowed form of the key, such as `&str` for `String`; a copy is made only if the key is not there, for the
    /// factory to see and to be kept.
    ///
    /// # Errors
    ///
    /// As the key's limiter: [`Denied::NotYet`] with the wait, or [`Denied::Never`]. Nothing is charged then. If there is no room
    /// for the key, what the [`Overflow`] policy says: what the shared limiter answers; or the time until one of the keys
    /// that were looked at is unused (a second, if that cannot be told; [`Denied::Never`] if `max_keys` is 0).
    #[expect(
        clippy::inline_always,
        reason = "a call and its frame are a tenth of the whole decision"
    )]
    #[inline(always)]
    pub fn try_acquire<Q>(&self, key: &Q, n: u64) -> Result<(), Denied>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let first = self.first(key);
        self.decide(first, key, n, first.limiter().now())
    }

    /// Whether `n` permits would be given now. Changes nothing, and adds no key: a new one is answered by a limiter that the factory
    /// makes and that is dropped again. What the [`Overflow`] policy answers here is not counted, and it answers
    /// a little too often: where there is little room, a call looks at more places than this does.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek<Q>(&self, key: &Q, n: u64) -> Result<(), Denied>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.peek_at(key, n, self.first(key).limiter().now())
    }

    /// How many permits the key could have now. As [`peek`](Self::peek) it adds no key.
    pub fn available<Q>(&self, key: &Q) -> u64
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.available_at(key, self.first(key).limiter().now())
    }

    /// How long until `n` permits would be given to this key if nobody else came; `None` if never.
    pub fn wait_time<Q>(&self, key: &Q, n: u64) -> Option<Duration>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.wait_time_at(key, n, self.first(key).limiter().now())
    }

    /// Whether the key is there. One that is not may have been dropped because its limiter was unused.
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let rule = self.first.get().and_then(First::rule);
        read(self.shard(hash)).find(rule, hash, key).is_some()
    }

    /// Removes a key, used or not, and returns whether it was there. Should it come back, it starts anew: this is how to
    /// forgive what it has spent.
    pub fn remove<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let removed = write(self.shard(hash)).remove(hash, key, |key| self.hasher.hash_one(key));
        self.give_room(u64::from(removed));
        removed
    }

    /// Drops every key that nobody could tell from a new one, gives memory back, and returns how many were dropped.
    ///
    /// Never needed: it is for those who want memory back although no new keys come. Walks all keys, with the lock of one part of the
    /// table after the other.
    pub fn evict_unused(&self) -> u64 {
        self.first
            .get()
            .map_or(0, |first| self.evict_unused_at(first.limiter().now()))
    }

    /// Shows every key, and how many permits it could have now.
    ///
    /// No lock is held meanwhile: the keys of one part of the table after the other are copied. A key that comes or goes at the
    /// same time may be shown or not; no other is left out.
    ///
    /// ```
    /// use tidegate::{Keyed, ManualClock, Quota, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let limits = Keyed::new(move |_: &String| TokenBucket::with_clock(Quota::per_minute(10), clock.clone()));
    /// limits.try_acquire("alice", 10)?;
    /// limits.try_acquire("bob", 3)?;
    ///
    /// let mut exhausted = Vec::new();
    /// limits.for_each(|user, available| {
    ///     if available == 0 {
    ///         exhausted.push(user.clone());
    ///     }
    /// });
    /// assert_eq!(exhausted, ["alice"]);
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub fn for_each(&self, mut visit: impl FnMut(&K, u64))
    where
        K: Clone,
    {
        let Some(first) = self.first.get() else {
            return;
        };
        for shard in &self.shards {
            let now = first.limiter().now();
            let shown: Vec<(K, u64)> = read(shard)
                .iter(first.rule())
                .map(|(key, cell)| (key.clone(), cell.available_at(now)))
                .collect();
            for (key, available) in &shown {
                visit(key, *available);
            }
        }
    }
}

impl<K, L, S> fmt::Debug for Keyed<K, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("keys", &self.len())
            .field("max_keys", &self.max_keys)
            .field("overflow", &self.overflow)
            .finish_non_exhaustive()
    }
}
