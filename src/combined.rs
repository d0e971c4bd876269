//! Several limits behind one call: all are charged, or none.
//!
//! The [engine](crate::all_or_none) describes the steps of a call, and why an undo is exact or
//! nothing. A combination counts what does not come back as forfeited.
//!
//! # Progress
//!
//! Lock-free: a call takes one lock-free step per limit, and at most two passes.

mod all_or_none;
mod builder;
#[cfg(any(feature = "std", tidegate_loom))]
mod changes;
mod combined_denied;
mod limit;
#[cfg(any(feature = "std", tidegate_loom))]
mod waits;

pub use builder::{CombinedBuilder, CombinedStart};
#[cfg(any(feature = "std", tidegate_loom))]
pub use changes::ChangeError;
pub use combined_denied::CombinedDenied;
pub use limit::Limit;
use limit::NamedLimit;
pub(crate) use limit::{LimitMut, LimitRef};

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::time::Duration;

use crate::clock::{Clock, DefaultClock};
use crate::denied::Denied;
use crate::limiter::{Limiter, sealed};
use crate::prepared_charge::{Exchange, Request};
use crate::sliding_window::SlidingWindow;
use crate::snapshot::Snapshot;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::sync::WaitQueue;
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;

/// Several named limits that a call must pass together: all are charged, or none.
///
/// Use it for "50 per minute *and* 500 per hour *and* at most 10 at once", or for a global limit
/// above those of each route. An `Arc` of a limiter can be part of any number of combinations.
/// Calling one limiter after the other instead charges the first for what the second refuses.
///
/// # Guarantees
///
/// * **Bounds.** Each limit keeps its own bound, whatever happens to the others. A waiter is
///   decided by buckets as of the instant at which it was due, and by windows as of now.
/// * **All or nothing.** A refused call has charged nothing, for any number of threads. The
///   exception is a call that found room in every limit, charged some, lost the race for another,
///   and could not undo a charge because later calls had been decided on top of it. Such permits
///   are counted: see [`forfeited`](Self::forfeited).
/// * **Honest hints.** A refusal names the limit that refuses the longest. Waiting exactly
///   `retry_after` succeeds if no other call comes in between. Waiting one nanosecond less does
///   not.
///
/// If a window rotates at the moment of an undo, the undone permits may still count there until
/// they age out. `forfeited` does not include them. Then too few calls are admitted, never too
/// many.
///
/// # Cost and progress
///
/// One clock reading and one load per limit, and one compare-and-swap per limit if the call is
/// admitted. Lock-free, except for waiters, which lock their queue. A refusal writes nothing unless
/// it lost a race. With more than 8 limits each call allocates. Operations synchronize nothing
/// else.
///
/// # Waits
///
/// A combination has a wait queue of its own, in order of arrival. If combinations share a limit,
/// there is no order between their queues, nor between them and the limit's own queue. A reset, a
/// credit or an undo at a limit also wakes the first waiter of each combination.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Combined, ManualClock, Quota, SlidingWindow, TokenBucket};
///
/// let clock = ManualClock::new();
/// let minute = SlidingWindow::with_clock(50, Duration::from_secs(60), clock.clone())?;
/// let burst = TokenBucket::with_clock(Quota::per_second(5).burst(10), clock.clone());
/// let calls = Combined::builder().limit("minute", minute).limit("burst", burst).build();
///
/// calls.try_acquire(10).unwrap();
/// let denied = calls.try_acquire(1).unwrap_err();
/// assert_eq!(denied.limit(), "burst");
/// assert_eq!(denied.retry_after(), Some(Duration::from_millis(200)));
/// assert_eq!(calls.available(), 0);
/// assert_eq!(calls.available_in("minute"), Some(40)); // the refused call was not charged here
/// # Ok::<(), tidegate::WindowError>(())
/// ```
pub struct Combined<C = DefaultClock> {
    limits: Box<[NamedLimit<C>]>,
    /// Permits that rollbacks could not return, in all limits together. Only grows.
    forfeited: AtomicU64,
    #[cfg(any(feature = "std", tidegate_loom))]
    wait_queue: WaitQueue,
}

