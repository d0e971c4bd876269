//! The token bucket: the public face of [`AtomicTat`].

mod charging;

pub use charging::BucketCharge;
pub(crate) use charging::ReservedCharge;

use core::fmt;
use core::time::Duration;

use crossbeam_utils::CachePadded;
#[cfg(feature = "std")]
use event_listener::Event;

use crate::clock::{Clock, DefaultClock};
use crate::denied::Denied;
use crate::gcra::AtomicTat;
use crate::gcra::{Gcra, Now, ReservedTat, Shortfall};
use crate::limiter::{Limiter, sealed};
use crate::quota::Quota;
use crate::sync::const_fn;
#[cfg(feature = "std")]
use crate::sync::{Ordering::Acquire, fence};
use crate::time::Timestamp;

/// A token bucket: tokens flow in at the quota's rate, up to its capacity, and every call takes some.
///
/// It allows bursts of up to the capacity and keeps to the rate in the long run. Where no window of a given length may
/// ever hold more than a limit, use a [`SlidingWindow`](crate::SlidingWindow): over one period a bucket admits up to a
/// capacity *and* a period's refill.
///
/// # Guarantees
///
/// For any number of threads, and with a decision time between the start and the return of each call:
///
/// * Over any interval `[a, b]` of decision times, at most capacity + rate · (b − a) are admitted, plus what
///   [`credit`](Self::credit) gave back and [`reset`](Self::reset) forgave in it.
/// * A refusal of `n` means that fewer than `n` were there 2 ns before, with capacities up to 9 years of refill (170 ns up to
///   the limit of 1 000 years).
/// * The rate is exact: not rounded at all if a token lasts `p/n` nanoseconds with `n` at most 2¹⁷ and the capacity is at
///   most 36 years of refill divided by `n`, as for 3, 7, 100 001 and 10¹² per second and any whole number of nanoseconds; else
///   a token is never early, at most 2 ns late (capacities up to 9 years of refill), and lateness does not add up while the
///   bucket is in use. One that runs full after every call (a burst of 1) starts anew each time.
/// * A hint is honest: waiting exactly that long succeeds if nobody else comes, one nanosecond less does not.
/// * A clock that steps back admits nothing more. No input panics or wraps, for the 584 years of a [`Timestamp`].
///
/// # Progress and ordering
///
/// Every operation but a wait is lock-free and reads the clock once; the `_at` twins read none. It takes constant time if no other
/// succeeds meanwhile. Refusals, and everything that only asks, write nothing to shared memory, so refused callers do not slow
/// each other down. (The first call in years does some housekeeping, at awkward rates the first in hours: some ten nanoseconds
/// for each of these periods that has passed, 40 ms for 584 years at the worst rate.) Operations synchronise nothing else: do not
/// use a limiter to hand data from thread to thread.
///
/// # Size
///
/// One atomic word of state (and a second that changes once in years), 128 bytes with padding and a small clock, no
/// allocation. `new` is `const`, so a bucket can live in a `static`.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Denied, ManualClock, Quota, TokenBucket};
///
/// let clock = ManualClock::new();
/// let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(3), clock.clone());
///
/// assert!(bucket.try_acquire(3).is_ok());
/// let retry_after = Duration::from_millis(100);
/// assert_eq!(bucket.try_acquire(1), Err(Denied::NotYet { retry_after }));
///
/// clock.advance(retry_after);
/// assert!(bucket.try_acquire(1).is_ok());
/// assert_eq!(bucket.try_acquire(4), Err(Denied::Never { capacity: 3 }));
/// ```
pub struct TokenBucket<C = DefaultClock> {
    core: CachePadded<Core<C>>,
}

/// On cache lines of its own: whoever decides needs the word and what it is judged by.
struct Core<C> {
    tat: AtomicTat,
    gcra: Gcra,
    quota: Quota,
    clock: C,
    /// Tells those who are asleep that their places are gone.
    #[cfg(feature = "std")]
    resets: Event,
}

#[cfg(feature = "std")]
impl TokenBucket {
    const_fn! {
        /// A full bucket on the [`DefaultClock`].
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
        /// A full bucket on a clock of your choice.
        pub const fn with_clock(quota: Quota, clock: C) -> Self {
            let gcra = Gcra::new(quota);
            let core = Core {
                tat: AtomicTat::full(),
                gcra,
                quota,
                clock,
                #[cfg(feature = "std")]
                resets: Event::new(),
            };
            Self { core: CachePadded::new(core) }
        }
    }

    /// The quota that the bucket was made with.
    pub fn quota(&self) -> Quota {
        self.core.quota
    }

    /// The clock that the bucket reads.
    pub fn clock(&self) -> &C {
        &self.core.clock
    }

    /// The most tokens that the bucket holds, and so the most that one call can take.
    pub fn capacity(&self) -> u64 {
        self.core.quota.capacity()
    }
}

