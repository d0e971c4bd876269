//! Tuples of limiters behind one call: all are charged, or none.

mod tuple_denied;
#[cfg(any(feature = "std", tidegate_loom))]
mod waits;

pub use tuple_denied::TupleDenied;
#[cfg(any(feature = "std", tidegate_loom))]
pub use waits::Each;
#[cfg(any(feature = "std", tidegate_loom))]
use waits::WaitTuple;

use core::time::Duration;

use crate::all_or_none::Members;
use crate::all_or_none::tuples::{self, Member};
use crate::clock::Clock;
use crate::limiter::Limiter;
use crate::prepared_charge::headroom_of;
use crate::time::Timestamp;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::wait::{Acquire, Awaitable};

/// Calls of a tuple of up to eight limiters: all are charged, or none.
///
/// Use it for limits that are known only at the call, such as a global limit, the limit of the
/// caller's organization and that of its key. If the limits are always the same, a
/// [`Combined`](crate::Combined) has names, a count of forfeited permits and a wait queue.
///
/// A member is anything that is a [`Limiter`]: a reference or an `Arc`, one key of a table
/// (`table.at(&key)`), a bucket, a window, a `Combined`, an
/// [`ApiRateLimiter`](crate::ApiRateLimiter).
///
/// ```
/// # #[cfg(feature = "std")] {
/// use tidegate::{AllOrNothing, FixedKeyed, ManualClock, Quota, TokenBucket};
///
/// let clock = ManualClock::new();
/// let global = TokenBucket::with_clock(Quota::per_second(1_000), clock.clone());
/// let orgs = FixedKeyed::with_clock(Quota::per_second(100), 1_000, clock.clone());
/// let keys = FixedKeyed::with_clock(Quota::per_second(10), 100_000, clock);
///
/// let limits = (&global, orgs.at("acme"), keys.at("k1"));
/// limits.try_acquire(10).unwrap();
/// let denied = limits.try_acquire(1).unwrap_err();
/// assert_eq!(denied.index(), 2); // the key
/// assert_eq!(global.available(), 990); // the refused call charged nothing
///
/// // Each member can have its own cost. An array of another length does not compile.
/// (&global, orgs.at("acme"), keys.at("k2")).try_acquire_each([1, 50, 1]).unwrap();
/// assert_eq!(orgs.available("acme"), 40);
/// # }
/// ```
///
/// # Guarantees
///
/// * **Bounds.** Each member keeps its own bound, whatever happens to the others.
/// * **All or nothing.** A refused call has charged nothing, for any number of threads. The
///   exception is a call that found room in every member, charged some, lost the race for another,
///   and could not undo a charge because later calls had been decided on top of it. Its refusal
///   says how many permits were lost: [`TupleDenied::forfeited`]. A sharded bucket never returns a
///   charge.
/// * **Honest hints.** A refusal names the member that refuses the longest, by its index. Waiting
///   exactly `retry_after` succeeds if no other call comes in between.
///
/// The steps are those of a [`Combined`](crate::Combined). The member with the least room for such
/// calls is charged first, and the others follow in order.
///
/// # One clock
///
/// All members must read the same clock or clones of it, because the first one's clock is read for
/// all, once per call. The compiler checks that their clocks have one type:
///
/// ```compile_fail
/// use tidegate::{AllOrNothing, ManualClock, Quota, TokenBucket};
///
/// let one = TokenBucket::new(Quota::per_second(1));
/// let other = TokenBucket::with_clock(Quota::per_second(1), ManualClock::new());
/// (&one, &other).try_acquire(1); // two types of clock
/// ```
///
/// Do not put one limiter into a tuple twice. A call is charged to it twice, but looks for the room
/// of one charge. So the hints are too short, and a wait may keep its task busy and never end.
///
/// # Cost and progress
///
/// One clock reading. A call that is admitted takes a query and a charge of each member, and a call
/// that is refused takes at most two queries of each. Lock-free if the members are. Nothing is
/// allocated, except for a charge of a `Combined` or an `ApiRateLimiter`.
///
/// The trait is sealed, as [`Limiter`] is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tuple of limiters",
    note = "it is a tuple of one to eight limiters, or of pointers to limiters, on one type of clock"
)]
pub trait AllOrNothing: sealed::Tuple {
    /// The clock that the members read.
    type Clock: Clock;

    /// A number of permits for each member: `[u64; 3]` for a tuple of three.
    type Permits: Copy + Send + Sync + 'static;

    /// Returns the clock that is read: the first member's.
    fn clock(&self) -> &Self::Clock;

    /// Takes `n` permits from every member or from none. `n = 0` always succeeds and changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`TupleDenied`] if any member refuses.
    #[inline]
    fn try_acquire(&self, n: u64) -> Result<(), TupleDenied> {
        self.try_acquire_at(n, self.clock().now())
    }

    /// [`try_acquire`](Self::try_acquire) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), TupleDenied>;