/// Charges on a [`Combined`], for [`Limiter::undo`].
#[derive(Debug)]
#[must_use = "dropping a charge does not undo it"]
pub struct CombinedCharge {
    /// For each limit: its index, the permits, and the exchange that charged them.
    charges: Vec<(usize, u64, Exchange)>,
    permits: u64,
}

impl CombinedCharge {
    pub(crate) const fn nothing() -> Self {
        Self {
            charges: Vec::new(),
            permits: 0,
        }
    }

    /// The same charges, with the number of permits that an undo of all returns.
    pub(crate) fn with_permits(self, permits: u64) -> Self {
        Self { permits, ..self }
    }

    pub(crate) const fn permits(&self) -> u64 {
        self.permits
    }
}

impl<C: Clock> Combined<C> {
    /// Returns the clock that is read: the first limit's.
    pub fn clock(&self) -> &C {
        self.limits[0].limit.clock()
    }

    /// Returns the limits' names in the order of declaration.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &'static str> + '_ {
        self.limits.iter().map(|named| named.name)
    }

    /// Returns the permits that a refused call had charged to a limit and that could not be
    /// returned, because later calls had been decided on top of them. Counts over all limits since
    /// the start.
    pub fn forfeited(&self) -> u64 {
        // Relaxed: an independent counter.
        self.forfeited.load(Relaxed)
    }

    /// Takes `n` permits from every limit or from none. `n = 0` always succeeds and changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`CombinedDenied`] if any limit refuses.
    #[inline]
    pub fn try_acquire(&self, n: u64) -> Result<(), CombinedDenied> {
        self.try_acquire_at(n, self.clock().now())
    }

    /// [`try_acquire`](Self::try_acquire) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), CombinedDenied> {
        self.admit(&|_| Request::charge(n), now.into(), |_, _| ())
    }

    /// Takes from each limit its own number of permits, in the order of declaration, or takes none
    /// at all. A limit whose number is 0 is skipped.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{Combined, ManualClock, Quota, SlidingWindow, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let requests = SlidingWindow::with_clock(50, Duration::from_secs(60), clock.clone())?;
    /// let calls = Combined::builder()
    ///     .limit("requests", requests)
    ///     .limit("tokens", TokenBucket::with_clock(Quota::per_minute(10_000), clock))
    ///     .build();
    /// calls.try_acquire_each(&[1, 9_000]).unwrap();
    /// assert_eq!(calls.try_acquire_each(&[1, 2_000]).unwrap_err().limit(), "tokens");
    /// assert_eq!(calls.available_in("requests"), Some(49));
    /// # Ok::<(), tidegate::WindowError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`CombinedDenied`] if any limit refuses.
    ///
    /// # Panics
    ///
    /// If the number of entries differs from the number of limits.
    #[inline]
    #[track_caller]
    pub fn try_acquire_each(&self, permits: &[u64]) -> Result<(), CombinedDenied> {
        self.try_acquire_each_at(permits, self.clock().now())
    }

    /// [`try_acquire_each`](Self::try_acquire_each) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire_each`](Self::try_acquire_each).
    ///
    /// # Panics
    ///
    /// As [`try_acquire_each`](Self::try_acquire_each).
    #[track_caller]
    pub fn try_acquire_each_at(
        &self,
        permits: &[u64],
        now: Timestamp,
    ) -> Result<(), CombinedDenied> {
        assert_eq!(
            permits.len(),
            self.limits.len(),
            "one number of permits for each limit"
        );
        self.admit(
            &|index: usize| Request::charge(permits[index]),
            now.into(),
            |_, _| (),
        )
    }

    /// Returns `Ok` if `n` permits would be admitted now. Changes nothing, so another call may take
    /// them first.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek(&self, n: u64) -> Result<(), CombinedDenied> {
        self.peek_at(n, self.clock().now())
    }

    /// [`peek`](Self::peek) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), CombinedDenied> {
        self.refusal(&|_| Request::charge(n), now.into(), None)
            .map_or(Ok(()), Err)
    }

    /// Returns how many permits every limit would admit now.
    pub fn available(&self) -> u64 {
        self.available_at(self.clock().now())
    }

    /// [`available`](Self::available) as of `now`.
    pub fn available_at(&self, now: Timestamp) -> u64 {
        let available = self
            .limits
            .iter()
            .map(|named| named.limit.available_at(now));
        available.min().unwrap_or(0)
    }

    /// Returns how many permits the limit `name` would admit now; `None` if there is no such limit.
    pub fn available_in(&self, name: &str) -> Option<u64> {
        self.available_in_at(name, self.clock().now())
    }

    /// [`available_in`](Self::available_in) as of `now`.
    pub fn available_in_at(&self, name: &str, now: Timestamp) -> Option<u64> {
        let named = self.limits.iter().find(|named| named.name == name)?;
        Some(named.limit.available_at(now))
    }

    /// The refill time of the limit at `index`.
    pub(crate) fn refill_time_at_index(&self, index: usize) -> Duration {
        self.limits[index].limit.refill_time()
    }

    /// The permits available at the limit at `index`.
    #[inline]
    pub(crate) fn available_at_index(&self, index: usize, now: Timestamp) -> u64 {
        self.limits[index].limit.available_at(now)
    }

    /// The limit at `index` if it is a bucket.
    pub(crate) fn bucket(&self, index: usize) -> Option<&TokenBucket<C>> {
        self.limits.get(index)?.limit.as_bucket()
    }

    /// Returns how long until a call for `n` permits is admitted if no other call comes in between;
    /// `None` if `n` is above a limit's capacity.
    ///
    /// Exact: after this wait the call succeeds, and one nanosecond earlier it is refused.
    pub fn wait_time(&self, n: u64) -> Option<Duration> {
        self.wait_time_at(n, self.clock().now())
    }

    /// [`wait_time`](Self::wait_time) as of `now`.
    pub fn wait_time_at(&self, n: u64, now: Timestamp) -> Option<Duration> {
        match self.peek_at(n, now) {
            Ok(()) => Some(Duration::ZERO),
            Err(denied) => denied.retry_after(),
        }
    }
}

