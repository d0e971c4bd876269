//! Evictions of entries whose limiter is unused.

use core::borrow::Borrow;
use core::hash::Hash;

use super::DashKeyed;
use super::map_pointer::MapPointer;
use crate::clock::Clock;
use crate::limiter::Limiter;
use crate::sync::Ordering::Relaxed;
use crate::time::Timestamp;

impl<M, P, N, C: Clock, L> DashKeyed<M, P, N, C>
where
    M: MapPointer,
    P: Fn(&M::Value) -> &L,
    L: Limiter<Clock = C>,
{
    /// Evicts the entries whose limiter is indistinguishable from a new one, if `may_go` agrees.
    /// Returns how many they were.
    ///
    /// `may_go` protects what else a value holds: a session that is logged in, a connection that is
    /// open. It is asked only about entries that could go. No key is evicted that calls
    /// [wait](Self::acquire) for.
    ///
    /// It walks all entries, and holds the exclusive lock of one shard after the other. Calls for
    /// keys of that shard block meanwhile. So the longest pause of others is in proportion to the
    /// entries of a shard: [`with_shard_amount`](dashmap::DashMap::with_shard_amount) makes it
    /// short. `may_go` and the drops of evicted entries run under that lock, and must not call the
    /// map.
    ///
    /// A limiter whose quota was changed goes like any other. So whatever inserts the key again
    /// must give it that quota.
    ///
    /// The map keeps its capacity for further keys.
    /// [`DashMap::shrink_to_fit`](dashmap::DashMap::shrink_to_fit) frees it, and moves all entries.
    ///
    /// ```
    /// use dashmap::DashMap;
    /// use tidegate::{DashKeyed, ManualClock, Quota, TokenBucket};
    ///
    /// struct Session {
    ///     is_logged_in: bool,
    ///     limiter: TokenBucket<ManualClock>,
    /// }
    ///
    /// let clock = ManualClock::new();
    /// let sessions: DashMap<&str, Session> = DashMap::new();
    /// let time = clock.clone();
    /// let limits = DashKeyed::with_clock(&sessions, |session: &Session| &session.limiter, time);
    /// for (name, is_logged_in) in [("alice", true), ("bob", false), ("carol", false)] {
    ///     let limiter = TokenBucket::with_clock(Quota::per_second(1), clock.clone());
    ///     sessions.insert(name, Session { is_logged_in, limiter });
    /// }
    /// limits.try_acquire("carol", 1)?;
    /// let evicted = limits.evict_unused(|_, session| !session.is_logged_in);
    /// assert_eq!((evicted, sessions.contains_key("bob")), (1, false));
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub fn evict_unused(&self, may_go: impl FnMut(&M::Key, &M::Value) -> bool) -> u64 {
        self.evict_between(0, u64::MAX, may_go).evicted
    }

    /// Looks at the next `most` entries, and evicts those of them that [`evict_unused`] would
    /// evict. Returns how many they were. After the last entry, the next call starts over.
    ///
    /// For a task that keeps the map small with short pauses. A map that changes between two calls
    /// may let an entry be looked at twice in a round, or not at all.
    ///
    /// `DashMap` can start only at its first entry, so each call steps over all of them, without
    /// reading them: a few nanoseconds for each entry of the map, under the lock of its shard. A
    /// `most` of a sixteenth of the map is a good compromise.
    ///
    /// [`evict_unused`]: Self::evict_unused
    ///
    /// ```
    /// use dashmap::DashMap;
    /// use tidegate::{DashKeyed, ManualClock, Quota, TokenBucket};
    ///
    /// let (clock, map) = (ManualClock::new(), DashMap::new());
    /// let bucket = |_: &u64| TokenBucket::with_clock(Quota::per_second(1), clock.clone());
    /// let limits = DashKeyed::with_clock(&map, |bucket| bucket, clock.clone());
    /// let limits = limits.or_insert_with(bucket);
    /// for key in 0..100 {
    ///     limits.try_acquire(&key, 1)?;
    /// }
    /// clock.advance(core::time::Duration::from_secs(1));
    /// assert_eq!(limits.evict_some(30, |_, _| true), 30);
    /// assert_eq!(map.len(), 70);
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    pub fn evict_some(&self, most: usize, may_go: impl FnMut(&M::Key, &M::Value) -> bool) -> u64 {
        // Relaxed, both: a number on its own. Calls at the same time may look at the same entries.
        let start = self.passed.load(Relaxed);
        let end = start.saturating_add(most as u64);
        let Slice { entries, evicted } = self.evict_between(start, end, may_go);
        let passed = if entries <= end { 0 } else { end - evicted };
        // Relaxed: as above.
        self.passed.store(passed, Relaxed);
        evicted
    }

    /// Looks at the entries with these numbers, in the order of the map.
    fn evict_between(
        &self,
        start: u64,
        end: u64,
        mut may_go: impl FnMut(&M::Key, &M::Value) -> bool,
    ) -> Slice {
        let now = self.start_eviction(self.now());
        let mut slice = Slice::default();
        // `DashMap` can start an iteration at its first entry only. This is its fastest: the
        // entries before and after the slice are not even read.
        self.map().retain(|key, value| {
            let number = slice.entries;
            slice.entries += 1;
            if !(start..end).contains(&number) {
                return true;
            }
            let goes = self.may_evict(key, value, now) && may_go(key, value);
            if goes {
                self.note_removal();
                slice.evicted += 1;
            }
            !goes
        });
        slice
    }

    // Not inlined: the compiler would read the entries outside of the slice, too, and that is a
    // cache miss for each.
    #[inline(never)]
    fn may_evict(&self, key: &M::Key, value: &M::Value, now: Timestamp) -> bool {
        (self.project)(value).is_unused_at(now) && !self.is_waited_for(key)
    }

    /// Notes that entries are evicted as of `now` or, if that is later, as of the last eviction.
    fn start_eviction(&self, now: Timestamp) -> Timestamp {
        // Relaxed: the locks of the shards, which are taken after this, order it.
        let before = self.evicted_at.fetch_max(now.as_nanos(), Relaxed);
        now.max(Timestamp::from_nanos(before))
    }

    /// Removes a key, used or not, and returns its entry.
    ///
    /// It is [`DashMap::remove`](dashmap::DashMap::remove), and wakes the first of those that wait
    /// for the key. That call is then decided for a [key that the map does not
    /// hold](Self#unknown-keys). After a removal in the map itself, it finds out when it is due.
    pub fn remove<Q>(&self, key: &Q) -> Option<(M::Key, M::Value)>
    where
        M::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let removed = self.map().remove_if(key, |_, _| {
            self.note_removal();
            true
        })?;
        self.wake(key);
        Some(removed)
    }

    /// Counts a key that is removed. The caller holds the exclusive lock of its shard.
    fn note_removal(&self) {
        // Relaxed: the lock orders it before an undo that finds the key made again.
        self.removals.fetch_add(1, Relaxed);
    }
}

/// What came of a walk through the map.
#[derive(Default)]
struct Slice {
    /// All entries of the map.
    entries: u64,
    evicted: u64,
}
