//! A table over a `DashMap` of the user's own, whose values have a limiter as a part.

mod evict;
mod map_pointer;
mod queries;
mod unknown_keys;
mod views;
mod waits;

use core::borrow::Borrow;
use core::fmt;
use core::hash::Hash;
use core::time::Duration;

use dashmap::{DashMap, Entry};

use super::wait_queues::{WaitOptions, WaitQueues};
use crate::clock::{Clock, DefaultClock};
use crate::denied::Denied;
use crate::limiter::Limiter;
use crate::snapshot::{QuotaUnit, Snapshot};
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::time::Timestamp;
use map_pointer::MapPointer;
use unknown_keys::UnknownKeys;
pub use unknown_keys::{KnownKeys, NewKeys};
pub use views::DashKeyCharge;

/// The refusal of a key that stays unknown. It has no limiter, so it can never have a permit, as if
/// its capacity were 0.
const UNKNOWN: Denied = Denied::Never { capacity: 0 };

/// The snapshot of a key without a limiter.
const NOTHING: Snapshot = Snapshot {
    limit: None,
    capacity: 0,
    refill_time: Duration::ZERO,
    available: 0,
    next_permit_in: None,
    unit: QuotaUnit::Requests,
};

/// A limiter for every key, as a part of the values of a [`DashMap`] that you already have: of
/// sessions, connections, tenants.
///
/// The table borrows the map, shares it or owns it, and a projection finds the limiter in a value.
/// You keep full access to the [map](Self::map), and may add, change and remove entries at any
/// time.
///
/// Where the limiter is all that there is to a key, prefer [`Keyed`](crate::Keyed): it takes 8
/// bytes per key beside the key, and follows the keys in use by itself. Against floods of keys, use
/// [`FixedKeyed`](crate::FixedKeyed).
///
/// ```
/// use dashmap::DashMap;
/// use tidegate::{DashKeyed, Denied, ManualClock, Quota, TokenBucket};
///
/// struct Session {
///     user: String,
///     limiter: TokenBucket<ManualClock>, // a real program: `TokenBucket`
/// }
///
/// let clock = ManualClock::new();
/// let sessions: DashMap<u64, Session> = DashMap::new();
/// let time = clock.clone();
/// // A real program: `DashKeyed::new(&sessions, ..)`, or an `Arc` of the map.
/// let limits = DashKeyed::with_clock(&sessions, |session: &Session| &session.limiter, time);
///
/// let limiter = TokenBucket::with_clock(Quota::per_minute(60), clock.clone());
/// sessions.insert(7, Session { user: "alice".into(), limiter });
/// assert!(limits.try_acquire(&7, 60).is_ok());
/// assert!(limits.try_acquire(&7, 1).is_err());
/// assert_eq!(sessions.get(&7).expect("present").user, "alice");
///
/// // There is no session 8.
/// assert_eq!(limits.try_acquire(&8, 1), Err(Denied::Never { capacity: 0 }));
/// ```
///
/// # Unknown keys
///
/// A key that the map does not hold has no limiter, so it is refused like one that has a capacity
/// of 0. It adds nothing to the map. A caller without a session is not to be served, and a table
/// that adds every key it is asked for lets strangers fill the map. To add such keys, give the
/// table a function that makes their values: [`or_insert_with`](Self::or_insert_with).
///
/// # Guarantees
///
/// Each key is limited as by its limiter alone, however it is called: at the table, by a view, or
/// in the map itself. The table and the limiters must read the same clock.
///
/// An [eviction](Self::evict_unused) removes only limiters that are indistinguishable from new
/// ones. A key that comes back afterwards is never decided as of an instant before the eviction,
/// so an eviction grants no permits, not even to a thread that read its clock before. If you
/// remove an entry and insert another one, the new limiter counts from its beginning.
///
/// An undo finds the limiter by its key, and does nothing if the table removed or evicted any
/// key since the charge. That rarely happens in between, and the charge is then forfeited. If you
/// replace the entry in the map itself between a charge and its undo, the permits may come back in
/// the new limiter. They were charged to the same key, and not used: what the key used is still at
/// most what the two limiters admitted together.
///
/// # Locks
///
/// Each shard of a `DashMap` has a lock. A decision, a query or an undo holds the shared lock of
/// the key's shard while it asks the limiter. Adding or [removing](Self::remove) a key takes the
/// exclusive lock. An eviction takes that of one shard after the other. A wait holds no lock while
/// it sleeps. Under a lock, the table runs your code only to compare and hash keys, for the
/// projection, and in an eviction also for its predicate and the drops of what is evicted. None of
/// this may call the map. `reset`, `credit` and undo also wake a call that waits at the limiter in
/// the map directly, instead of at the table.
///
/// A thread can wait for itself if it calls the table while it holds a reference into the map:
///
/// * With a `RefMut`, an `Entry` or an item of `iter_mut`, every call for a key in the same shard
///   blocks forever.
/// * With a `Ref` or an item of `iter`, calls for keys that the map holds go on, because shared
///   locks never wait for each other. But a call that adds, removes or evicts a key in that shard
///   blocks forever.
///
/// Which keys share a shard depends on their hashes. So drop such references first, and never keep
/// one across an `.await`.
///
/// # Cost and progress
///
/// A decision for a key that the map holds hashes the key once, and allocates nothing. It blocks
/// only while another thread has the exclusive lock of that shard: to insert, where a shard that
/// grows moves all its entries, or to evict. A call that waits hashes its key again to find its
/// queue.
///
/// The table itself takes memory only for waits: 4 KB once a call has waited, and the queues of the
/// keys that are waited for.
///
/// A [`TokenBucket`](crate::TokenBucket) is aligned to 128 bytes, so the entry that holds one takes
/// a multiple of that. A hash table may be more than half empty, and takes it for the empty places
/// as well. Where values are small, box the bucket, and project to `&*session.limiter`.
pub struct DashKeyed<M, P, N = KnownKeys, C = DefaultClock> {
    map: M,
    project: P,
    unknown: N,
    clock: C,
    waits: WaitQueues,
    /// The latest instant of an eviction, in nanoseconds. It only rises.
    ///
    /// No limiter is decided as of an earlier instant, because it may have been evicted and made
    /// again since the caller read its clock. As of an earlier instant it would refill twice.
    evicted_at: AtomicU64,
    /// Counts the keys that the table evicted or removed, for undos: see
    /// [`undo_for`](super::table::Table::undo_for).
    removals: AtomicU64,
    /// How many entries [`evict_some`](Self::evict_some) has passed in this round.
    passed: AtomicU64,
}

