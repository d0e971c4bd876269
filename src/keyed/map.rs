//! A limiter for every key, in a table that follows the keys in use.

mod changes;
mod evicting_table;
mod factory;
mod insert;
mod key_limiter;
mod key_shard;
mod keyed_builder;
mod queries;
mod save;
mod views;
mod waits;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use crossbeam_utils::CachePadded;
use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard, ShardedLockWriteGuard};

pub use keyed_builder::KeyedBuilder;

use super::keys::KeyHasher;
use super::overflow::Overflow;
use super::table_stats::KeyedStats;
use super::wait_queues::WaitQueues;
use crate::clock::Clock;
use crate::denied::Denied;
use crate::gcra::{Now, WordGcra};
use crate::limiter::Limiter;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::time::Timestamp;
use factory::CurrentFactory;
use key_limiter::CommonQuota;
use key_shard::KeyShard;

/// A limiter of its own for every key: user, tenant, address, route.
///
/// A factory makes the limiter of a key when the key is new, and again when it comes back after an
/// eviction. The factory sees the key, so different limits for different keys are a `match` away.
/// If one quota does for all keys, and strangers could flood you with keys, use the faster
/// [`FixedKeyed`](crate::FixedKeyed).
///
/// # Memory follows the keys in use
///
/// A limiter that is indistinguishable from a new one (a full bucket, an empty window) is unused,
/// and need not be kept. But most clients stay below their limit, so their limiter is unused
/// whenever they come back. So a key stays for the [idle timeout](KeyedBuilder::idle_timeout), 10
/// seconds by default, after its limiter has become unused. Then it is evicted: each call that adds
/// a key checks a few other keys, and all of its part of the table before that part would grow.
/// There is no thread, and no scan of the whole table. An eviction never grants tokens. Tables that
/// became too large shrink. [`evict_unused`](Self::evict_unused) evicts all unused keys at once.
///
/// The table holds at most [`max_keys`](KeyedBuilder::max_keys). Beyond that, a new key takes the
/// place of an unused key, which is chosen among those of 64 places where the new key would be, or
/// of 64 places elsewhere, in turn. It is the one that is unused the longest, or one of the longest
/// if there are more than eight. If none of these keys is unused, the [`Overflow`] policy decides
/// the call. So in a larger table it may decide although a key has just become unused. A table
/// remembers where all keys are in use, so a flood of refused keys costs little.
///
/// # Size
///
/// A key takes its own size and 8 bytes in a hash table if its limiter is a
/// [`TokenBucket`](crate::TokenBucket) with the first key's quota. With one of 64 further quotas it
/// takes 8 bytes more. Any other limiter is kept whole.
///
/// The table itself is split into parts, 64 by default: a power of two, so that there are 8 for
/// each thread that the machine runs at once, 64 at least, and one for each 16 384 of `max_keys`;
/// but no more than 4 096, or one for each 64 of `max_keys`. A part takes 1.1 KiB: its lock has
/// eight words, each in a cache line of its own.
///
/// A bucket that is kept as 8 bytes lasts until 109 years after its clock's origin; later readings
/// are clamped to that instant. Rates whose emission interval is a whole number of half nanoseconds
/// are exact. Others are never early and at most 2 ns late, with capacities of up to 9 years of
/// refill (at most 170 ns with more).
///
/// A limiter that keys share, such as a limit for all in the [`Combined`](crate::Combined) of each
/// key, is in use as long as any key uses it, and then no key is evicted. Charge it beside the
/// `Keyed`, not in it.
///
/// # Guarantees and progress
///
/// Each key is limited as by its limiter alone. A call reads the clock of the first limiter once.
///
/// Looking up a key takes a shared lock on a part of the table. It writes one of eight words, which
/// the number of the thread in the process decides, so few threads write the same one: a refused
/// key costs two threads what it costs one. Your code runs under the lock only to compare and hash
/// keys, and in undos to wake callers that wait at a limiter that keys share.
/// [`for_each`](Self::for_each) also clones keys under a lock, and evicted keys and limiters are
/// dropped under one. None of this may call back. Hashing must not panic, or keys may be lost while
/// a table grows.
///
/// A call for a known key takes no other lock, and allocates nothing, except for the first call of
/// a thread to any table: it numbers the thread, under a lock of the process. Known is any key that
/// was used less than the idle timeout ago, unless the table has reached `max_keys` since then.
///
/// Adding a key takes the exclusive lock of its part, which is all eight words, and takes half as
/// long again for that. Before, a key whose quota is not the first key's takes a lock of the whole
/// table, to look for that quota. Searches for an unused key in a table with `max_keys` take turns
/// in each part.
///
/// ```
/// use tidegate::{Keyed, ManualClock, Quota, TokenBucket};
///
/// let clock = ManualClock::new(); // a real program: `TokenBucket::new(quota)`
/// let time = clock.clone();
/// let limits = Keyed::new(move |user: &String| {
///     let per_minute = if user.starts_with("pro:") { 600 } else { 60 };
///     TokenBucket::with_clock(Quota::per_minute(per_minute), time.clone())
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
    shards: Box<[LockedShard<K, L>]>,
    hasher: S,
    first: OnceLock<FirstLimiter<L>>,
    factory: CurrentFactory<K, L>,
    /// Quotas other than the first that several keys may have.
    common_quotas: Mutex<Vec<Arc<CommonQuota<L>>>>,
    max_keys: u64,
    /// Nanoseconds for which an unused key is kept while there is room.
    idle_timeout: u64,
    overflow: Overflow,
    /// The limiter of all keys without room, under [`Overflow::Share`].
    shared: OnceLock<L>,
    /// Number of keys: raised before a key is added, lowered after keys were evicted or removed.
    keys: CachePadded<AtomicU64>,
    /// Counts searches for an unused key, so that they take each shard in turn.
    cursor: AtomicU64,
    overflowed: AtomicU64,
    waits: WaitQueues,
}

