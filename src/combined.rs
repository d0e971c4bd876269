//! Several limits behind one call: all are charged, or none.
//!
//! # A call
//!
//! 1. A pass that only reads: if any limit would refuse, the call is refused, and nothing was written.
//! 2. The limit with the *least headroom* (further calls like this one) is charged first, the others after it in the order in
//!    which they were declared. Callers who race for the last permit so meet at the first charge, where those who lose
//!    have nothing to roll back.
//! 3. If a later charge fails all the same, what was charged before is undone, last first. An undo is exact or nothing
//!    ([`Limiter::undo`]); what does not come back is counted as forfeited. (To refund it in full would admit too much:
//!    `mutants::full_refund_across_limits`.)
//!
//! A charge that is undone later may have been in others' way meanwhile, so a refusal says that a limit was used up at that
//! moment, not that it would have been without the call that was rolled back.
//!
//! # Orderings
//!
//! There are none of its own: each limit keeps its promise whatever happens to the others, and `forfeited` is a number that
//! nothing depends on.
//!
//! # Progress
//!
//! Lock-free: a call takes as many steps as there are limits, each of them lock-free. If a limit that refused in the first pass no
//! longer does when it is asked why, the call starts again, once.

mod builder;
mod charging;
mod denied;
mod limit;

pub use builder::{CombinedBuilder, CombinedStart};
pub use denied::CombinedDenied;
pub use limit::Limit;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::clock::{Clock, DefaultClock};
use crate::denied::Denied;
use crate::limiter::{Limiter, sealed};
use crate::prepared_charge::{Exchange, Request};
use crate::snapshot::Snapshot;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;
#[cfg(feature = "std")]
use crate::wait::Line;

/// Several named limits that a call must pass together: it is charged to all of them, or to none.
///
/// For "50 per minute *and* 500 per hour *and* no more than 10 at once", or for a global limit above those of each
/// route (an `Arc` of a limiter can be in any number of combinations). Calling one limiter after the other instead
/// charges the first for what the second refuses.
///
/// # Guarantees
///
/// * Each limit keeps its own bound, whatever happens to the others.
/// * A call that is refused has charged nothing, for any number of threads. The exception is counted
///   ([`forfeited`](Self::forfeited)): a call that passed the first look, charged some limits, found another used up by a race, and
///   could not take a charge back because others had been decided on top of it. (Should a window just be moved on to its next slot by
///   somebody who had seen the charge, it counts there until it ages out although it came back, and nobody can tell.)
/// * A refusal names the limit that refuses the longest, and its hint is honest: waiting exactly that long succeeds if nobody
///   else comes, one nanosecond less does not.
///
/// # Cost and progress
///
/// One clock reading, one load for each limit, and one compare-and-swap for each if admitted. Lock-free; a refusal writes
/// nothing unless it lost a race. More than 8 limits allocate in each call. Operations synchronise nothing else.
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
    limits: Box<[Named<C>]>,
    /// Permits that roll-backs could not give back, in all limits together; only ever raised.
    forfeited: AtomicU64,
    #[cfg(feature = "std")]
    line: Line,
}

#[derive(Debug)]
struct Named<C> {
    name: &'static str,
    limit: Limit<C>,
}

impl<C: Clock> Named<C> {
    fn snapshot_at(&self, now: Timestamp) -> Snapshot {
        Snapshot {
            limit: Some(self.name),
            ..self.limit.snapshot_at(now)
        }
    }
}

/// Charges on a [`Combined`], for [`Limiter::undo`].
#[derive(Debug)]
#[must_use = "a charge that is dropped is kept"]
pub struct CombinedCharge {
    /// Index, permits and charge.
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

    /// The same charges, for so many permits.
    pub(crate) fn of(self, permits: u64) -> Self {
        Self { permits, ..self }
    }

    pub(crate) const fn permits(&self) -> u64 {
        self.permits
    }
}

impl Combined {
    /// Starts a combination: add limits, then [`build`](CombinedBuilder::build).
    ///
    /// All limits must be on the same clock, or on clones of it: the first one's is read for all. None may be in it twice: each
    /// would be asked as if the other were not there.
    pub const fn builder() -> CombinedStart {
        CombinedStart(())
    }
}

impl<C: Clock> Combined<C> {
    /// The clock that is read: the first limit's.
    pub fn clock(&self) -> &C {
        self.limits[0].limit.clock()
    }