    /// Takes from each member its own number of permits, or takes none at all. A member whose
    /// number is 0 is skipped.
    ///
    /// # Errors
    ///
    /// [`TupleDenied`] if any member refuses.
    #[inline]
    fn try_acquire_each(&self, permits: Self::Permits) -> Result<(), TupleDenied> {
        self.try_acquire_each_at(permits, self.clock().now())
    }

    /// [`try_acquire_each`](Self::try_acquire_each) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire_each`](Self::try_acquire_each).
    fn try_acquire_each_at(
        &self,
        permits: Self::Permits,
        now: Timestamp,
    ) -> Result<(), TupleDenied>;

    /// Returns `Ok` if `n` permits would be admitted now. Changes nothing, so another call may take
    /// them first.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    fn peek(&self, n: u64) -> Result<(), TupleDenied> {
        self.peek_at(n, self.clock().now())
    }

    /// [`peek`](Self::peek) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), TupleDenied>;

    /// [`peek`](Self::peek) for the permits of [`try_acquire_each`](Self::try_acquire_each).
    ///
    /// # Errors
    ///
    /// As [`try_acquire_each`](Self::try_acquire_each).
    fn peek_each(&self, permits: Self::Permits) -> Result<(), TupleDenied> {
        self.peek_each_at(permits, self.clock().now())
    }

    /// [`peek_each`](Self::peek_each) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`try_acquire_each`](Self::try_acquire_each).
    fn peek_each_at(&self, permits: Self::Permits, now: Timestamp) -> Result<(), TupleDenied>;

    /// Returns how many permits every member would admit now.
    fn available(&self) -> u64 {
        self.available_at(self.clock().now())
    }

    /// [`available`](Self::available) as of `now`.
    fn available_at(&self, now: Timestamp) -> u64;

    /// Returns how long until a call for `n` permits is admitted if no other call comes in between;
    /// `None` if `n` is above a member's capacity.
    fn wait_time(&self, n: u64) -> Option<Duration> {
        self.wait_time_at(n, self.clock().now())
    }

    /// [`wait_time`](Self::wait_time) as of `now`.
    fn wait_time_at(&self, n: u64, now: Timestamp) -> Option<Duration> {
        match self.peek_at(n, now) {
            Ok(()) => Some(Duration::ZERO),
            Err(denied) => denied.retry_after(),
        }
    }

    /// Waits for `n` permits of every member: await the result, or let the thread
    /// [`wait`](Acquire::wait). Nothing is charged before all members are.
    ///
    /// The wait borrows the tuple. [`Acquire::new`] makes one that owns it, which is `'static` if
    /// the members are, such as `Arc`s and [owned keys](crate::KeyView::owned). Calls can wait at
    /// members of all types but [`ApiRateLimiter`](crate::ApiRateLimiter).
    ///
    /// # Order
    ///
    /// A tuple has no wait queue of its own. A call waits in the queue of the member that refuses
    /// it the longest, with those that wait there already counted. There it is served in order of
    /// arrival, like every call that waits at that member, alone or in a tuple. As the head of that
    /// queue it asks all members. If another member refuses longer by then, the call leaves, and
    /// joins the end of that member's queue.
    ///
    /// * A call is in one queue at a time, so calls in opposite orders cannot block each other, and
    ///   a call never delays those that wait for a member which it does not lack. What wakes the
    ///   head of that queue (a reset, a credit, an undo) wakes the call.
    /// * Where one member is short, such as a global limit under load, the order is fair.
    /// * A head asks all members, and may overtake calls that wait at the others, as `try_acquire`
    ///   may. So a call whose members are *each* exhausted all the time by calls that wait there
    ///   alone can be overtaken again and again, because it keeps no place at a member that it does
    ///   not lack. It would have to keep permits of one from those behind it while it waits for
    ///   another. A `timeout` bounds its wait. If such calls need an order among themselves, let
    ///   them wait at a [`Combined`](crate::Combined).
    ///
    /// Each member is decided as of the instant that fits it: a bucket as of the instant at which
    /// the call was due, a window as of now. If a charge could not be undone, the permits are lost
    /// and not reported.
    ///
    /// # Errors
    ///
    /// As [`Acquire::wait`]. A timeout that cannot be met, with those ahead, is refused before
    /// sleeping. A call that is refused can ask [`peek`](Self::peek) which member is the cause.
    ///
    /// # Cancel safety
    ///
    /// See [`Acquire`].
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{AllOrNothing, ManualClock, Quota, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let global = TokenBucket::with_clock(Quota::per_second(100), clock.clone());
    /// let user = TokenBucket::with_clock(Quota::per_second(5).burst(1), clock.clone());
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     for _ in 0..3 {
    ///         // In a program with the feature `tokio`: `(&global, &user).acquire(1).await?`.
    ///         (&global, &user).acquire(1).timer(timer).await?;
    ///     }
    ///     Ok::<(), tidegate::Denied>(())
    /// })?;
    /// assert_eq!(tidegate::Clock::now(&clock).as_nanos(), 400_000_000);
    /// # Ok::<(), tidegate::Denied>(())
    /// ```
    #[cfg(any(feature = "std", tidegate_loom))]
    fn acquire(&self, n: u64) -> Acquire<&Self>
    where
        Self: Awaitable,
    {
        Acquire::new(self, n)
    }

    /// Waits as [`acquire`](Self::acquire) does, for the permits of
    /// [`try_acquire_each`](Self::try_acquire_each).
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{AllOrNothing, Denied, ManualClock, Quota, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let requests = TokenBucket::with_clock(Quota::per_second(10), clock.clone());
    /// let tokens = TokenBucket::with_clock(Quota::per_second(1_000), clock);
    /// let limits = (&requests, &tokens);
    /// limits.acquire_each([1, 800]).wait()?; // at once
    /// let refused = limits.acquire_each([1, 500]).timeout(Duration::from_millis(299)).wait();
    /// assert_eq!(refused, Err(Denied::NotYet { retry_after: Duration::from_millis(300).into() }));
    /// # Ok::<(), Denied>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Acquire::wait`].
    #[cfg(any(feature = "std", tidegate_loom))]
    fn acquire_each(&self, permits: Self::Permits) -> Acquire<Each<'_, Self>>
    where
        Self: WaitTuple<Costs = Self::Permits> + Sized,
    {
        Acquire::new(Each::new(self, permits), 1)
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals `AllOrNothing`")]
    pub trait Tuple {}
}

/// A member of a tuple, and the permits that a call asks it for.
struct Asked<'a, L> {
    limiter: &'a L,
    index: usize,
    n: u64,
    now: Timestamp,
}

impl<L> Clone for Asked<'_, L> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Asked<'_, L> {}

impl<L> Asked<'_, L> {
    const fn refused(self, denied: crate::denied::Denied) -> TupleDenied {
        TupleDenied {
            index: self.index,
            denied,
            forfeited: 0,
        }
    }
}

impl<L: Limiter> Member for Asked<'_, L> {
    type Charge = L::Charge;
    type Refusal = TupleDenied;

    #[inline]
    fn is_charged(self) -> bool {
        self.n > 0
    }

    #[inline]
    fn headroom(self) -> Option<u64> {
        headroom_of(self.limiter.available_at(self.now), self.n)
    }

    fn refusal(self) -> Option<TupleDenied> {
        let peeked = self.limiter.peek_at(self.n, self.now);
        peeked.err().map(|denied| self.refused(denied))
    }

    #[inline]
    fn record_peeked_refusal(self) {
        self.limiter.record_peeked_refusal_at(self.n, self.now);
    }

    #[inline]
    fn charge(self) -> Result<L::Charge, TupleDenied> {
        let charged = self.limiter.charge_at(self.n, self.now);
        charged.map_err(|denied| self.refused(denied))
    }

    fn undo(self, charge: L::Charge) -> u64 {
        self.n.saturating_sub(self.limiter.undo(charge))
    }
}