/// The lock writes another cache line for each of eight threads. With one word for all, two threads
/// that asked for one key took five times as long as one thread, and refusals twice as long.
type LockedShard<K, L> = CachePadded<ShardedLock<KeyShard<K, L>>>;

// Every table has at least 64 of them.
#[cfg(target_arch = "x86_64")]
const _: () = assert!(size_of::<LockedShard<u64, ()>>() <= 128);

/// The limiter that was made for the first key. It serves as the clock, and determines which keys
/// are stored as a word alone.
enum FirstLimiter<L> {
    Bucket(CommonQuota<L>),
    Whole(L),
}

impl<L> FirstLimiter<L> {
    #[inline]
    const fn limiter(&self) -> &L {
        match self {
            Self::Bucket(common) => &common.bucket,
            Self::Whole(limiter) => limiter,
        }
    }

    #[inline]
    const fn gcra(&self) -> Option<&WordGcra> {
        match self {
            Self::Bucket(common) => Some(&common.gcra),
            Self::Whole(_) => None,
        }
    }
}

/// Shards per thread that the machine runs at once, so that threads seldom meet in one.
const SHARDS_PER_THREAD: usize = 8;
const MIN_SHARDS: usize = 64;
/// The most keys of a shard on average, which bounds the pause while it grows. Tables of more than
/// 67 million keys exceed it.
const MAX_KEYS_PER_SHARD: usize = 1 << 14;
const MAX_SHARDS: usize = 1 << 12;
/// The fewest keys of a shard, so that a small table is one shard, which a search sees whole.
const MIN_KEYS_PER_SHARD: usize = 64;

/// The number of shards, a power of two.
fn shards(max_keys: usize) -> usize {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let spread = (threads * SHARDS_PER_THREAD).max(MIN_SHARDS);
    let split = max_keys.div_ceil(MAX_KEYS_PER_SHARD);
    let most = (max_keys / MIN_KEYS_PER_SHARD).clamp(1, MAX_SHARDS);
    spread.max(split).next_power_of_two().min(1 << most.ilog2())
}

impl<K, L> Keyed<K, L> {
    /// Creates a table that holds up to 1 000 000 keys, and makes their limiters with `factory`.
    ///
    /// The factory is called without any lock held, when a key is new or comes back after an
    /// eviction. Its limiter is sometimes discarded. So the limiter must depend on nothing but the
    /// key, and be new.
    pub fn new(factory: impl Fn(&K) -> L + Send + Sync + 'static) -> Self {
        Self::builder(factory).build()
    }

    /// Returns a builder with more options.
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

impl<K, L, S> KeyedBuilder<K, L, S> {
    /// Creates the table. The factory is not called before the first key comes.
    pub fn build(self) -> Keyed<K, L, S> {
        let shard = |_| CachePadded::new(ShardedLock::new(KeyShard::new()));
        Keyed {
            shards: (0..shards(self.max_keys)).map(shard).collect(),
            hasher: self.hasher,
            first: OnceLock::new(),
            factory: CurrentFactory::new(self.factory),
            common_quotas: Mutex::new(Vec::new()),
            max_keys: self.max_keys as u64,
            idle_timeout: u64::try_from(self.idle_timeout.as_nanos()).unwrap_or(u64::MAX),
            overflow: self.overflow,
            shared: self.shared.map_or_else(OnceLock::new, OnceLock::from),
            keys: CachePadded::new(AtomicU64::new(0)),
            cursor: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            waits: WaitQueues::new(self.waits),
        }
    }
}

impl<K, L, S> Keyed<K, L, S> {
    /// Returns the number of keys, including unused keys that are not evicted yet.
    pub fn len(&self) -> usize {
        // Relaxed: a number on its own.
        usize::try_from(self.keys.load(Relaxed)).unwrap_or(usize::MAX)
    }