    /// The limits' names in the order of declaration.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &'static str> + '_ {
        self.limits.iter().map(|named| named.name)
    }

    /// Permits that were charged to a limit for a call that was refused in the end, and could not be given back since others
    /// had been decided on top of them. Counts over all limits since the start.
    pub fn forfeited(&self) -> u64 {
        // Relaxed: a number on its own.
        self.forfeited.load(Relaxed)
    }

    /// Takes `n` permits from every limit, or from none. `n = 0` always succeeds and changes nothing.
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
        self.admit(&|_| Request::of(n), now, |_, _| ())
    }

    /// Takes from each limit its own number of permits, in the order of declaration, or nothing from any. A limit whose number
    /// is 0 is not asked.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{Combined, ManualClock, Quota, SlidingWindow, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let calls = Combined::builder()
    ///     .limit("requests", SlidingWindow::with_clock(50, Duration::from_secs(60), clock.clone())?)
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
    /// If there are not as many numbers as limits.
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
            "as many numbers of permits as limits"
        );
        self.admit(&|index: usize| Request::of(permits[index]), now, |_, _| ())
    }

    /// Whether `n` permits would be given now. Changes nothing; by the time you ask again, others may have taken them.
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
        self.refusal(&|_| Request::of(n), now, None)
            .map_or(Ok(()), Err)
    }

    /// How many permits every limit would give now.
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

    /// How many permits the limit of that name would give now; `None` if there is no such limit.
    pub fn available_in(&self, name: &str) -> Option<u64> {
        self.available_in_at(name, self.clock().now())
    }

    /// [`available_in`](Self::available_in) as of `now`.
    pub fn available_in_at(&self, name: &str, now: Timestamp) -> Option<u64> {
        let named = self.limits.iter().find(|named| named.name == name)?;
        Some(named.limit.available_at(now))
    }

    /// How long the limit at that place takes until all of it is there again.
    pub(crate) fn refill_time_at_index(&self, index: usize) -> Duration {
        self.limits[index].limit.refill_time()
    }

    /// How many permits the limit at that place would give.
    #[inline]
    pub(crate) fn available_at_index(&self, index: usize, now: Timestamp) -> u64 {
        self.limits[index].limit.available_at(now)
    }

    /// Takes `n` from one limit, if they are still there.
    #[cfg(feature = "http")]
    pub(crate) fn take(&self, index: usize, n: u64, now: Timestamp) -> bool {
        self.limits[index].limit.charge_at(n, now).is_ok()
    }

    /// The limit at that place, if it is a bucket.
    pub(crate) fn bucket(&self, index: usize) -> Option<&TokenBucket<C>> {
        self.limits.get(index)?.limit.as_bucket()
    }

    /// How long until `n` permits would be given if nobody else came; `None` if never.
    ///
    /// Exact: after this long the call succeeds, one nanosecond earlier it would be refused.
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

#[cfg(feature = "std")]
impl<C> Combined<C> {
    pub(crate) const fn line(&self) -> &Line {
        &self.line
    }

    pub(crate) const fn line_mut(&mut self) -> &mut Line {
        &mut self.line
    }
}

impl<C> sealed::Sealed for Combined<C> {}

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

    /// Allocates, for as many charges as there are limits; `try_acquire_at` does not.
    fn charge_at(&self, n: u64, now: Timestamp) -> Result<CombinedCharge, Denied> {
        match self.charge_each_at(&|_| Request::of(n), now) {
            Ok(charge) => Ok(charge.of(n)),
            Err(denied) => Err(denied.denied()),
        }
    }

    /// `n` if every limit gave its `n` back, else 0; what some did not give back is [counted](Combined::forfeited).
    fn undo(&self, charge: CombinedCharge) -> u64 {
        let permits = charge.permits;
        if self.undo_all(charge, |_, _| false) {
            permits
        } else {
            0
        }
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

    fn snapshot_for_at(&self, n: u64, now: Timestamp) -> Snapshot {
        match self.peek_at(n, now) {
            Err(denied) => self.limits[denied.index()].snapshot_at(now),
            Ok(()) => Limiter::snapshot_at(self, now),
        }
    }

    fn is_unused_at(&self, now: Timestamp) -> bool {
        self.limits
            .iter()
            .all(|named| named.limit.is_unused_at(now))
    }

    fn unused_in_at(&self, now: Timestamp) -> Option<Duration> {
        let mut waits = self
            .limits
            .iter()
            .map(|named| named.limit.unused_in_at(now));
        waits.try_fold(Duration::ZERO, |longest, wait| Some(longest.max(wait?)))
    }
}

impl<C: fmt::Debug> fmt::Debug for Combined<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Combined")
            .field("limits", &self.limits)
            // Relaxed: a picture for people.
            .field("forfeited", &self.forfeited.load(Relaxed))
            .finish_non_exhaustive()
    }
}
