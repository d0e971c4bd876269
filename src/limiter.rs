//! The trait that everything which combines, keys, waits on or serves limiters builds on.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use crate::clock::Clock;
use crate::denied::Denied;
use crate::quota::Quota;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// A limiter: something that admits or refuses a number of permits at an instant.
///
/// The inherent methods of each limiter are the way to use it; this trait is for code that is generic over limiters.
/// Its operations take the instant, so that one clock reading can serve several limits
/// ([`now`](Self::now) reads the clock, nothing else does), and a charge can be taken back, so that several limits can be
/// charged all or none.
///
/// Sealed, because combinations rely on more than types can say (a refusal writes nothing, an undo is exact or nothing),
/// and because it will grow.
///
/// To charge several limits, look at all of them first ([`peek_at`](Self::peek_at)), so that the common refusal charges
/// nothing and takes nobody's place: between a charge and its undo, others may be refused because of it.
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
pub trait Limiter: sealed::Sealed {
    /// The clock that the limiter reads.
    type Clock: Clock;

    /// What is needed to take a charge back.
    type Charge: Send;

    /// The clock that the limiter reads.
    fn clock(&self) -> &Self::Clock;

    /// The most that one call can ever be admitted for.
    fn capacity(&self) -> u64;

    /// Whether `n` permits would be admitted at `now`. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`Denied`], as [`try_acquire_at`](Self::try_acquire_at) would give.
    fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied>;

    /// Admits `n` permits at `now`, or refuses and changes nothing.
    ///
    /// # Errors
    ///
    /// [`Denied::NotYet`] if there are not enough, [`Denied::Never`] if `n` is above the [capacity](Self::capacity).
    fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        self.charge_at(n, now).map(drop)
    }

    /// Like [`try_acquire_at`](Self::try_acquire_at), and keeps what [`undo`](Self::undo) needs.
    ///
    /// # Errors
    ///
    /// As [`try_acquire_at`](Self::try_acquire_at).
    fn charge_at(&self, n: u64, now: Timestamp) -> Result<Self::Charge, Denied>;

    /// Takes a charge of this limiter back of which no use was made, and returns how many permits came back. (With a charge of
    /// another limiter nothing breaks, but permits may come back that this one never gave.)
    ///
    /// All of them if that leaves the limiter as if the charge had never been, none otherwise: a bucket's charge is forfeited
    /// once others have been decided on top of it, a window's once somebody has been decided in a later slot. (Should somebody be moving a window on to its
    /// next slot at that very moment, permits that came back may still count until they age out: then too few are admitted,
    /// never too many.)
    fn undo(&self, charge: Self::Charge) -> u64;

    /// How many permits could be had at `now`.
    fn available_at(&self, now: Timestamp) -> u64;

    /// How long after `now` a call for `n` permits would be admitted if nobody else came; `None` if never.
    fn wait_time_at(&self, n: u64, now: Timestamp) -> Option<Duration> {
        match self.peek_at(n, now) {
            Ok(()) => Some(Duration::ZERO),
            Err(denied) => denied.retry_after(),
        }
    }

    /// How long it takes until the whole [capacity](Self::capacity) is there again after all of it was used, rounded up to a
    /// nanosecond: the length of a window, the time in which an empty bucket fills up, the longest of a combination.
    fn refill_time(&self) -> Duration;

    /// What it allows and has left at `now`, to tell others: several looks, between which others may come. Of a combination, the
    /// limit that has least left.
    fn snapshot_at(&self, now: Timestamp) -> Snapshot {
        let (capacity, available) = (self.capacity(), self.available_at(now));
        let more = available.checked_add(1).filter(|more| *more <= capacity);
        Snapshot {
            limit: None,
            capacity,
            refill_time: self.refill_time(),
            available,
            next_permit_in: more.and_then(|more| self.wait_time_at(more, now)),
        }
    }

    /// What to tell somebody who was refused `n` permits at `now`: of a combination, the limit that refuses the longest.
    #[doc(hidden)]
    fn snapshot_for_at(&self, _n: u64, now: Timestamp) -> Snapshot {
        self.snapshot_at(now)
    }

    /// Whether at `now` nobody could tell this limiter from a new one: a full bucket, an empty window. Such a limiter
    /// can be dropped and made anew without giving anyone anything.
    fn is_unused_at(&self, now: Timestamp) -> bool;

    /// How long after `now` it is [unused](Self::is_unused_at) if nobody comes; `None` if that cannot be told.
    #[doc(hidden)]
    fn unused_in_at(&self, now: Timestamp) -> Option<Duration> {
        if self.is_unused_at(now) {
            return Some(Duration::ZERO);
        }
        let wait = self.wait_time_at(self.capacity(), now)?;
        self.is_unused_at(now + wait).then_some(wait)
    }

    /// The quota, if at `now` this is nothing but a full bucket of its own: then a word is all that has to be kept of it.
    #[doc(hidden)]
    fn plain_quota_at(&self, _now: Timestamp) -> Option<Quota> {
        None
    }

    /// The time on the limiter's clock: one reading.
    #[inline]
    fn now(&self) -> Timestamp {
        self.clock().now()
    }
}

macro_rules! forward_limiter {
    ($($pointer:ty),*) => {$(
        impl<L: Limiter + ?Sized> sealed::Sealed for $pointer {}

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

            fn snapshot_for_at(&self, n: u64, now: Timestamp) -> Snapshot {
                (**self).snapshot_for_at(n, now)
            }

            #[inline]
            fn is_unused_at(&self, now: Timestamp) -> bool {
                (**self).is_unused_at(now)
            }

            fn unused_in_at(&self, now: Timestamp) -> Option<Duration> {
                (**self).unused_in_at(now)
            }
        }
    )*};
}
forward_limiter!(&L, Box<L>, Arc<L>);

pub(crate) mod sealed {
    /// Only this crate's types are limiters.
    #[expect(unnameable_types, reason = "that is what seals it")]
    pub trait Sealed {}
}