    /// The limiter that keys without room share, if there is one yet.
    #[cfg(feature = "rules")]
    pub(crate) fn shared_limiter(&self) -> Option<&L> {
        self.shared.get()
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns counts for dashboards. Takes the shared lock of each part of the table in turn.
    pub fn stats(&self) -> KeyedStats {
        let mut stats = KeyedStats {
            max_keys: self.max_keys,
            // Relaxed: a number on its own.
            overflowed: self.overflowed.load(Relaxed),
            ..KeyedStats::default()
        };
        for shard in &self.shards {
            let shard = read(shard);
            stats.keys += shard.len() as u64;
            stats.created += shard.created();
            stats.evicted += shard.evicted();
            stats.evicted_for_room += shard.evicted_for_room();
        }
        stats
    }
}

fn read<T>(lock: &ShardedLock<T>) -> ShardedLockReadGuard<'_, T> {
    // A comparison of keys that panicked has left the table intact.
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &ShardedLock<T>) -> ShardedLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Hash + Eq, L: Limiter, S: BuildHasher> Keyed<K, L, S> {
    #[inline]
    fn shard(&self, hash: u64) -> &ShardedLock<KeyShard<K, L>> {
        // Below the 7 bits that hash tables compare, above the bits by which they choose a bucket.
        const SHIFT: u32 = 57 - MAX_SHARDS.ilog2();
        let number = (hash >> SHIFT) as usize & (self.shards.len() - 1);
        &self.shards[number]
    }

    #[inline]
    fn first<Q>(&self, key: &Q) -> &FirstLimiter<L>
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        match self.first.get() {
            Some(first) => first,
            None => self.make_first(key),
        }
    }

    #[cold]
    fn make_first<Q>(&self, key: &Q) -> &FirstLimiter<L>
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        // Before the cell is entered: a factory that calls back would wait there for itself.
        let limiter = self.factory.make(&key.to_owned());
        let now = limiter.now();
        let common = match limiter.plain_quota_at(now) {
            Some(quota) => CommonQuota::new(limiter, quota),
            None => Err(limiter),
        };
        let first = common.map_or_else(FirstLimiter::Whole, FirstLimiter::Bucket);
        self.first.get_or_init(|| first)
    }

    /// Returns the clock that the table reads: that of the limiter that was made for the first key.
    /// `None` if there was no key yet.
    ///
    /// A [view](Self::at) always has a clock, because the table can make a limiter for its key.
    ///
    /// ```
    /// use tidegate::{Clock, Keyed, ManualClock, Quota, TokenBucket};
    ///
    /// let (clock, quota) = (ManualClock::new(), Quota::per_second(10));
    /// let time = clock.clone();
    /// let users = Keyed::new(move |_: &u64| TokenBucket::with_clock(quota, time.clone()));
    /// assert!(users.clock().is_none());
    /// let now = users.at(&7).now(); // makes a limiter, and adds no key
    /// assert_eq!((users.now(), users.len()), (Some(now), 0));
    /// ```
    pub fn clock(&self) -> Option<&L::Clock> {
        self.first.get().map(|first| first.limiter().clock())
    }

    /// Reads the [clock](Self::clock) of the table once. `None` if there was no key yet.
    pub fn now(&self) -> Option<Timestamp> {
        self.clock().map(Clock::now)
    }
}

/// Operations at an instant that the caller has read. They read no clock.
///
/// The instant may be older than that of an earlier call. A key that comes back after its eviction
/// is then decided as of the eviction. So do not pass instants of the future, or new keys are
/// decided as of those from then on.
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
        self.decide(self.first(key), key, n, now, |_, _, _| ())
    }

    /// Shows the TAT that a charge has left, unless the key is new or does not have the first
    /// quota.
    #[expect(clippy::inline_always, reason = "as `try_acquire_at`")]
    #[inline(always)]
    fn decide<Q>(
        &self,
        first: &FirstLimiter<L>,
        key: &Q,
        n: u64,
        now: Timestamp,
        show: impl FnOnce(&WordGcra, u64, Now),
    ) -> Result<(), Denied>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if n == 0 {
            return Ok(());
        }
        let hash = self.hasher.hash_one(key);
        let FirstLimiter::Bucket(CommonQuota { gcra, .. }) = first else {
            return self.try_acquire_other(hash, key, n, first, now);
        };
        // Computed before the lock.
        let cost = gcra.cost(n);
        let as_of = gcra.now(now.as_nanos());
        let shard = read(self.shard(hash));
        let Some(tat) = shard.bucket(hash, key) else {
            drop(shard);
            return self.try_acquire_other(hash, key, n, first, now);
        };
        let charged = tat.charge(gcra, cost?, as_of);
        drop(shard);
        match charged {
            Ok(tat) => {
                show(gcra, tat, as_of);
                Ok(())
            }
            Err(shortfall) => Err(gcra.not_yet(as_of, shortfall)),
        }
    }

    /// Decides a call for a key that is new or does not have the first quota.
    #[inline(never)]
    fn try_acquire_other<Q>(
        &self,
        hash: u64,
        key: &Q,
        n: u64,
        first: &FirstLimiter<L>,
        now: Timestamp,
    ) -> Result<(), Denied>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let shard = read(self.shard(hash));
        if let Some(limiter) = shard.other(hash, key) {
            return limiter.try_acquire_at(n, now);
        }
        drop(shard);
        self.try_acquire_new(hash, key, n, first, now)
    }

    /// [`evict_unused`](Self::evict_unused) as of `now`.
    pub fn evict_unused_at(&self, now: Timestamp) -> u64 {
        let Some(first) = self.first.get() else {
            return 0;
        };
        let hasher = |key: &K| self.hasher.hash_one(key);
        let mut evicted = 0;
        for shard in &self.shards {
            let here = write(shard).evict_all(first.gcra(), now, hasher);
            self.give_room(here);
            evicted += here;
        }
        evicted
    }
}