/// For saves.
impl<C> Combined<C> {
    pub(crate) fn named_limits(&self) -> impl Iterator<Item = (&'static str, LimitRef<'_, C>)> {
        let limits = self.limits.iter();
        limits.map(|named| (named.name, named.limit.by_kind()))
    }

    /// `None` for a limit that other combinations share.
    pub(crate) fn named_limits_mut(
        &mut self,
    ) -> impl Iterator<Item = (&'static str, Option<LimitMut<'_, C>>)> {
        let limits = self.limits.iter_mut();
        limits.map(|named| (named.name, named.limit.by_kind_mut()))
    }

    /// A share of each limit, with its name.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (&'static str, Limit<C>)> {
        let limits = self.limits.iter();
        limits.map(|named| (named.name, named.limit.share()))
    }

    /// Changes two windows over the same admissions. `None` if the combination has no such pair, or
    /// if anything else has a share of it.
    pub(crate) fn change_two_windows<R>(
        &mut self,
        change: impl FnOnce(&mut SlidingWindow<C>) -> R,
    ) -> Option<R> {
        let is_longer = |named: &NamedLimit<C>| named.limit.is_longer_of_two();
        let index = self.limits.iter().position(is_longer)?;
        // The longer one is a share of the shorter one, which must have no other to be changed.
        let mut limits = mem::take(&mut self.limits).into_vec();
        let NamedLimit { name, limit } = limits.remove(index);
        let shorter = limits
            .iter_mut()
            .find(|named| named.limit.is_shorter_of(&limit));
        drop(limit);
        let mut result = None;
        if let Some(shorter) = shorter {
            result = shorter.limit.two_windows_mut().map(change);
            if let Some(limit) = shorter.limit.longer() {
                limits.insert(index, NamedLimit { name, limit });
            }
        }
        self.limits = limits.into_boxed_slice();
        result
    }

    pub(crate) fn limit_at_index(&self, index: usize) -> &Limit<C> {
        &self.limits[index].limit
    }
}

