//! The token bucket: the public type around [`AtomicTat`].

/// Decides on the bucket's first state, and where the quota has changed on the latest.
// A macro: with a closure, a refusal takes 8 instructions more.
macro_rules! decide {
    ($self:ident, |$state:ident, $generation:tt| $decision:expr) => {{
        let $state = &$self.core.state;
        let $generation = Generation::FIRST;
        let decided = match $decision {
            Ok(result) => Ok(result),
            Err(Refusal::Denied(shortage)) => Err(shortage),
            Err(Refusal::Closed(closed)) => {
                $self.decide_changed(closed, move |$state, $generation| $decision)
            }
        };
        decided.map_err(|shortage| $state.denied(shortage))
    }};
}

#[cfg(any(feature = "std", tidegate_loom))]
mod changed;
mod charge;
mod charging;
#[cfg(any(feature = "std", tidegate_loom))]
mod set_quota;
mod state;

pub use charge::BucketCharge;
pub(crate) use charge::ReservedCharge;

use core::cell::Cell;
use core::fmt;
use core::time::Duration;

use crossbeam_utils::CachePadded;

use crate::clock::{Clock, DefaultClock};
use crate::denied::Denied;
use crate::gcra::{Gcra, Level, Refusal, Shortage};
use crate::limiter::{Limiter, sealed};
use crate::quota::Quota;
use crate::snapshot::Snapshot;
use crate::sync::{Closed, const_fn};
#[cfg(any(feature = "std", tidegate_loom))]
use crate::sync::{Succession, WaitQueue};
use crate::time::Timestamp;
#[cfg(any(feature = "std", tidegate_loom))]
use changed::ChangedState;
use state::{BucketState, Generation};

/// A token bucket: tokens flow in at the quota's rate, up to its capacity, and every call takes
/// some.
///
/// A bucket allows bursts of up to its capacity and keeps to its rate in the long run. Over one
/// period it admits up to a capacity *and* a period's refill. Where no interval of a given length
/// may ever hold more than a limit, use a [`SlidingWindow`](crate::SlidingWindow).
///
/// # Guarantees
///
/// They hold for any number of threads. The decision time of a call lies between its start and its
/// return.
///
/// * **Bound.** Over any interval `[a, b]` of decision times, the bucket admits at most
///   capacity + rate · (b − a), plus what [`credit`](Self::credit) returned and
///   [`reset`](Self::reset) forgave in it. A waiter's decision time precedes its return by the
///   delay of its timer. So in real time waiters may exceed that by rate · slack (`wait_slack`,
///   2 ms by default).
/// * **No false refusal.** A refusal of `n` means that fewer than `n` tokens were available 2 ns
///   before. With capacities above 9 years of refill, that is 170 ns.
/// * **Exact rate.** Let a token last `p/n` nanoseconds in lowest terms. The rate is not rounded at
///   all if `n` is at most 2¹⁷ and the capacity is at most 36 years of refill divided by `n`. That
///   covers 3, 7, 100 001 and 10¹² per second, and any whole number of nanoseconds per token.
///   At any other rate a token is never early and at most 2 ns late, with capacities of up to 9
///   years of refill. Lateness does not add up while the bucket is in use. A bucket that runs full
///   after every call, such as one with a burst of 1, starts anew each time.
/// * **Honest hints.** Waiting exactly `retry_after` succeeds if no other call comes in between.
///   Waiting one nanosecond less does not.
/// * **Time.** A clock that steps back admits nothing more. No input panics or wraps, for the 584
///   years of a [`Timestamp`].
///
/// # Progress and ordering
///
/// Every operation except waiting is lock-free while no call waits, takes constant time without
/// contention, and reads the clock once. The `_at` twins read no clock. Refusals and queries write
/// nothing to shared memory, so refused callers do not slow each other down. A
/// [`reset`](Self::reset), a [`credit`](Self::credit) and an [undo](Limiter::undo) wake the first
/// waiter, for which they take a lock if there is one.
///
/// The first acquisition in years, or at awkward rates the first in hours, also advances an
/// internal epoch, even if it is refused. That takes some ten nanoseconds for each such period that
/// has passed, and 40 ms for 584 years at the worst rate.
///
/// Operations synchronize nothing else. Do not use a limiter to hand data from thread to thread.
///
/// # Size
///
/// 128 bytes with padding and a small clock, and no allocation before a call has to wait. The state
/// is one atomic word, and a second one that changes once in years. `new` is `const`, so a bucket
/// can live in a `static`.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Denied, ManualClock, Quota, TokenBucket};
///
/// let clock = ManualClock::new();
/// let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(3), clock.clone());
///
/// assert!(bucket.try_acquire(3).is_ok());
/// let retry_after = Duration::from_millis(100).into();
/// assert_eq!(bucket.try_acquire(1), Err(Denied::NotYet { retry_after }));
///
/// clock.advance(retry_after);
/// assert!(bucket.try_acquire(1).is_ok());
/// assert_eq!(bucket.try_acquire(4), Err(Denied::Never { capacity: 3 }));
/// ```
pub struct TokenBucket<C = DefaultClock> {
    core: CachePadded<BucketCore<C>>,
}

