//! Waits for a key.

use alloc::borrow::ToOwned;
use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};

use super::key_limiter;
use super::{Keyed, read};
use crate::denied::Denied;
use crate::keyed::key_charge::{Charged, KeyCharge};
use crate::keyed::key_view::KeyView;
use crate::keyed::overflow::Overflow;
use crate::keyed::table::{Table, WaitTable};
use crate::keyed::wait_queues::Place;
use crate::limiter::Limiter;
use crate::prepared_charge::AsOf;
use crate::sync::add_saturating;
use crate::time::Timestamp;
use crate::wait::{Acquire, Awaitable, Hold, Instants};

impl<K, L, S> Keyed<K, L, S> {
    /// Returns the number of threads and futures that wait for any key.
    ///
    /// [`at`](Self::at) has the number for one key.
    pub fn waiting(&self) -> u64 {
        self.waits.waiting()
    }
}

impl<K: Hash + Eq, L: Limiter + Awaitable, S: BuildHasher> Keyed<K, L, S> {
    /// Waits for `n` permits of the key's limiter, in order of arrival at this key: await the
    /// result, or let the thread [`wait`](Acquire::wait).
    ///
    /// Keys do not delay each other. A key has a wait queue only while calls wait for it. Two keys
    /// with the same 64-bit hash share the order of a queue, and nothing else. Once a call has
    /// waited, the table keeps 4 KB.
    ///
    /// `n = 0` is ready at once. The wait borrows the table and the key. [`KeyView::owned`] makes
    /// one that owns the key and a share of the table. Timeouts count on the clock of the first
    /// limiter.
    ///
    /// # As of when a waiter is decided
    ///
    /// The limiter of the key decides, as in a wait at that limiter alone. A key that the table
    /// does not hold is new, and is decided as of now. A key may be evicted while calls wait for
    /// it, because its limiter is unused by then. A [removal](Self::remove) wakes the first in
    /// line, which then finds a new limiter. A reset of a limit that limiters of several keys share
    /// wakes none of the table's waiters: they ask again at the instant that was due before.
    ///
    /// # Keys without room
    ///
    /// The [`Overflow`] policy decides, and counts, each time that a waiter asks:
    ///
    /// * [`Share`](Overflow::Share): the waiters of each key have an order of their own. Together
    ///   they get what the shared limiter admits, in no order among the keys.
    /// * [`Refuse`](Overflow::Refuse): a waiter asks again after the estimate of a second, until
    ///   there is room or its timeout ends. A timeout below the estimate is refused at once, with
    ///   [`Denied::Busy`]. If `max_keys` is 0, every wait is refused.
    /// * [`Admit`](Overflow::Admit): ready at once.
    ///
    /// # Errors
    ///
    /// As [`Acquire::wait`], and [`Denied::Busy`] for a key without room. The hint of a refusal is
    /// the whole wait, with those that wait for the key.
    ///
    /// # Cancel safety
    ///
    /// See [`Acquire`].
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{Denied, Keyed, ManualClock, Quota, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let time = clock.clone();
    /// let users = Keyed::new(move |_: &String| {
    ///     TokenBucket::with_clock(Quota::per_second(5).burst(1), time.clone())
    /// });
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     for _ in 0..3 {
    ///         // In a program with the feature `tokio`: `users.acquire("alice", 1).await?`.
    ///         users.acquire("alice", 1).timer(timer).await?;
    ///     }
    ///     users.acquire("bob", 1).timer(timer).await // at once
    /// })?;
    /// assert_eq!(tidegate::Clock::now(&clock).as_nanos(), 400_000_000);
    ///
    /// // A timeout that cannot be met is refused before sleeping.
    /// let refused = users.acquire("bob", 1).timeout(Duration::from_millis(100)).wait();
    /// assert_eq!(refused, Err(Denied::NotYet { retry_after: Duration::from_millis(200).into() }));
    /// # Ok::<(), Denied>(())
    /// ```
    pub const fn acquire<'a, Q>(&'a self, key: &'a Q, n: u64) -> Acquire<KeyView<&'a Self, &'a Q>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        Acquire::new(self.at(key), n)
    }

    /// Decides a waiting call for a key that the table does not hold.
    #[cold]
    #[inline(never)]
    fn attempt_new<Q>(&self, hash: u64, key: &Q, n: u64, at: Instants) -> Result<(), Hold>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let first = self.first(key);
        if self.overflow == Overflow::Share && !self.find_room(hash, first, at.now) {
            // The shared limiter is never new, so it is decided as any other.
            add_saturating(&self.overflowed, 1);
            return self.shared(key).attempt(n, at);
        }
        // As of now: the key may have been evicted since the call was due. A new limiter refuses
        // no more for that, because what it would have gained since is above its capacity.
        let decided = self.try_acquire_new(hash, key, n, first, at.now);
        decided.map_err(|denied| denied.hold(at.now))
    }
}

