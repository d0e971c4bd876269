//! The limiters that calls can wait at.

#![expect(
    clippy::inline_always,
    reason = "most waits end with their first attempt"
)]

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use super::call::{Call, Hold, Instants, Refused};
use crate::denied::Denied;
use crate::sync::WaitQueue;
use crate::time::Timestamp;

/// A limiter that threads and futures can wait at: a bucket, a sharded bucket, a window, a
/// combination, an [`ApiRateLimiter`](crate::ApiRateLimiter), a key of a table, or a pointer to
/// one.
///
/// [`Acquire::new`](crate::Acquire::new) waits at any of them.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{Acquire, Awaitable, Denied, ManualClock, Quota, Timer, TokenBucket};
///
/// async fn twice<L: Awaitable, T: Timer + Clone>(limiter: &L, timer: T) -> Result<(), Denied> {
///     Acquire::new(limiter, 1).timer(timer.clone()).await?;
///     Acquire::new(limiter, 1).timer(timer).await
/// }
///
/// let clock = ManualClock::new();
/// let bucket = TokenBucket::with_clock(Quota::per_second(1), clock.clone());
/// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// runtime.block_on(twice(&bucket, timer))?;
/// assert_eq!(bucket.wait_time(1), Some(Duration::from_secs(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "calls cannot wait at `{Self}`",
    note = "they can wait at a bucket, a window, a combination, an `ApiRateLimiter`, and at one key of a table: `table.at(&key)`"
)]
pub trait Awaitable: sealed::Waits {}

impl<L: sealed::Waits + ?Sized> Awaitable for L {}

pub(crate) mod sealed {
    use core::fmt;

    use super::{Hold, Instants, Refused};
    use crate::clock::Clock;
    use crate::denied::Denied;
    use crate::sync::{Demand, WaitQueue};
    use crate::time::Timestamp;

    /// How a limiter lets calls wait: see [`Call`](crate::wait::call::Call).
    #[expect(unnameable_types, reason = "that is what seals `Awaitable`")]
    pub trait Waits {
        type Clock: Clock;
        type Demand: Demand;
        type Place: fmt::Debug + Send + Sync + 'static;

        fn wait_clock(&self) -> &Self::Clock;

        /// The most permits that one call can be admitted for.
        fn max_permits(&self) -> u64;

        fn demand(&self, n: u64) -> Self::Demand;

        /// The demand of `n` in the queue of a place.
        fn demand_at(&self, n: u64, _place: &Self::Place) -> Self::Demand {
            self.demand(n)
        }

        fn is_busy(&self) -> bool;

        fn queued(&self) -> Self::Demand;

        /// [`queued`](Self::queued) where a call for `n` would wait.
        fn queued_for(&self, _n: u64) -> Self::Demand {
            self.queued()
        }

        fn enter(&self) -> Option<Self::Place>;

        /// [`enter`](Self::enter) where a call for `n` should wait.
        fn enter_for(&self, _n: u64) -> Option<Self::Place> {
            self.enter()
        }

        /// See [`Call`](crate::wait::call::Call::attempt_in).
        #[inline(always)]
        fn attempt_in(&self, _place: &Self::Place, n: u64, at: Instants) -> Result<(), Refused> {
            self.attempt(n, at).map_err(|hold| (hold, None))
        }

        /// [`enter`](Self::enter) at a member.
        #[inline(always)]
        fn enter_at(&self, _member: usize) -> Option<Self::Place> {
            None
        }

        fn queue<'a>(&'a self, place: &'a Self::Place) -> &'a WaitQueue<Self::Demand>;

        fn exit(&self, place: Self::Place);

        fn attempt(&self, n: u64, at: Instants) -> Result<(), Hold>;

        /// The refusal of `n` after the waiters of `ahead`.
        fn refusal(&self, ahead: Self::Demand, n: u64, now: Timestamp) -> Option<Denied>;

        /// Tells that a call of `n` was refused in the end. Only limiters that count refusals use
        /// it.
        #[inline]
        fn refused(&self, _n: u64, _now: Timestamp) {}

