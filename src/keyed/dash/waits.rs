//! Waits for a key.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;

use super::map_pointer::MapPointer;
use super::unknown_keys::UnknownKeys;
use super::{DashKeyed, UNKNOWN};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::keyed::key_view::KeyView;
use crate::keyed::table::{Table, WaitTable};
use crate::keyed::wait_queues::{Place, WaitOptions};
use crate::limiter::Limiter;
use crate::time::Timestamp;
use crate::wait::{Acquire, Awaitable, Hold, Instants};

/// Options and state of waits.
impl<M: MapPointer, P, N, C> DashKeyed<M, P, N, C> {
    /// Sets how many threads and futures may wait in the whole table, any number by default. It
    /// bounds the memory of their queues.
    ///
    /// A caller beyond that is refused at once, unless it is admitted without waiting. The hint
    /// is the whole wait behind those that wait for the same key.
    #[must_use]
    pub fn max_waiters(self, most: usize) -> Self {
        self.wait_options(|options| options.max_waiters = most as u64)
    }

    /// Sets how many threads and futures may wait for one key, any number by default. Without it,
    /// the waiters of one key could take all of [`max_waiters`](Self::max_waiters).
    #[must_use]
    pub fn max_waiters_per_key(self, most: usize) -> Self {
        self.wait_options(|options| options.max_waiters_per_key = most as u64)
    }

    /// Sets by how much the decision of a waiter may precede the moment at which its timer woke
    /// it, 2 ms by default: see [`TokenBucket::wait_slack`](crate::TokenBucket::wait_slack).
    #[must_use]
    pub fn wait_slack(self, slack: Duration) -> Self {
        self.wait_options(|options| options.slack = Some(slack))
    }

    fn wait_options(mut self, set: impl FnOnce(&mut WaitOptions)) -> Self {
        self.waits.set_options(set);
        self
    }

    /// Returns the number of threads and futures that wait for any key.
    ///
    /// [`at`](Self::at) has the number for one key.
    pub fn waiting(&self) -> u64 {
        self.waits.waiting()
    }

    /// The hash by which the queue of a key is found.
    pub(super) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.map().hasher().hash_one(key)
    }

    /// Whether calls wait for a key.
    pub(super) fn is_waited_for(&self, key: &M::Key) -> bool {
        self.waits.waiting_for(|| self.hash(key)) > 0
    }

    /// Lets the first of those that wait for a key ask again.
    pub(super) fn wake<Q: Hash + ?Sized>(&self, key: &Q) {
        self.waits.wake(self.hash(key));
    }
}

