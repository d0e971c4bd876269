//! The trait that combinations, tables of keys, waits and layers build on.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cell::Cell;
use core::time::Duration;

use crate::clock::Clock;
use crate::denied::Denied;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// A limiter admits or refuses a number of permits at an instant.
///
/// Each limiter has inherent methods for direct use. This trait is for code that is generic over
/// limiters. Its operations take the instant, so that one clock reading can serve several limits;
/// only [`now`](Self::now) reads the clock. A charge can be undone, so that several limits can be
/// charged all or none.
///
/// The trait is sealed. Combinations rely on more than types can express: a refusal writes nothing,
/// and an undo is exact or nothing. The trait will also grow.
///
/// To charge several limits, [peek](Self::peek_at) at all of them first, so that the common refusal
/// charges nothing. Between a charge and its undo, other calls may be refused because of it.
///
/// ```
/// use tidegate::{Limiter, ManualClock, Quota, SlidingWindow, TokenBucket};
///
/// /// Charges both or neither, at one clock reading.
/// fn both<A: Limiter, B: Limiter>(a: &A, b: &B, n: u64) -> bool {
///     let now = a.now();
///     if a.peek_at(n, now).is_err() || b.peek_at(n, now).is_err() {
///         return false;
///     }
///     let Ok(charge) = a.charge_at(n, now) else { return false };
///     if b.charge_at(n, now).is_ok() {
///         return true;
///     }
///     a.undo(charge);
///     false
/// }
///
/// let clock = ManualClock::new();
/// let bucket = TokenBucket::with_clock(Quota::per_second(10), clock.clone());
/// let window = SlidingWindow::with_clock(3, core::time::Duration::from_secs(1), clock)?;
/// assert!(both(&bucket, &window, 2));
/// assert!(!both(&bucket, &window, 2));
/// assert_eq!((bucket.available(), window.available()), (8, 1));
/// # Ok::<(), tidegate::WindowError>(())
/// ```
pub trait Limiter: sealed::Internals {
    /// The clock that the limiter reads.
    type Clock: Clock;

    /// Identifies a charge, for [`undo`](Self::undo).
    type Charge: Send;

    /// Returns the clock that the limiter reads.
    fn clock(&self) -> &Self::Clock;

    /// Returns the most permits that one call can ever be admitted for.
    fn capacity(&self) -> u64;

    /// Returns `Ok` if `n` permits would be admitted at `now`. Changes nothing.
    ///
    /// # Errors
    ///
    /// The [`Denied`] that [`try_acquire_at`](Self::try_acquire_at) would return.
    fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied>;

    /// Admits `n` permits at `now`, or refuses and changes nothing.
    ///
    /// # Errors
    ///
    /// [`Denied::NotYet`] if too few permits are available, and [`Denied::Never`] if `n` is above
    /// the [capacity](Self::capacity).
    fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.charge_at(n, now).map(drop)
    }

    /// Like [`try_acquire_at`](Self::try_acquire_at), but returns the charge for
    /// [`undo`](Self::undo).
    ///
    /// # Errors
    ///
    /// As [`try_acquire_at`](Self::try_acquire_at).
    fn charge_at(&self, n: u64, now: Timestamp) -> Result<Self::Charge, Denied>;

    /// Reverses an unused charge of this limiter, and returns how many permits came back.
    ///
    /// All of them come back if that leaves the limiter as if the charge had never been made, and
    /// none otherwise. A bucket forfeits a charge once a later call was decided on top of it. A
    /// window forfeits it once a call was decided in a later slot.
    ///
    /// If another call rotates a window at that moment, permits that came back may still count
    /// until they age out. Then too few calls are admitted, never too many. A charge of another
    /// limiter may return permits that this one never gave.
    ///
    /// What came back wakes the first waiter, for which this takes a lock if there is one.
    fn undo(&self, charge: Self::Charge) -> u64;

    /// Turns a charge of `charged` permits into one of `used`, as far as possible, for layers that
    /// charge by the response. There is no charge if nothing was charged.
    #[doc(hidden)]
    fn settle_at(&self, charge: Option<Self::Charge>, charged: u64, used: u64, now: Timestamp) {
        let returned = match charge {
            // Exact, if nothing was decided on top of it.
            Some(charge) if used == 0 => self.undo(charge),
            _ => 0,
        };
        if used >= charged {
            self.take_at(used - charged, now);
        } else {
            self.give_back_at((charged - used).saturating_sub(returned), now);
        }
    }

    /// Returns how many permits are available at `now`.
    fn available_at(&self, now: Timestamp) -> u64;

    /// Returns how long after `now` a call for `n` permits is admitted if no other call comes in
    /// between; `None` if `n` is above the [capacity](Self::capacity).
    fn wait_time_at(&self, n: u64, now: Timestamp) -> Option<Duration> {
        match self.peek_at(n, now) {
            Ok(()) => Some(Duration::ZERO),
            Err(denied) => denied.retry_after(),
        }
    }

    /// Returns the time after which the whole [capacity](Self::capacity) is available again once
    /// all of it was used, rounded up to a nanosecond.
    ///
    /// That is the length of a window, the time in which an empty bucket fills up, or the longest
    /// of a combination.
    fn refill_time(&self) -> Duration;

    /// Returns what the limiter allows and has left at `now`, for header fields and dashboards. A
    /// combination reports the limit that has the least left.
    ///
    /// The fields are read one after the other, so a concurrent call may change some of them.
    fn snapshot_at(&self, now: Timestamp) -> Snapshot {
        let (capacity, available) = (self.capacity(), self.available_at(now));
        let wait = |n| self.wait_time_at(n, now);
        Snapshot::new(capacity, self.refill_time()).with_available(available, wait)
    }

    /// Returns whether the limiter at `now` is indistinguishable from a new one: a full bucket, an
    /// empty window. Such a limiter can be dropped and recreated without granting a single extra
    /// permit.
    fn is_unused_at(&self, now: Timestamp) -> bool;

    /// Reads the limiter's clock once.
    #[inline]
    fn now(&self) -> Timestamp {
        self.clock().now()
    }
}

