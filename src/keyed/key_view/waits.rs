//! Waits for the key of a view.

use super::{KeyHandle, KeyView, Table};
use crate::denied::Denied;
use crate::keyed::table::WaitTable;
use crate::keyed::wait_queues::Place;
use crate::sync::WaitQueue;
use crate::time::Timestamp;
use crate::wait::sealed::Waits;
use crate::wait::{Acquire, Hold, Instants, MemberWaits};

impl<T, H> KeyView<T, H>
where
    H: KeyHandle,
    T: WaitTable<H::Key>,
{
    /// Waits for `n` permits of the key's limiter, in order of arrival at this key: await the
    /// result, or let the thread [`wait`](Acquire::wait).
    ///
    /// This is the table's own `acquire`. The wait borrows the view; `Acquire::new(view, n)` owns
    /// it.
    ///
    /// # Errors
    ///
    /// As [`Acquire::wait`], and [`Denied::Busy`] for a key without room.
    ///
    /// # Cancel safety
    ///
    /// See [`Acquire`].
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{Denied, FixedKeyed, ManualClock, Quota};
    ///
    /// let users = FixedKeyed::with_clock(Quota::per_second(5), 1000, ManualClock::new());
    /// let alice = users.at("alice");
    /// assert_eq!(alice.acquire(5).wait(), Ok(()));
    /// let refused = alice.acquire(1).timeout(Duration::from_millis(100)).wait();
    /// assert_eq!(refused, Err(Denied::NotYet { retry_after: Duration::from_millis(200).into() }));
    /// ```
    pub const fn acquire(&self, n: u64) -> Acquire<&Self> {
        Acquire::new(self, n)
    }

    /// Returns the number of threads and futures that wait for this key.
    pub fn waiting(&self) -> u64 {
        self.table.waiting_for(self.key.key())
    }
}

impl<T, H> Waits for KeyView<T, H>
where
    H: KeyHandle,
    T: WaitTable<H::Key>,
{
    type Clock = <T as Table<H::Key>>::Clock;
    type Demand = u128;
    type Place = Place;

    fn wait_clock(&self) -> &Self::Clock {
        self.table.clock_for(self.key())
    }

    fn max_permits(&self) -> u64 {
        self.table.max_permits_for(self.key())
    }

    fn demand(&self, n: u64) -> u128 {
        n.into()
    }

    #[inline]
    fn is_busy(&self) -> bool {
        self.waiting() != 0
    }

    fn queued(&self) -> u128 {
        self.table.queued(self.key())
    }

    fn enter(&self) -> Option<Place> {
        self.table.enter(self.key())
    }

    fn queue<'a>(&'a self, place: &'a Place) -> &'a WaitQueue {
        place.queue()
    }

    fn exit(&self, place: Place) {
        self.table.exit(place);
    }

    #[inline]
    fn attempt(&self, n: u64, at: Instants) -> Result<(), Hold> {
        self.table.attempt(self.key(), n, at)
    }

    fn refusal(&self, ahead: u128, n: u64, now: Timestamp) -> Option<Denied> {
        self.table.refusal(self.key(), ahead, n, now)
    }

    #[inline]
    fn refused(&self, n: u64, now: Timestamp) {
        self.table.refused(self.key(), n, now);
    }
}

impl<T, H> MemberWaits for KeyView<T, H>
where
    H: KeyHandle,
    T: WaitTable<H::Key>,
{
    fn charge_as_of(&self, n: u64, at: Instants) -> Result<T::Charge, Hold> {
        self.table.charge_as_of(self.key(), n, at)
    }

    fn hold_as_of(&self, n: u64, at: Instants) -> Option<Hold> {
        self.table.hold_as_of(self.key(), n, at)
    }
}