impl<K, L, S, Q> WaitTable<Q> for Keyed<K, L, S>
where
    K: Borrow<Q> + Hash + Eq,
    L: Limiter + Awaitable,
    S: BuildHasher,
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
{
    fn max_permits_for(&self, key: &Q) -> u64 {
        let now = self.first(key).limiter().now();
        self.query(
            key,
            now,
            |limiter| limiter.max_permits(),
            |policy| match policy {
                Some(Overflow::Share) => self.shared(key).max_permits(),
                _ => self.factory.make(&key.to_owned()).max_permits(),
            },
        )
    }

    #[inline]
    fn waiting_for(&self, key: &Q) -> u64 {
        self.waits.waiting_for(|| self.hasher.hash_one(key))
    }

    fn queued(&self, key: &Q) -> u128 {
        self.waits.queued(|| self.hasher.hash_one(key))
    }

    fn enter(&self, key: &Q) -> Option<Place> {
        self.waits.enter(self.hasher.hash_one(key))
    }

    fn exit(&self, place: Place) {
        self.waits.exit(place);
    }

    fn attempt(&self, key: &Q, n: u64, at: Instants) -> Result<(), Hold> {
        let first = self.first(key);
        let hash = self.hasher.hash_one(key);
        let shard = read(self.shard(hash));
        if let Some(limiter) = shard.find(first.gcra(), hash, key) {
            return limiter.attempt(n, at);
        }
        drop(shard);
        self.attempt_new(hash, key, n, at)
    }

    fn charge_as_of(&self, key: &Q, n: u64, at: Instants) -> Result<Self::Charge, Hold> {
        let first = self.first(key);
        let hash = self.hasher.hash_one(key);
        let shard = read(self.shard(hash));
        if let Some(limiter) = shard.find(first.gcra(), hash, key) {
            let instant = limiter.instant(at);
            let charged = limiter.charge_at(n, instant);
            let charged = charged.map_err(|denied| denied.hold(instant))?;
            return Ok(KeyCharge(Charged::Key(charged, shard.origin(false))));
        }
        drop(shard);
        // A new key is decided as of now: see `attempt_new`.
        let charged = self.charge_for(key, n, at.now);
        charged.map_err(|denied| denied.hold(at.now))
    }

    fn hold_as_of(&self, key: &Q, n: u64, at: Instants) -> Option<Hold> {
        self.query(
            key,
            at.now,
            |limiter| {
                let instant = limiter.instant(at);
                let denied = limiter.peek_at(n, instant).err()?;
                Some(denied.hold(instant))
            },
            |policy| {
                let denied = match policy {
                    None => self.factory.make(&key.to_owned()).peek_at(n, at.now),
                    Some(Overflow::Share) => self.shared(key).peek_at(n, at.now),
                    Some(_) => self.decide_without_limiter(key, n, at.now),
                };
                Some(denied.err()?.hold(at.now))
            },
        )
    }

    fn refusal(&self, key: &Q, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
        let due = self.waits.earliest_behind(ahead, now);
        self.query(
            key,
            now,
            |limiter| limiter.refusal(ahead, n, AsOf { due, now }),
            |policy| match policy {
                None => key_limiter::refusal(&self.factory.make(&key.to_owned()), ahead, n, now),
                Some(Overflow::Share) => key_limiter::refusal(self.shared(key), ahead, n, now),
                Some(_) => self.decide_without_limiter(key, n, now).err(),
            },
        )
    }
}