#[cfg(any(feature = "std", tidegate_loom))]
impl<C> Combined<C> {
    pub(crate) const fn wait_queue(&self) -> &WaitQueue {
        &self.wait_queue
    }

    pub(crate) fn limits(&self) -> impl Iterator<Item = &Limit<C>> {
        self.limits.iter().map(|named| &named.limit)
    }
}

impl<C> sealed::Sealed for Combined<C> {}

impl<C: Clock> sealed::Internals for Combined<C> {
    #[cfg(any(feature = "std", tidegate_loom))]
    fn change_to_at(&self, new: &Self, now: Timestamp) -> bool {
        self.change_all_to_at(new, now)
    }

    fn has_several_limits(&self) -> bool {
        true
    }

    fn each_snapshot_at(&self, now: Timestamp, each: &mut dyn FnMut(Snapshot)) {
        for named in &self.limits {
            each(named.snapshot_at(now));
        }
    }

    fn snapshot_for_at(&self, n: u64, now: Timestamp) -> Snapshot {
        match self.peek_at(n, now) {
            Err(denied) => self.limits[denied.index()].snapshot_at(now),
            Ok(()) => Limiter::snapshot_at(self, now),
        }
    }
}

impl<C: Clock> Limiter for Combined<C> {
    type Clock = C;
    type Charge = CombinedCharge;

    fn clock(&self) -> &C {
        self.clock()
    }

    fn capacity(&self) -> u64 {
        let capacities = self.limits.iter().map(|named| named.limit.capacity());
        capacities.min().unwrap_or(0)
    }

    fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.peek_at(n, now).map_err(|denied| denied.denied())
    }

    #[inline]
    fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(n, now)
            .map_err(|denied| denied.denied())
    }

    /// Allocates for as many charges as there are limits; `try_acquire_at` does not.
    fn charge_at(&self, n: u64, now: Timestamp) -> Result<CombinedCharge, Denied> {
        match self.charge_each_at(&|_| Request::charge(n), now.into()) {
            Ok(charge) => Ok(charge.with_permits(n)),
            Err(denied) => Err(denied.denied()),
        }
    }

    /// Returns `n` if every limit returned its `n`, otherwise 0. Permits that some limit did not
    /// return are [counted](Combined::forfeited).
    fn undo(&self, charge: CombinedCharge) -> u64 {
        let permits = charge.permits;
        let is_complete = self.undo_all(charge, |_, _| false);
        #[cfg(any(feature = "std", tidegate_loom))]
        self.wait_queue.wake_head();
        if is_complete { permits } else { 0 }
    }

    fn available_at(&self, now: Timestamp) -> u64 {
        self.available_at(now)
    }

    fn refill_time(&self) -> Duration {
        let times = self.limits.iter().map(|named| named.limit.refill_time());
        times.max().unwrap_or_default()
    }

    fn snapshot_at(&self, now: Timestamp) -> Snapshot {
        let first = self.limits[0].snapshot_at(now);
        let others = self.limits[1..].iter().map(|named| named.snapshot_at(now));
        others.fold(first, Snapshot::tighter)
    }

    fn is_unused_at(&self, now: Timestamp) -> bool {
        self.limits
            .iter()
            .all(|named| named.limit.is_unused_at(now))
    }
}

impl<C: fmt::Debug> fmt::Debug for Combined<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Combined")
            .field("limits", &self.limits)
            // Relaxed: for display.
            .field("forfeited", &self.forfeited.load(Relaxed))
            .finish_non_exhaustive()
    }
}
