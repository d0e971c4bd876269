//! Waits for a key.

use core::hash::{BuildHasher, Hash};
use core::time::Duration;

use super::FixedKeyed;
use super::state::KeyRefusal;
use crate::clock::Clock;
use crate::denied::Denied;
use crate::keyed::key_view::KeyView;
use crate::keyed::overflow::{NO_ROOM, Overflow};
use crate::keyed::table::{Table, WaitTable};
use crate::keyed::wait_queues::{Place, WaitOptions};
use crate::time::Timestamp;
use crate::wait::{Acquire, Hold, Instants, from_now};

/// Options and state of waits.
impl<C, S> FixedKeyed<C, S> {
    /// Sets how many threads and futures may wait in the whole table, any number by default. It
    /// bounds the memory of their queues.
    ///
    /// A caller beyond that is refused at once, unless it is admitted without waiting. The hint
    /// is the whole wait behind those that wait for the same key.
    ///
    /// ```
    /// # use core::{future::Future, pin::pin};
    /// # use core::task::{Context, Waker};
    /// use tidegate::{FixedKeyed, ManualClock, Quota};
    ///
    /// let quota = Quota::per_second(1);
    /// let users = FixedKeyed::with_clock(quota, 1_000, ManualClock::new()).max_waiters(1);
    /// users.try_acquire(&7, 1)?;
    /// users.try_acquire(&8, 1)?;
    /// # let never = |_| core::future::pending();
    /// # let mut context = Context::from_waker(Waker::noop());
    /// let mut first = pin!(users.acquire(&7, 1).timer(never));
    /// assert!(first.as_mut().poll(&mut context).is_pending());
    /// assert_eq!(users.waiting(), 1);
    /// assert!(users.acquire(&8, 1).wait().is_err());
    /// assert!(users.acquire(&9, 1).wait().is_ok()); // a new key, which need not wait
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
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
}

impl<C: Clock, S: BuildHasher> FixedKeyed<C, S> {
    /// Waits for `n` tokens of the key's bucket, in order of arrival at this key: await the result,
    /// or let the thread [`wait`](Acquire::wait).
    ///
    /// Keys do not delay each other. A key has a wait queue only while calls wait for it, and only
    /// waits allocate. Two keys with the same 64-bit hash share a queue, as they share the bucket.
    /// Once a call has waited, the table keeps 4 KB.
    ///
    /// `n = 0` is ready at once. The wait borrows the table and the key. [`KeyView::owned`] makes
    /// one that owns the key and a share of the table.
    ///
    /// # Keys without room
    ///
    /// The [`Overflow`] policy decides, and counts, each time that a waiter asks:
    ///
    /// * [`Share`](Overflow::Share): the waiters of each key have an order of their own. Together
    ///   they get what the shared bucket admits, in no order among the keys.
    /// * [`Refuse`](Overflow::Refuse): a waiter asks again after the estimate of a second, until
    ///   there is room or its timeout ends. A timeout below the estimate is refused at once, with
    ///   [`Denied::Busy`].
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
    /// use tidegate::{Denied, FixedKeyed, ManualClock, Quota};
    ///
    /// let clock = ManualClock::new();
    /// let quota = Quota::per_second(5).burst(1);
    /// let clients = FixedKeyed::with_clock(quota, 100_000, clock.clone());
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     for _ in 0..3 {
    ///         // In a program with the feature `tokio`: `clients.acquire(ip, 1).await?`.
    ///         clients.acquire("203.0.113.7", 1).timer(timer).await?;
    ///     }
    ///     clients.acquire("203.0.113.8", 1).timer(timer).await // at once
    /// })?;
    /// assert_eq!(tidegate::Clock::now(&clock).as_nanos(), 400_000_000);
    ///
    /// // A timeout that cannot be met is refused before sleeping.
    /// let refused = clients.acquire("203.0.113.8", 1).timeout(Duration::from_millis(100)).wait();
    /// assert_eq!(refused, Err(Denied::NotYet { retry_after: Duration::from_millis(200).into() }));
    /// # Ok::<(), Denied>(())
    /// ```
    pub const fn acquire<'a, Q>(&'a self, key: &'a Q, n: u64) -> Acquire<KeyView<&'a Self, &'a Q>>
    where
        Q: Hash + ?Sized,
    {
        Acquire::new(self.at(key), n)
    }
}

impl<C: Clock, S: BuildHasher, Q: Hash + ?Sized> WaitTable<Q> for FixedKeyed<C, S> {
    fn max_permits_for(&self, _: &Q) -> u64 {
        self.quota().capacity()
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

    #[inline]
    fn attempt(&self, key: &Q, n: u64, at: Instants) -> Result<(), Hold> {
        let decided = self.try_acquire_at(key, n, at.due);
        decided.map_err(|denied| denied.hold(at.due))
    }

    fn charge_as_of(&self, key: &Q, n: u64, at: Instants) -> Result<Self::Charge, Hold> {
        let charged = self.charge_for(key, n, at.due);
        charged.map_err(|denied| denied.hold(at.due))
    }

    fn hold_as_of(&self, key: &Q, n: u64, at: Instants) -> Option<Hold> {
        let denied = self.peek_at(key, n, at.due).err()?;
        Some(denied.hold(at.due))
    }

    fn refusal(&self, key: &Q, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
        let due = self.waits.earliest_behind(ahead, now);
        let denied = self.peek_behind_at(key, ahead, n, due).err()?;
        match denied {
            // An estimate, which counts from the present.
            Denied::Busy { .. } => Some(denied),
            _ => from_now(denied, due, now),
        }
    }
}

impl<C: Clock, S: BuildHasher> FixedKeyed<C, S> {
    /// The refusal of `n` after waiters that ask for `ahead`.
    fn peek_behind_at<Q>(&self, key: &Q, ahead: u128, n: u64, at: Timestamp) -> Result<(), Denied>
    where
        Q: Hash + ?Sized,
    {
        let peeked = self.on_key(key, |state, set, tag| state.peek(set, tag, ahead, n, at));
        peeked.or_else(|refusal| match refusal {
            KeyRefusal::Denied(denied) => Err(denied),
            KeyRefusal::Full => match self.overflow {
                Overflow::Share => self.shared.peek_behind_at(ahead, n, at),
                Overflow::Refuse => Err(NO_ROOM),
                Overflow::Admit => Ok(()),
            },
        })
    }
}