/// On cache lines of its own, because a decision needs the word together with the quota.
struct BucketCore<C> {
    state: BucketState,
    clock: C,
    #[cfg(any(feature = "std", tidegate_loom))]
    wait_queue: WaitQueue,
    #[cfg(any(feature = "std", tidegate_loom))]
    changes: Succession<ChangedState>,
}

#[cfg(feature = "std")]
impl TokenBucket {
    const_fn! {
        /// Creates a full bucket on the [`DefaultClock`].
        ///
        /// ```
        /// use tidegate::{Quota, TokenBucket};
        ///
        /// static UPLOADS: TokenBucket = TokenBucket::new(Quota::per_hour(5));
        /// assert!(UPLOADS.try_acquire(5).is_ok());
        /// assert!(UPLOADS.try_acquire(1).is_err());
        /// ```
        pub const fn new(quota: Quota) -> Self {
            Self::with_clock(quota, DefaultClock)
        }
    }
}

impl<C> TokenBucket<C> {
    const_fn! {
        /// Creates a full bucket on a clock of your choice.
        pub const fn with_clock(quota: Quota, clock: C) -> Self {
            let core = BucketCore {
                state: BucketState::full(quota),
                clock,
                #[cfg(any(feature = "std", tidegate_loom))]
                wait_queue: WaitQueue::new(),
                #[cfg(any(feature = "std", tidegate_loom))]
                changes: Succession::none(),
            };
            Self { core: CachePadded::new(core) }
        }
    }

    /// Returns the quota.
    pub fn quota(&self) -> Quota {
        self.query(BucketState::quota_if_open)
    }

    /// Returns the clock that the bucket reads.
    pub fn clock(&self) -> &C {
        &self.core.clock
    }

    /// Returns the most tokens that the bucket holds, which is also the most that one call can
    /// take.
    pub fn capacity(&self) -> u64 {
        self.quota().capacity()
    }

    /// Runs `operation` on the state, or on the one that has replaced it.
    #[expect(clippy::inline_always, reason = "as `BucketState::try_acquire_at`")]
    #[inline(always)]
    fn query<R>(&self, operation: impl Fn(&BucketState) -> Result<R, Closed>) -> R {
        match operation(&self.core.state) {
            Ok(result) => result,
            Err(closed) => self.changed(closed, move |state, _| operation(state)),
        }
    }

    /// [`decide!`] after the quota has changed. A refusal has its hint.
    #[cold]
    #[inline(never)]
    fn decide_changed<R>(
        &self,
        closed: Closed,
        operation: impl Fn(&BucketState, Generation) -> Result<R, Refusal<Shortage>>,
    ) -> Result<R, Shortage> {
        self.changed(closed, |state, generation| {
            match operation(state, generation) {
                Ok(result) => Ok(Ok(result)),
                Err(Refusal::Denied(shortage)) => Ok(Err(shortage.hinted(&state.gcra))),
                Err(Refusal::Closed(closed)) => Err(closed),
            }
        })
    }

    /// Runs `operation` on the state that has replaced the first one.
    ///
    /// Callers pass closures that own what they capture. A reference to it would keep it in memory
    /// in the calls that never come here.
    #[cfg(any(feature = "std", tidegate_loom))]
    #[cold]
    #[inline(never)]
    fn changed<R>(
        &self,
        _: Closed,
        operation: impl Fn(&BucketState, Generation) -> Result<R, Closed>,
    ) -> R {
        let BucketCore { state, changes, .. } = &*self.core;
        loop {
            // The first state is closed after its successor was linked, so this never repeats.
            if let Some(result) = changes.run(state, |changed| changed.run(&operation)) {
                return result;
            }
        }
    }

    /// Without std, quotas do not change.
    #[cfg(not(any(feature = "std", tidegate_loom)))]
    #[expect(clippy::unused_self, reason = "the same call as with std")]
    const fn changed<R>(
        &self,
        closed: Closed,
        _: impl Fn(&BucketState, Generation) -> Result<R, Closed>,
    ) -> R {
        match closed {}
    }
}