impl<M: MapPointer, P> DashKeyed<M, P> {
    /// Creates a table over `map`: a [`DashMap`], a reference to one, or an `Arc`. `project`
    /// returns the limiter of a value.
    ///
    /// The limiters must be on the [`DefaultClock`], as those are that `new` made.
    ///
    /// `project` is called under the lock of a shard, and must not call the map. It must return the
    /// same limiter each time. If it panics, nothing is charged, and the map stays as it is.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use dashmap::DashMap;
    /// use tidegate::{DashKeyed, Quota, TokenBucket};
    ///
    /// struct Tenant {
    ///     limiter: TokenBucket,
    /// }
    ///
    /// /// A projection that has a name can be a part of a type.
    /// type Limits = DashKeyed<Arc<DashMap<String, Tenant>>, fn(&Tenant) -> &TokenBucket>;
    ///
    /// let tenants = Arc::new(DashMap::new());
    /// let limits: Limits = DashKeyed::new(tenants.clone(), |tenant: &Tenant| &tenant.limiter);
    /// let limiter = TokenBucket::new(Quota::per_hour(2));
    /// tenants.insert(String::from("acme"), Tenant { limiter });
    /// assert!(limits.try_acquire("acme", 2).is_ok());
    /// assert!(limits.try_acquire("acme", 1).is_err());
    /// ```
    pub fn new<L>(map: M, project: P) -> Self
    where
        P: Fn(&M::Value) -> &L,
        L: Limiter<Clock = DefaultClock>,
    {
        Self::with_clock(map, project, DefaultClock)
    }
}

impl<M: MapPointer, P, C: Clock> DashKeyed<M, P, KnownKeys, C> {
    /// Creates a table over `map` whose limiters are on `clock`: see [`new`](DashKeyed::new).
    ///
    /// Two clocks of one type may be two timelines, as two [`ManualClock`](crate::ManualClock)s
    /// are. So pass a clone of the one that the limiters have.
    pub fn with_clock<L>(map: M, project: P, clock: C) -> Self
    where
        P: Fn(&M::Value) -> &L,
        L: Limiter<Clock = C>,
    {
        Self {
            map,
            project,
            unknown: KnownKeys,
            clock,
            waits: WaitQueues::new(WaitOptions::DEFAULT),
            evicted_at: AtomicU64::new(0),
            removals: AtomicU64::new(0),
            passed: AtomicU64::new(0),
        }
    }

    /// Adds keys that the map does not hold, with the values that `make` returns, when a call for
    /// them is admitted. To leave a key unknown, `make` can return an [`Option`].
    ///
    /// `make` is called without any lock held, also by queries, and its value is sometimes
    /// discarded. So it must depend on nothing but the key, and its limiter must be new.
    ///
    /// The map grows as long as keys come: the table never evicts a key by itself, because it does
    /// not know what else your values hold. See [`evict_some`](Self::evict_some), and
    /// [`Keyed`](crate::Keyed) for keys that strangers choose.
    ///
    /// ```
    /// use dashmap::DashMap;
    /// use tidegate::{DashKeyed, Denied, ManualClock, Quota, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let quota = Quota::per_second(5);
    /// let users: DashMap<String, TokenBucket<ManualClock>> = DashMap::new();
    /// let limits = DashKeyed::with_clock(&users, |bucket| bucket, clock.clone())
    ///     .or_insert_with(|name: &String| {
    ///         let is_valid = !name.is_empty();
    ///         is_valid.then(|| TokenBucket::with_clock(quota, clock.clone()))
    ///     });
    /// assert_eq!(limits.available("alice"), 5); // adds no key
    /// assert!(limits.try_acquire("alice", 6).is_err()); // nor does a refusal
    /// assert!(users.is_empty());
    /// assert!(limits.try_acquire("alice", 2).is_ok());
    /// assert_eq!((limits.available("alice"), users.len()), (3, 1));
    /// assert_eq!(limits.try_acquire("", 1), Err(Denied::Never { capacity: 0 }));
    /// ```
    #[must_use]
    pub fn or_insert_with<F, R>(self, make: F) -> DashKeyed<M, P, NewKeys<F>, C>
    where
        F: Fn(&M::Key) -> R,
        R: Into<Option<M::Value>>,
    {
        DashKeyed {
            map: self.map,
            project: self.project,
            unknown: NewKeys(make),
            clock: self.clock,
            waits: self.waits,
            evicted_at: self.evicted_at,
            removals: self.removals,
            passed: self.passed,
        }
    }
}