impl<M, P, N, C: Clock, L> DashKeyed<M, P, N, C>
where
    M: MapPointer,
    P: Fn(&M::Value) -> &L,
    L: Limiter<Clock = C> + Awaitable,
{
    /// Waits for `n` permits of the key's limiter, in order of arrival at this key: await the
    /// result, or let the thread [`wait`](Acquire::wait).
    ///
    /// Keys do not delay each other. A key has a wait queue only while calls wait for it. Two keys
    /// with the same 64-bit hash share the order of a queue, and nothing else. Calls that wait at
    /// the limiter in the map directly have an order of their own.
    ///
    /// `n = 0` is ready at once. The wait borrows the table and the key. [`KeyView::owned`] makes
    /// one that owns the key and a share of the table.
    ///
    /// # Keys that come and go
    ///
    /// A key that [stays unknown](Self#unknown-keys) is refused at once, and so is a waiter whose
    /// key has left the map. The table evicts no key that is waited for. If another entry replaces
    /// that of the key, its limiter decides. Only the table's own operations wake a waiter: a
    /// limiter that is changed in the map is asked again at the instant that was due before.
    ///
    /// # Errors
    ///
    /// As [`Acquire::wait`], and [`Denied::Never`] for a key that stays unknown. The hint of a
    /// refusal is the whole wait, with those that wait for the key.
    ///
    /// # Cancel safety
    ///
    /// See [`Acquire`].
    ///
    /// ```
    /// use core::time::Duration;
    /// use dashmap::DashMap;
    /// use tidegate::{DashKeyed, Denied, ManualClock, Quota, TokenBucket};
    ///
    /// let (clock, quota) = (ManualClock::new(), Quota::per_second(5).burst(1));
    /// let map = DashMap::new();
    /// map.insert("alice", TokenBucket::with_clock(quota, clock.clone()));
    /// let users = DashKeyed::with_clock(&map, |bucket| bucket, clock.clone());
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     for _ in 0..3 {
    ///         // In a program with the feature `tokio`: `users.acquire("alice", 1).await?`.
    ///         users.acquire("alice", 1).timer(timer).await?;
    ///     }
    ///     Ok::<(), Denied>(())
    /// })?;
    /// assert_eq!(tidegate::Clock::now(&clock).as_nanos(), 400_000_000);
    /// assert_eq!(users.acquire("bob", 1).wait(), Err(Denied::Never { capacity: 0 }));
    /// # Ok::<(), Denied>(())
    /// ```
    pub const fn acquire<'a, Q>(&'a self, key: &'a Q, n: u64) -> Acquire<KeyView<&'a Self, &'a Q>>
    where
        M::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        N: UnknownKeys<M::Key, M::Value, Q>,
    {
        Acquire::new(self.at(key), n)
    }

    /// The instants as of which a limiter is decided that was found in the map.
    fn instants_since_eviction(&self, at: Instants) -> Instants {
        let now = self.not_before_eviction(at.now);
        if now == at.now {
            // An instant that was due may still be older than the eviction, by at most the slack.
            return at;
        }
        Instants {
            due: now,
            now,
            ..at
        }
    }
}

impl<M, P, N, C: Clock, L, Q> WaitTable<Q> for DashKeyed<M, P, N, C>
where
    M: MapPointer,
    M::Key: Borrow<Q>,
    P: Fn(&M::Value) -> &L,
    L: Limiter<Clock = C> + Awaitable,
    N: UnknownKeys<M::Key, M::Value, Q>,
    Q: Hash + Eq + ?Sized,
{
    fn max_permits_for(&self, key: &Q) -> u64 {
        self.ask(key, L::max_permits).unwrap_or(0)
    }

    #[inline]
    fn waiting_for(&self, key: &Q) -> u64 {
        self.waits.waiting_for(|| self.hash(key))
    }

    fn queued(&self, key: &Q) -> u128 {
        self.waits.queued(|| self.hash(key))
    }

    fn enter(&self, key: &Q) -> Option<Place> {
        self.waits.enter(self.hash(key))
    }

    fn exit(&self, place: Place) {
        self.waits.exit(place);
    }

    #[inline]
    fn attempt(&self, key: &Q, n: u64, at: Instants) -> Result<(), Hold> {
        let decide = |limiter: &L| limiter.attempt(n, self.instants_since_eviction(at));
        self.ask_known(key, decide)
            .or_else(|| self.decide_new(key, decide))
            .unwrap_or(Err(Hold::Never))
    }

    /// As of now. A waiting tuple may lose what flows into this key while its timer is late.
    fn charge_as_of(&self, key: &Q, n: u64, at: Instants) -> Result<Self::Charge, Hold> {
        let charged = self.charge_for(key, n, at.now);
        charged.map_err(|denied| denied.hold(at.now))
    }

    fn hold_as_of(&self, key: &Q, n: u64, at: Instants) -> Option<Hold> {
        let denied = self.peek_for(key, n, at.now).err()?;
        Some(denied.hold(at.now))
    }

    fn refusal(&self, key: &Q, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
        self.ask(key, |limiter| {
            // Each kind of limiter has a measure of its own for what waiters ask for.
            let ahead = limiter.demand(u64::try_from(ahead).unwrap_or(u64::MAX));
            limiter.refusal(ahead, n, self.not_before_eviction(now))
        })
        .unwrap_or(Some(UNKNOWN))
    }
}