/// Operations at an instant that the caller has read. They read no clock.
///
/// An instant may be older than that of an earlier charge. The call is then judged as of that
/// instant, but it neither refills the bucket nor moves the bucket's time back. An instant that
/// lies further back than the bucket can represent, 73 minutes at the least, is clamped.
impl<C> TokenBucket<C> {
    /// [`with_initial`](Self::with_initial) as of `now`.
    #[must_use]
    pub fn with_initial_at(self, tokens: u64, now: Timestamp) -> Self {
        self.query(move |BucketState { tat, gcra, .. }| {
            tat.update(gcra, now.as_nanos(), |now, _| gcra.holding(tokens, now))
        });
        self
    }

    /// [`try_acquire`](Self::try_acquire) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[expect(
        clippy::inline_always,
        reason = "so that an unused hint is never computed"
    )]
    #[inline(always)]
    pub fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        match self.core.state.try_acquire_once_at(n, now) {
            Some(decided) => decided,
            None => self.try_acquire_in_steps_at(n, now),
        }
    }

    /// [`try_acquire_at`](Self::try_acquire_at) in all cases.
    #[cold]
    #[inline(never)]
    fn try_acquire_in_steps_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        decide!(self, |state, _| state.try_acquire_at(n, now))
    }

    /// [`try_acquire_up_to`](Self::try_acquire_up_to) as of `now`.
    #[inline]
    #[must_use = "the call may take fewer than `n` tokens"]
    pub fn try_acquire_up_to_at(&self, n: u64, now: Timestamp) -> u64 {
        if n == 0 {
            return 0;
        }
        self.query(move |state| match state.try_acquire_up_to_at(n, now) {
            Ok(admitted) => Ok(admitted),
            Err(Refusal::Denied(())) => Ok(0),
            Err(Refusal::Closed(closed)) => Err(closed),
        })
    }

    /// [`peek`](Self::peek) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[inline]
    pub fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        decide!(self, |state, _| state.peek_at(n, now))
    }

    /// The refusal of `n` after waiters that ask for `ahead`, with the whole wait.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn peek_behind_at(&self, ahead: u128, n: u64, now: Timestamp) -> Result<(), Denied> {
        if n == 0 || ahead == 0 {
            return self.peek_at(n, now);
        }
        decide!(self, |state, _| state.peek_behind_at(ahead, n, now))
    }

    /// [`available`](Self::available) as of `now`.
    #[inline]
    pub fn available_at(&self, now: Timestamp) -> u64 {
        self.query(move |state| state.available_at(now))
    }

    /// [`debt`](Self::debt) as of `now`.
    pub fn debt_at(&self, now: Timestamp) -> u64 {
        self.query(move |state| {
            let (now, tat) = state.load(now)?;
            Ok(state.gcra.debt(tat, now))
        })
    }

    /// [`wait_time`](Self::wait_time) as of `now`.
    #[inline]
    pub fn wait_time_at(&self, n: u64, now: Timestamp) -> Option<Duration> {
        match self.peek_at(n, now) {
            Ok(()) => Some(Duration::ZERO),
            Err(denied) => denied.retry_after(),
        }
    }

    /// [`debit`](Self::debit) as of `now`.
    #[inline]
    pub fn debit_at(&self, n: u64, now: Timestamp) {
        if n == 0 {
            return;
        }
        self.query(move |BucketState { tat, gcra, .. }| {
            let cost = gcra.cost_clamped(n);
            tat.update(gcra, now.as_nanos(), |now, tat| gcra.debit(tat, now, cost))
        });
    }

    /// [`credit`](Self::credit) as of `now`.
    #[inline]
    pub fn credit_at(&self, n: u64, now: Timestamp) {
        if n == 0 {
            return;
        }
        self.query(move |BucketState { tat, gcra, .. }| {
            let cost = gcra.cost_clamped(n);
            tat.update(gcra, now.as_nanos(), |now, tat| {
                Gcra::credit(tat, now, cost)
            })
        });
        self.wake_head();
    }

    /// [`reset`](Self::reset) as of `now`.
    pub fn reset_at(&self, now: Timestamp) {
        self.query(move |BucketState { tat, gcra, .. }| {
            tat.update(gcra, now.as_nanos(), |now, _| now.grains())
        });
        self.wake_head();
    }

    /// The level at `now`, for a save.
    pub(crate) fn level_at(&self, now: Timestamp) -> Level {
        self.query(move |state| {
            let (now, tat) = state.load(now)?;
            Ok(state.gcra.level(tat, now))
        })
    }

    /// Spends what was missing from a saved level `elapsed` nanoseconds ago.
    pub(crate) fn restore_level_at(&self, level: Level, elapsed: u64, now: Timestamp) {
        self.query(move |BucketState { tat, gcra, .. }| {
            tat.update(gcra, now.as_nanos(), |now, tat| {
                gcra.restored(tat, now, level, elapsed)
            })
        });
    }

    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn wait_queue(&self) -> &WaitQueue {
        &self.core.wait_queue
    }

    /// Lets the first waiter ask again, after tokens have come back.
    #[cfg(any(feature = "std", tidegate_loom))]
    fn wake_head(&self) {
        self.core.wait_queue.wake_head();
    }

    /// Does nothing: there are no waiters without std.
    #[cfg(not(any(feature = "std", tidegate_loom)))]
    #[expect(clippy::unused_self, reason = "the same call as with std")]
    const fn wake_head(&self) {}
}