impl<M: MapPointer, P, N, C> DashKeyed<M, P, N, C> {
    /// Returns the map. See [locks](Self#locks) for what may be called while a reference into it
    /// is held.
    pub fn map(&self) -> &DashMap<M::Key, M::Value, M::Hasher> {
        self.map.dash_map()
    }

    /// Returns the clock of the table.
    pub const fn clock(&self) -> &C {
        &self.clock
    }
}

impl<M, P, N, C: Clock> DashKeyed<M, P, N, C> {
    /// Reads the clock of the table.
    #[inline]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl<M, P, N, C: Clock, L> DashKeyed<M, P, N, C>
where
    M: MapPointer,
    P: Fn(&M::Value) -> &L,
    L: Limiter<Clock = C>,
{
    /// As of when a limiter is decided that was found in the map.
    #[inline]
    fn not_before_eviction(&self, now: Timestamp) -> Timestamp {
        // Relaxed: the lock of the shard, which this thread has taken since, orders it after the
        // store of an eviction from that shard.
        now.max(Timestamp::from_nanos(self.evicted_at.load(Relaxed)))
    }

    /// Asks the limiter of a key that the map holds.
    #[inline]
    fn ask_known<Q, R>(&self, key: &Q, ask: impl FnOnce(&L) -> R) -> Option<R>
    where
        M::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entry = self.map().get(key)?;
        Some(ask((self.project)(entry.value())))
    }

    /// Decides a call for a key that the map does not hold, and adds the key if it is admitted.
    /// `None` if the key stays unknown.
    #[cold]
    #[inline(never)]
    fn decide_new<Q, T, E>(
        &self,
        key: &Q,
        decide: impl FnOnce(&L) -> Result<T, E>,
    ) -> Option<Result<T, E>>
    where
        Q: ?Sized,
        N: UnknownKeys<M::Key, M::Value, Q>,
    {
        let (key, value) = self.unknown.make(key)?;
        match self.map().entry(key) {
            Entry::Occupied(known) => {
                // Another thread was faster.
                let decided = decide((self.project)(known.get()));
                // Before `value`, whose drop is the user's code.
                drop(known);
                Some(decided)
            }
            Entry::Vacant(free) => {
                let decided = decide((self.project)(&value));
                if decided.is_ok() {
                    free.insert(value);
                }
                Some(decided)
            }
        }
    }

    /// [`try_acquire`](Self::try_acquire) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[inline]
    pub fn try_acquire_at<Q>(&self, key: &Q, n: u64, now: Timestamp) -> Result<(), Denied>
    where
        M::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        N: UnknownKeys<M::Key, M::Value, Q>,
    {
        if n == 0 {
            return Ok(());
        }
        let decide = |limiter: &L| limiter.try_acquire_at(n, self.not_before_eviction(now));
        self.ask_known(key, decide)
            .or_else(|| self.decide_new(key, decide))
            .unwrap_or(Err(UNKNOWN))
    }

    /// Takes `n` permits of the key's limiter if they are available. `n = 0` always succeeds and
    /// changes nothing.
    ///
    /// `key` is any borrowed form of the key, such as `&str` for `String`. It is copied only if it
    /// is added to the map. A call that is refused adds no key.
    ///
    /// # Errors
    ///
    /// The error of the key's limiter: [`Denied::NotYet`] with the wait, or [`Denied::Never`].
    /// Nothing is charged then. A key that [stays unknown](#unknown-keys) is refused with
    /// [`Denied::Never`] and a capacity of 0.
    #[inline]
    pub fn try_acquire<Q>(&self, key: &Q, n: u64) -> Result<(), Denied>
    where
        M::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        N: UnknownKeys<M::Key, M::Value, Q>,
    {
        self.try_acquire_at(key, n, self.now())
    }
}

impl<M, P, N: fmt::Debug, C: fmt::Debug> fmt::Debug for DashKeyed<M, P, N, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DashKeyed")
            .field("unknown", &self.unknown)
            .field("clock", &self.clock)
            .field("waits", &self.waits)
            .finish_non_exhaustive()
    }
}