/// Whether two pointers are the only ones to what they point to, so that a change to one reaches no
/// other owner.
#[cfg(any(feature = "std", tidegate_loom))]
pub(crate) fn are_sole<T: ?Sized>(one: &Arc<T>, other: &Arc<T>) -> bool {
    let is_sole = |arc| Arc::strong_count(arc) == 1 && Arc::weak_count(arc) == 0;
    is_sole(one) && is_sole(other)
}

macro_rules! forward_limiter {
    ($($pointer:ty: |$old:ident, $new:ident, $now:ident| $change:expr;)*) => {$(
        impl<L: Limiter + ?Sized> sealed::Sealed for $pointer {}

        impl<L: Limiter + ?Sized> sealed::Internals for $pointer {
            fn snapshot_for_at(&self, n: u64, now: Timestamp) -> Snapshot {
                (**self).snapshot_for_at(n, now)
            }

            #[inline]
            fn try_acquire_leaving_at(
                &self,
                n: u64,
                now: Timestamp,
                left: &Cell<Option<Snapshot>>,
            ) -> Result<(), Denied> {
                (**self).try_acquire_leaving_at(n, now, left)
            }

            fn has_several_limits(&self) -> bool {
                (**self).has_several_limits()
            }

            fn each_snapshot_at(&self, now: Timestamp, each: &mut dyn FnMut(Snapshot)) {
                (**self).each_snapshot_at(now, each);
            }

            fn give_back_at(&self, n: u64, now: Timestamp) {
                (**self).give_back_at(n, now);
            }

            fn take_at(&self, n: u64, now: Timestamp) {
                (**self).take_at(n, now);
            }

            #[cfg(any(feature = "std", tidegate_loom))]
            fn change_to_at(&self, $new: &Self, $now: Timestamp) -> bool {
                let $old = self;
                $change
            }

            #[inline]
            fn record_peeked_refusal_at(&self, n: u64, now: Timestamp) {
                (**self).record_peeked_refusal_at(n, now);
            }
        }

        impl<L: Limiter + ?Sized> Limiter for $pointer {
            type Clock = L::Clock;
            type Charge = L::Charge;

            fn clock(&self) -> &Self::Clock {
                (**self).clock()
            }

            fn capacity(&self) -> u64 {
                (**self).capacity()
            }

            #[inline]
            fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
                (**self).peek_at(n, now)
            }

            #[inline]
            fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
                (**self).try_acquire_at(n, now)
            }

            #[inline]
            fn charge_at(&self, n: u64, now: Timestamp) -> Result<Self::Charge, Denied> {
                (**self).charge_at(n, now)
            }

            #[inline]
            fn undo(&self, charge: Self::Charge) -> u64 {
                (**self).undo(charge)
            }

            fn settle_at(
                &self,
                charge: Option<Self::Charge>,
                charged: u64,
                used: u64,
                now: Timestamp,
            ) {
                (**self).settle_at(charge, charged, used, now);
            }

            #[inline]
            fn available_at(&self, now: Timestamp) -> u64 {
                (**self).available_at(now)
            }

            #[inline]
            fn wait_time_at(&self, n: u64, now: Timestamp) -> Option<Duration> {
                (**self).wait_time_at(n, now)
            }

            fn refill_time(&self) -> Duration {
                (**self).refill_time()
            }

            fn snapshot_at(&self, now: Timestamp) -> Snapshot {
                (**self).snapshot_at(now)
            }

            #[inline]
            fn is_unused_at(&self, now: Timestamp) -> bool {
                (**self).is_unused_at(now)
            }

        }
    )*};
}
// What other keys or other code share is not changed: their limiters are not what changes. The
// pointer is replaced instead.
forward_limiter! {
    &L: |old, new, _now| core::ptr::eq(*old, *new);
    Box<L>: |old, new, now| (**old).change_to_at(&**new, now);
    Arc<L>: |old, new, now| {
        Arc::ptr_eq(old, new) || (are_sole(old, new) && (**old).change_to_at(&**new, now))
    };
}