/// Operations as of now. Each reads the clock once.
impl<C: Clock> TokenBucket<C> {
    /// Returns the same bucket with `tokens` in it instead of full, for example after a restart.
    /// More than the capacity counts as the capacity.
    ///
    /// ```
    /// use tidegate::{ManualClock, Quota, TokenBucket};
    ///
    /// let quota = Quota::per_second(10).burst(50);
    /// let bucket = TokenBucket::with_clock(quota, ManualClock::new()).with_initial(5);
    /// assert_eq!(bucket.available(), 5);
    /// ```
    #[must_use]
    pub fn with_initial(self, tokens: u64) -> Self {
        let now = self.core.clock.now();
        self.with_initial_at(tokens, now)
    }

    /// Takes `n` tokens if they are available. `n = 0` always succeeds and changes nothing.
    ///
    /// # Errors
    ///
    /// [`Denied::NotYet`] with the wait if fewer than `n` are available, and [`Denied::Never`] if
    /// `n` is above the capacity. Nothing is charged then.
    #[expect(
        clippy::inline_always,
        reason = "so that an unused hint is never computed"
    )]
    #[inline(always)]
    pub fn try_acquire(&self, n: u64) -> Result<(), Denied> {
        self.try_acquire_at(n, self.core.clock.now())
    }

    /// Takes up to `n` tokens, as many as are available, and returns how many. Returns 0 and
    /// changes nothing if there are none.
    ///
    /// ```
    /// use tidegate::{ManualClock, Quota, TokenBucket};
    ///
    /// let bucket = TokenBucket::with_clock(Quota::per_second(10), ManualClock::new());
    /// assert_eq!(bucket.try_acquire_up_to(7), 7);
    /// assert_eq!(bucket.try_acquire_up_to(7), 3);
    /// assert_eq!(bucket.try_acquire_up_to(7), 0);
    /// ```
    #[inline]
    #[must_use = "the call may take fewer than `n` tokens"]
    pub fn try_acquire_up_to(&self, n: u64) -> u64 {
        self.try_acquire_up_to_at(n, self.core.clock.now())
    }

    /// Returns `Ok` if a call for `n` tokens would be admitted now. Changes nothing, so another
    /// call may take the tokens first.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[inline]
    pub fn peek(&self, n: u64) -> Result<(), Denied> {
        self.peek_at(n, self.core.clock.now())
    }

    /// Returns the whole tokens that are available now; 0 while in debt.
    #[inline]
    pub fn available(&self) -> u64 {
        self.available_at(self.core.clock.now())
    }

    /// Returns the tokens that were charged by [`debit`](Self::debit) or reserved beyond the level
    /// and have not flowed in yet. Part of a token counts as one.
    ///
    /// ```
    /// use tidegate::{ManualClock, Quota, TokenBucket};
    ///
    /// let bucket = TokenBucket::with_clock(Quota::per_second(10), ManualClock::new());
    /// bucket.debit(15);
    /// assert_eq!((bucket.available(), bucket.debt()), (0, 5));
    /// ```
    pub fn debt(&self) -> u64 {
        self.debt_at(self.core.clock.now())
    }

    /// Returns how long until a call for `n` tokens is admitted if no other call comes in between;
    /// `None` if `n` is above the capacity.
    ///
    /// Exact: after this wait the call succeeds, and one nanosecond earlier it is refused.
    #[inline]
    pub fn wait_time(&self, n: u64) -> Option<Duration> {
        self.wait_time_at(n, self.core.clock.now())
    }

    /// Charges `n` tokens that were already spent, whether or not they are available.
    ///
    /// The level may become negative. Calls are then refused until the debt has flowed in.
    ///
    /// A debt is limited to 36 years of refill divided by `n`, where a token lasts `p/n`
    /// nanoseconds in lowest terms. That is 36 years for 10 per second, 12 years for 3 per second,
    /// 13 days for 10¹² per second, and never less than 2 hours. Where `n` is above 2¹⁷ the limit
    /// is at least 1 year, or at least 13 days above 32 tokens per nanosecond. It is never shorter
    /// than the time in which the capacity flows in. Charges beyond the limit are dropped.
    #[inline]
    pub fn debit(&self, n: u64) {
        self.debit_at(n, self.core.clock.now());
    }

    /// Returns `n` tokens that were charged but not spent, such as the unused part of an estimate.
    /// Never fills the bucket beyond its capacity.
    ///
    /// The bound then reads: at most capacity + rate · (b − a) *+ the credits that landed in
    /// `[a, b]`*. That excess is real, because calls that were refused in between may be admitted
    /// later on top. To take back an unused reservation, [cancel](crate::Reservation::cancel) it.
    ///
    /// Wakes the first waiter, for which this takes a lock if there is one.
    #[inline]
    pub fn credit(&self, n: u64) {
        self.credit_at(n, self.core.clock.now());
    }

    /// Fills the bucket and forgives every debt. Reservations made before keep their times.
    ///
    /// Wakes the first waiter, for which this takes a lock if there is one.
    ///
    /// ```
    /// use tidegate::{ManualClock, Quota, TokenBucket};
    ///
    /// let bucket = TokenBucket::with_clock(Quota::per_hour(5), ManualClock::new());
    /// bucket.debit(100);
    /// bucket.reset();
    /// assert_eq!(bucket.available(), 5);
    /// ```
    pub fn reset(&self) {
        self.reset_at(self.core.clock.now());
    }
}