/// Operations at an instant that the caller has read. They read no clock.
///
/// An instant older than that of an earlier charge is allowed: it is judged as of that instant, but neither gives tokens back nor
/// moves the bucket's time. (Where the bucket's own time is further ahead than it can tell, 73 minutes at the least, it is judged
/// as of that time: the clock stands still.)
impl<C> TokenBucket<C> {
    /// [`with_initial`](Self::with_initial) as of `now`.
    #[must_use]
    pub fn with_initial_at(self, tokens: u64, now: Timestamp) -> Self {
        let gcra = &self.core.gcra;
        self.core
            .tat
            .update(gcra, now.as_nanos(), |now, _| gcra.holding(tokens, now));
        self
    }

    /// [`try_acquire`](Self::try_acquire) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[expect(
        clippy::inline_always,
        reason = "so that a hint which nobody reads is never computed"
    )]
    #[inline(always)]
    pub fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        let cost = self.cost(n)?;
        let Core { tat, gcra, .. } = &*self.core;
        tat.decide(gcra, now.as_nanos(), move |now, tat| {
            match gcra.admit(tat, now, cost) {
                Ok(next) => Ok((next, ())),
                Err(shortfall) => Err((now, shortfall)),
            }
        })
        .map_err(|(now, shortfall)| self.not_yet(now, shortfall))
    }

    /// [`try_acquire_up_to`](Self::try_acquire_up_to) as of `now`.
    #[inline]
    #[must_use = "it may have taken fewer"]
    pub fn try_acquire_up_to_at(&self, n: u64, now: Timestamp) -> u64 {
        if n == 0 {
            return 0;
        }
        let Core { tat, gcra, .. } = &*self.core;
        let admitted = tat.decide(gcra, now.as_nanos(), |now, tat| {
            let n = gcra.available(tat, now).min(n);
            let ReservedTat { next, .. } = gcra.reserve(tat, now, gcra.cost(n));
            if n == 0 { Err(()) } else { Ok((next, n)) }
        });
        admitted.unwrap_or(0)
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
        let cost = self.cost(n)?;
        let (now, tat) = self.load(now);
        match self.core.gcra.admit(tat, now, cost) {
            Ok(_) => Ok(()),
            Err(shortfall) => Err(self.not_yet(now, shortfall)),
        }
    }

    /// [`available`](Self::available) as of `now`.
    #[inline]
    pub fn available_at(&self, now: Timestamp) -> u64 {
        let (now, tat) = self.load(now);
        self.core.gcra.available(tat, now)
    }

    /// [`debt`](Self::debt) as of `now`.
    pub fn debt_at(&self, now: Timestamp) -> u64 {
        let (now, tat) = self.load(now);
        self.core.gcra.debt(tat, now)
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
    pub fn debit_at(&self, n: u64, now: Timestamp) {
        if n == 0 {
            return;
        }
        let Core { tat, gcra, .. } = &*self.core;
        let cost = gcra.cost_clamped(n);
        tat.update(gcra, now.as_nanos(), |now, tat| gcra.debit(tat, now, cost));
    }

    /// [`credit`](Self::credit) as of `now`.
    pub fn credit_at(&self, n: u64, now: Timestamp) {
        if n == 0 {
            return;
        }
        let Core { tat, gcra, .. } = &*self.core;
        let cost = gcra.cost_clamped(n);
        tat.update(gcra, now.as_nanos(), |now, tat| {
            Gcra::credit(tat, now, cost)
        });
    }

    /// [`reset`](Self::reset) as of `now`.
    pub fn reset_at(&self, now: Timestamp) {
        let Core { tat, gcra, .. } = &*self.core;
        tat.update(gcra, now.as_nanos(), |now, _| now.grains());
        #[cfg(feature = "std")]
        self.wake_all();
    }

    /// Wakes those whose places a reset has taken away.
    #[cfg(feature = "std")]
    fn wake_all(&self) {
        // Acquire: meets the Release of the exchange that took a place, which comes after its listener was there. All who write the
        // word exchange it, so whoever reserved before the reset is before its exchange in that order, and is seen here. Without it a
        // place could be taken away and its owner sleep on. Nobody has to be seen who reserves later.
        fence(Acquire);
        // Nothing is allocated, nor locked, for a bucket at which nobody has ever waited.
        if self.core.resets.total_listeners() > 0 {
            self.core.resets.notify(usize::MAX);
        }
    }

    #[cfg(feature = "std")]
    pub(crate) fn resets(&self) -> &Event {
        &self.core.resets
    }

    #[inline]
    fn load(&self, now: Timestamp) -> (Now, u64) {
        self.core.tat.load_current(&self.core.gcra, now.as_nanos())
    }

    /// The cost of `n` tokens in grains.
    #[inline]
    fn cost(&self, n: u64) -> Result<u64, Denied> {
        let gcra = &self.core.gcra;
        if n > gcra.capacity() {
            return Err(Denied::Never {
                capacity: gcra.capacity(),
            });
        }
        Ok(gcra.cost(n))
    }

    #[inline]
    fn not_yet(&self, now: Now, shortfall: Shortfall) -> Denied {
        Denied::NotYet {
            retry_after: self.core.gcra.wait(now, shortfall),
        }
    }
}