        /// Until when a refusal as of `now` holds.
        fn hold(&self, refusal: &Denied, now: Timestamp) -> Hold {
            refusal.hold(now)
        }
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<L: sealed::Waits + ?Sized> sealed::Waits for $pointer {
            type Clock = L::Clock;
            type Demand = L::Demand;
            type Place = L::Place;

            fn wait_clock(&self) -> &L::Clock {
                (**self).wait_clock()
            }

            fn max_permits(&self) -> u64 {
                (**self).max_permits()
            }

            fn demand(&self, n: u64) -> L::Demand {
                (**self).demand(n)
            }

            fn demand_at(&self, n: u64, place: &L::Place) -> L::Demand {
                (**self).demand_at(n, place)
            }

            #[inline]
            fn is_busy(&self) -> bool {
                (**self).is_busy()
            }

            fn queued(&self) -> L::Demand {
                (**self).queued()
            }

            fn queued_for(&self, n: u64) -> L::Demand {
                (**self).queued_for(n)
            }

            fn enter(&self) -> Option<L::Place> {
                (**self).enter()
            }

            fn enter_for(&self, n: u64) -> Option<L::Place> {
                (**self).enter_for(n)
            }

            #[inline(always)]
            fn attempt_in(&self, place: &L::Place, n: u64, at: Instants) -> Result<(), Refused> {
                (**self).attempt_in(place, n, at)
            }

            #[inline(always)]
            fn enter_at(&self, member: usize) -> Option<L::Place> {
                (**self).enter_at(member)
            }

            fn queue<'a>(&'a self, place: &'a L::Place) -> &'a WaitQueue<L::Demand> {
                (**self).queue(place)
            }

            fn exit(&self, place: L::Place) {
                (**self).exit(place);
            }

            #[inline(always)]
            fn attempt(&self, n: u64, at: Instants) -> Result<(), Hold> {
                (**self).attempt(n, at)
            }

            fn refusal(&self, ahead: L::Demand, n: u64, now: Timestamp) -> Option<Denied> {
                (**self).refusal(ahead, n, now)
            }

            #[inline]
            fn refused(&self, n: u64, now: Timestamp) {
                (**self).refused(n, now);
            }

            fn hold(&self, refusal: &Denied, now: Timestamp) -> Hold {
                (**self).hold(refusal, now)
            }
        }
    )*};
}
forward!(&L, Box<L>, Arc<L>);

/// The call for `n` permits of a limiter.
pub(crate) struct Permits<L> {
    pub(super) limiter: L,
    pub(super) n: u64,
}

/// The call would be admitted if it were the head. How long the waiters ahead take is unknown.
const BEHIND_OTHERS: Denied = Denied::busy(1_000_000);

impl<L: Awaitable> Call for Permits<L> {
    type Clock = L::Clock;
    type Demand = L::Demand;
    type Place = L::Place;
    type Admitted = ();
    type Refusal = Denied;
    type Output = Result<(), Denied>;

    fn clock(&self) -> &L::Clock {
        self.limiter.wait_clock()
    }

    fn demand(&self, place: &L::Place) -> L::Demand {
        self.limiter.demand_at(self.n, place)
    }

    #[inline]
    fn free(&self) -> Option<()> {
        (self.n == 0).then_some(())
    }

    #[inline]
    fn is_busy(&self) -> bool {
        self.limiter.is_busy()
    }

    fn queued(&self) -> L::Demand {
        self.limiter.queued_for(self.n)
    }

    fn enter(&self) -> Option<L::Place> {
        self.limiter.enter_for(self.n)
    }

    #[inline(always)]
    fn attempt_in(&self, place: &L::Place, at: Instants) -> Result<(), Refused> {
        self.limiter.attempt_in(place, self.n, at)
    }

    #[inline(always)]
    fn enter_at(&self, member: usize) -> Option<L::Place> {
        self.limiter.enter_at(member)
    }

    fn queue<'a>(&'a self, place: &'a L::Place) -> &'a WaitQueue<L::Demand> {
        self.limiter.queue(place)
    }

    fn exit(&self, place: L::Place) {
        self.limiter.exit(place);
    }

    #[inline(always)]
    fn attempt(&self, at: Instants) -> Result<(), Hold> {
        self.limiter.attempt(self.n, at)
    }

    fn refusal(&self, ahead: L::Demand, now: Timestamp) -> Option<Denied> {
        self.limiter.refusal(ahead, self.n, now)
    }

    fn behind_others(&self) -> Denied {
        BEHIND_OTHERS
    }

    fn hold(&self, refusal: &Denied, now: Timestamp) -> Hold {
        self.limiter.hold(refusal, now)
    }

    #[inline]
    fn output(&self, outcome: Result<(), Denied>, now: Timestamp) -> Result<(), Denied> {
        outcome.inspect_err(|_| self.limiter.refused(self.n, now))
    }
}

impl Denied {
    /// Until when a refusal as of `now` holds.
    #[inline]
    pub(crate) fn hold(&self, now: Timestamp) -> Hold {
        self.retry_after()
            .map_or(Hold::Never, |wait| Hold::Until(now + wait))
    }
}

impl<L: fmt::Debug> fmt::Debug for Permits<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permits")
            .field("n", &self.n)
            .finish_non_exhaustive()
    }
}