impl<C> sealed::Sealed for TokenBucket<C> {}

impl<C: Clock> sealed::Internals for TokenBucket<C> {
    #[inline]
    fn try_acquire_leaving_at(
        &self,
        n: u64,
        now: Timestamp,
        left: &Cell<Option<Snapshot>>,
    ) -> Result<(), Denied> {
        self.try_acquire_leaving_at(n, now, left)
    }

    #[cfg(any(feature = "std", tidegate_loom))]
    fn change_to_at(&self, new: &Self, now: Timestamp) -> bool {
        self.set_quota_at(new.quota(), now);
        true
    }

    fn charge_plain_at(&self, tokens: u64, now: Timestamp) {
        self.debit_at(tokens, now);
    }

    fn give_back_at(&self, n: u64, now: Timestamp) {
        self.credit_at(n, now);
    }

    fn take_at(&self, n: u64, now: Timestamp) {
        self.debit_at(n, now);
    }

    fn plain_quota_at(&self, now: Timestamp) -> Option<Quota> {
        self.is_unused_at(now).then_some(self.quota())
    }

    fn reset_alone_at(&self, now: Timestamp) -> bool {
        self.reset_at(now);
        true
    }
}

impl<C: Clock> Limiter for TokenBucket<C> {
    type Clock = C;
    type Charge = BucketCharge;

    fn clock(&self) -> &C {
        &self.core.clock
    }

    fn capacity(&self) -> u64 {
        self.capacity()
    }

    #[inline]
    fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.peek_at(n, now)
    }

    #[inline]
    fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.try_acquire_at(n, now)
    }

    #[inline]
    fn charge_at(&self, n: u64, now: Timestamp) -> Result<BucketCharge, Denied> {
        self.charge_at(n, now)
    }

    #[inline]
    fn undo(&self, charge: BucketCharge) -> u64 {
        self.undo_charge(&charge)
    }

    #[inline]
    fn available_at(&self, now: Timestamp) -> u64 {
        self.available_at(now)
    }

    fn refill_time(&self) -> Duration {
        self.quota().refill_time()
    }

    #[inline]
    fn is_unused_at(&self, now: Timestamp) -> bool {
        self.query(move |state| {
            let (now, tat) = state.load(now)?;
            Ok(Gcra::is_idle(tat, now))
        })
    }
}

impl<C: fmt::Debug> fmt::Debug for TokenBucket<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBucket")
            .field("quota", &self.quota())
            .field("tat", &self.core.state.tat)
            .field("clock", &self.core.clock)
            .finish()
    }
}