pub(crate) mod sealed {
    use core::cell::Cell;

    use super::Limiter;
    use crate::denied::Denied;
    use crate::quota::Quota;
    use crate::snapshot::Snapshot;
    use crate::time::Timestamp;

    /// Only this crate's types are limiters.
    #[expect(unnameable_types, reason = "an unnameable trait seals `Limiter`")]
    pub trait Sealed {}

    /// What the crate's own code needs of a limiter besides [`Limiter`].
    #[expect(unnameable_types, reason = "an unnameable trait seals `Limiter`")]
    pub trait Internals: Sealed {
        /// The snapshot for a caller that was refused `n` permits at `now`. A combination reports
        /// the limit that refuses the longest.
        fn snapshot_for_at(&self, _n: u64, now: Timestamp) -> Snapshot
        where
            Self: Limiter,
        {
            self.snapshot_at(now)
        }

        /// [`Limiter::try_acquire_at`] that writes the snapshot of what the charge has left, if the
        /// limiter knows it without another look, and has no more than one limit. If it writes
        /// none, [`each_snapshot_at`](Self::each_snapshot_at) shows it.
        ///
        /// Not returned, because the copies of a large result cost more than the charge.
        #[inline]
        fn try_acquire_leaving_at(
            &self,
            n: u64,
            now: Timestamp,
            _left: &Cell<Option<Snapshot>>,
        ) -> Result<(), Denied>
        where
            Self: Limiter,
        {
            self.try_acquire_at(n, now)
        }

        /// Whether [`each_snapshot_at`](Self::each_snapshot_at) shows several.
        fn has_several_limits(&self) -> bool {
            false
        }

        /// Shows the snapshot of each limit on its own, always in the same order. A combination has
        /// several.
        fn each_snapshot_at(&self, now: Timestamp, each: &mut dyn FnMut(Snapshot))
        where
            Self: Limiter,
        {
            each(self.snapshot_at(now));
        }

        /// Takes the numbers of another limiter, keeping its own level, and returns whether it can.
        /// It cannot where others share a part of either.
        #[cfg(any(feature = "std", tidegate_loom))]
        fn change_to_at(&self, _new: &Self, _now: Timestamp) -> bool
        where
            Self: Limiter,
        {
            false
        }

        /// Charges tokens of a plain [`TokenBucket`](crate::TokenBucket) whether or not they are
        /// available.
        fn charge_plain_at(&self, _tokens: u64, _now: Timestamp)
        where
            Self: Limiter,
        {
        }

        /// Gives back permits that were charged and not used, if the limiter can. A bucket can.
        fn give_back_at(&self, _n: u64, _now: Timestamp)
        where
            Self: Limiter,
        {
        }

        /// Takes permits for what was done already: all of them from a bucket, which may go into
        /// debt, and from another limiter as many as there are.
        fn take_at(&self, n: u64, now: Timestamp)
        where
            Self: Limiter,
        {
            let n = n.min(self.available_at(now));
            if n > 0 {
                // Another call may be faster, and then nothing is there to take.
                let _ = self.try_acquire_at(n, now);
            }
        }

        /// Tells that a call was refused because of peeks at several limiters. One that counts its
        /// refusals looks whether its own was among them.
        #[inline]
        fn record_peeked_refusal_at(&self, _n: u64, _now: Timestamp)
        where
            Self: Limiter,
        {
        }

        /// The quota, if the limiter at `now` is a full [`TokenBucket`](crate::TokenBucket) and
        /// not a pointer to one. A table then keeps a single word instead of the bucket.
        fn plain_quota_at(&self, _now: Timestamp) -> Option<Quota>
        where
            Self: Limiter,
        {
            None
        }

        /// Forgives what was spent, and returns `true`, if the limiter can do that and is a part of
        /// nothing else. A table removes the key of any other limiter.
        fn reset_alone_at(&self, _now: Timestamp) -> bool {
            false
        }
    }
}