/// Operations as of now. Each reads the clock once.
impl<C: Clock> TokenBucket<C> {
    /// The same bucket with `tokens` in it instead of full, for example after a restart. More than the capacity is the
    /// capacity.
    ///
    /// ```
    /// use tidegate::{ManualClock, Quota, TokenBucket};
    ///
    /// let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(50), ManualClock::new()).with_initial(5);
    /// assert_eq!(bucket.available(), 5);
    /// ```
    #[must_use]
    pub fn with_initial(self, tokens: u64) -> Self {
        let now = self.core.clock.now();
        self.with_initial_at(tokens, now)
    }

    /// Takes `n` tokens if they are there. `n = 0` always succeeds and changes nothing.
    ///
    /// # Errors
    ///
    /// [`Denied::NotYet`] with the wait if fewer than `n` are there, [`Denied::Never`] if `n` is above the capacity.
    /// Nothing is charged then.
    #[expect(
        clippy::inline_always,
        reason = "so that a hint which nobody reads is never computed"
    )]
    #[inline(always)]
    pub fn try_acquire(&self, n: u64) -> Result<(), Denied> {
        self.try_acquire_at(n, self.core.clock.now())
    }

    /// Takes as many tokens as there are, up to `n`, and returns how many; 0 changes nothing.
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
    #[must_use = "it may have taken fewer"]
    pub fn try_acquire_up_to(&self, n: u64) -> u64 {
        self.try_acquire_up_to_at(n, self.core.clock.now())
    }

    /// Whether `n` tokens would be given now. Changes nothing; by the time you ask again, others may have taken them.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[inline]
    pub fn peek(&self, n: u64) -> Result<(), Denied> {
        self.peek_at(n, self.core.clock.now())
    }

    /// Whole tokens that are there now; 0 while in debt.
    #[inline]
    pub fn available(&self) -> u64 {
        self.available_at(self.core.clock.now())
    }

    /// Tokens that are owed: charged by [`debit`](Self::debit) or reserved beyond what was there, and not yet flowed in again.
    /// A part of a token counts as one.
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

    /// How long until `n` tokens would be given if nobody else came; `None` if `n` is above the capacity.
    ///
    /// Exact: after this long the call succeeds, one nanosecond earlier it would be refused.
    #[inline]
    pub fn wait_time(&self, n: u64) -> Option<Duration> {
        self.wait_time_at(n, self.core.clock.now())
    }

    /// Charges `n` tokens that were spent already, whether or not they are there.
    ///
    /// The level may become negative, and then everybody waits until the debt has flowed in again. The debt ends at 36
    /// years of refill divided by `n`, where a token lasts `p/n` nanoseconds in lowest terms: 36 years for 10 per second, 12 for 3
    /// per second, 13 days for 10¹² per second, 2 hours at the least (and at 1 year where `n` is above 2¹⁷). What is
    /// charged beyond is dropped.
    pub fn debit(&self, n: u64) {
        self.debit_at(n, self.core.clock.now());
    }

    /// Gives `n` tokens back that were charged and not spent, such as the rest of an estimate. Never fills the bucket
    /// beyond its capacity.
    ///
    /// The bound then reads: at most capacity + rate · (b − a) *+ the credits that landed in `[a, b]`*. That excess is
    /// real: who had been refused in between may be admitted on top. To take back a reservation
    /// that was not used at all, [`cancel`](crate::Reservation::cancel) it instead.
    pub fn credit(&self, n: u64) {
        self.credit_at(n, self.core.clock.now());
    }

    /// Fills the bucket up and forgives every debt. Reservations made before keep their times; futures that are asleep wake up and
    /// take new places ([`acquire_with`](Self::acquire_with)), for which it takes a lock if any has ever waited.
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

impl<C: Clock> Limiter for TokenBucket<C> {
    type Clock = C;
    type Charge = BucketCharge;

    fn clock(&self) -> &C {
        &self.core.clock
    }

    fn capacity(&self) -> u64 {
        self.core.quota.capacity()
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
        self.core.quota.refill_time()
    }

    #[inline]
    fn is_unused_at(&self, now: Timestamp) -> bool {
        let (now, tat) = self.load(now);
        Gcra::is_idle(tat, now)
    }

    fn plain_quota_at(&self, now: Timestamp) -> Option<Quota> {
        self.is_unused_at(now).then_some(self.core.quota)
    }
}

impl<C: fmt::Debug> fmt::Debug for TokenBucket<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBucket")
            .field("quota", &self.core.quota)
            .field("tat", &self.core.tat)
            .field("clock", &self.core.clock)
            .finish()
    }
}