/// Operations as of now. Each reads the clock once.
impl<K: Hash + Eq, L: Limiter, S: BuildHasher> Keyed<K, L, S> {
    /// Takes `n` permits of the key's limiter if they are available. `n = 0` always succeeds and
    /// changes nothing.
    ///
    /// `key` is any borrowed form of the key, such as `&str` for `String`. It is copied only if it
    /// is new, for the factory and for the table.
    ///
    /// # Errors
    ///
    /// The error of the key's limiter: [`Denied::NotYet`] with the wait, or [`Denied::Never`].
    /// Nothing is charged then.
    ///
    /// If there is no room for the key, the [`Overflow`] policy decides. With [`Overflow::Share`]
    /// the error is that of the shared limiter. With [`Overflow::Refuse`] it is [`Denied::Busy`]
    /// with a retry after a second, which is an estimate, or [`Denied::Never`] if `max_keys` is 0.
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
        self.decide(first, key, n, first.limiter().now(), |_, _, _| ())
    }

    /// Returns `Ok` if `n` permits would be admitted now. Changes nothing, and adds no key.
    ///
    /// A new key is answered by a limiter that the factory makes and that is discarded. If there is
    /// no room for the key, the [`Overflow`] policy answers, without counting. In a table of more
    /// than 64 keys, a call may find room where this found none.
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

    /// Returns how many permits the key could have now. Like [`peek`](Self::peek), it adds no key.
    pub fn available<Q>(&self, key: &Q) -> u64
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.available_at(key, self.first(key).limiter().now())
    }

    /// Returns how long until `n` permits would be admitted for this key if no other call came;
    /// `None` if never. While there is no room for the key, it is an estimate.
    pub fn wait_time<Q>(&self, key: &Q, n: u64) -> Option<Duration>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.wait_time_at(key, n, self.first(key).limiter().now())
    }

    /// Returns whether the table holds the key. It may not, because the key's limiter was unused
    /// for long enough and the key was evicted.
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let gcra = self.first.get().and_then(FirstLimiter::gcra);
        read(self.shard(hash)).find(gcra, hash, key).is_some()
    }

    /// Removes a key, used or not, and returns whether the table held it.
    ///
    /// If the key comes back, it starts with a new limiter. So this forgives what it has spent. It
    /// wakes the first of those that wait for the key.
    pub fn remove<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let removed = write(self.shard(hash)).remove(hash, key, |key| self.hasher.hash_one(key));
        self.give_room(u64::from(removed));
        if removed {
            self.waits.wake(hash);
        }
        removed
    }

    /// Evicts every key whose limiter is indistinguishable from a new one, however short that is,
    /// frees memory, and returns how many keys were evicted.
    ///
    /// It is never needed. It frees memory while no new keys come. It walks all keys, with the lock
    /// of one part of the table after the other.
    pub fn evict_unused(&self) -> u64 {
        self.first
            .get()
            .map_or(0, |first| self.evict_unused_at(first.limiter().now()))
    }

    /// Calls `visit` with every key and the permits that it could have now.
    ///
    /// No lock is held during `visit`: the keys of one part of the table after the other are
    /// copied. A key that is added or removed at the same time may be left out. No other key is.
    ///
    /// ```
    /// use tidegate::{Keyed, ManualClock, Quota, TokenBucket};
    ///
    /// let (clock, quota) = (ManualClock::new(), Quota::per_minute(10));
    /// let limits = Keyed::new(move |_: &String| TokenBucket::with_clock(quota, clock.clone()));
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
                .iter(first.gcra())
                .map(|(key, limiter)| (key.clone(), limiter.available_at(now)))
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