macro_rules! tuples_of_limiters {
    ($($arity:literal: ($($member:ident $index:tt),+))+) => {$(
        impl<$($member: Limiter),+> sealed::Tuple for ($($member,)+) {}

        impl<Time: Clock, $($member: Limiter<Clock = Time>),+> AllOrNothing for ($($member,)+) {
            type Clock = Time;
            type Permits = [u64; $arity];

            #[inline]
            fn clock(&self) -> &Time {
                self.0.clock()
            }

            #[inline]
            fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), TupleDenied> {
                self.try_acquire_each_at([n; $arity], now)
            }

            #[inline]
            fn try_acquire_each_at(
                &self,
                permits: [u64; $arity],
                now: Timestamp,
            ) -> Result<(), TupleDenied> {
                let asked = ($(Asked {
                    limiter: &self.$index,
                    index: $index,
                    n: permits[$index],
                    now,
                },)+);
                tuples::charge(asked).map(drop)
            }

            fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), TupleDenied> {
                self.peek_each_at([n; $arity], now)
            }

            fn peek_each_at(
                &self,
                permits: [u64; $arity],
                now: Timestamp,
            ) -> Result<(), TupleDenied> {
                let asked = ($(Asked {
                    limiter: &self.$index,
                    index: $index,
                    n: permits[$index],
                    now,
                },)+);
                asked.longest(None).map_or(Ok(()), Err)
            }

            fn available_at(&self, now: Timestamp) -> u64 {
                u64::MAX$(.min(self.$index.available_at(now)))+
            }
        }
    )+};
}
tuples_of_limiters! {
    1: (A 0)
    2: (A 0, B 1)
    3: (A 0, B 1, C 2)
    4: (A 0, B 1, C 2, D 3)
    5: (A 0, B 1, C 2, D 3, E 4)
    6: (A 0, B 1, C 2, D 3, E 4, F 5)
    7: (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    8: (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}
