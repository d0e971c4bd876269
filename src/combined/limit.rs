//! One limit of a combination: a bucket or a window, owned or shared with other combinations.

use alloc::sync::Arc;
use core::time::Duration;

use crate::clock::Clock;
use crate::denied::Denied;
use crate::limiter::Limiter;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::limiter::are_sole;
use crate::prepared_charge::{AsOf, Exchange, PreparedCharge, Request};
use crate::sliding_window::SlidingWindow;
use crate::snapshot::Snapshot;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::sync::WaitQueue;
use crate::time::Timestamp;
use crate::token_bucket::{BucketCharge, TokenBucket};
#[cfg(any(feature = "std", tidegate_loom))]
use crate::wait::from_now;

/// A limit of a [`Combined`](crate::Combined), made by `into()` from a [`TokenBucket`], a
/// [`SlidingWindow`], or an `Arc` of either, which other combinations may share.
#[derive(Debug)]
pub struct Limit<C>(Kind<C>);

/// An enum and not a trait object, so that a decision is inlined. Always behind an `Arc`: the state
/// has cache lines of its own, and the list of limits stays short.
#[derive(Debug)]
enum Kind<C> {
    Bucket(Arc<TokenBucket<C>>),
    Window(Arc<SlidingWindow<C>>),
}

impl<C> From<TokenBucket<C>> for Limit<C> {
    fn from(bucket: TokenBucket<C>) -> Self {
        Self::from(Arc::new(bucket))
    }
}

impl<C> From<Arc<TokenBucket<C>>> for Limit<C> {
    fn from(bucket: Arc<TokenBucket<C>>) -> Self {
        Self(Kind::Bucket(bucket))
    }
}

impl<C> From<SlidingWindow<C>> for Limit<C> {
    fn from(window: SlidingWindow<C>) -> Self {
        Self::from(Arc::new(window))
    }
}

impl<C> From<Arc<SlidingWindow<C>>> for Limit<C> {
    fn from(window: Arc<SlidingWindow<C>>) -> Self {
        Self(Kind::Window(window))
    }
}

/// A limit by its kind.
pub(crate) enum LimitRef<'a, C> {
    Bucket(&'a TokenBucket<C>),
    Window(&'a SlidingWindow<C>),
}

/// A limit by its kind, with no other owner.
pub(crate) enum LimitMut<'a, C> {
    Bucket(&'a TokenBucket<C>),
    Window(&'a mut SlidingWindow<C>),
}

impl<C> Limit<C> {
    pub(super) fn by_kind(&self) -> LimitRef<'_, C> {
        match &self.0 {
            Kind::Bucket(bucket) => LimitRef::Bucket(bucket),
            Kind::Window(window) => LimitRef::Window(window),
        }
    }

    /// `None` if other combinations share it.
    pub(super) fn by_kind_mut(&mut self) -> Option<LimitMut<'_, C>> {
        match &mut self.0 {
            Kind::Bucket(bucket) => Arc::get_mut(bucket).map(|bucket| LimitMut::Bucket(bucket)),
            Kind::Window(window) => Arc::get_mut(window).map(LimitMut::Window),
        }
    }

    /// Whether a change of this limit to the numbers of another one reaches no other combination.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn is_apart_from(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Bucket(one), Kind::Bucket(other)) => are_sole(one, other),
            (Kind::Window(one), Kind::Window(other)) => are_sole(one, other),
            _ => false,
        }
    }

    /// Whether both are shares of one limit.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Bucket(one), Kind::Bucket(other)) => Arc::ptr_eq(one, other),
            (Kind::Window(one), Kind::Window(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// A share of the limit.
    pub(crate) fn share(&self) -> Self {
        match &self.0 {
            Kind::Bucket(bucket) => Self::from(Arc::clone(bucket)),
            Kind::Window(window) => Self::from(Arc::clone(window)),
        }
    }

    /// A share of the bucket, for a fast path.
    pub(crate) fn share_bucket(&self) -> Option<Arc<TokenBucket<C>>> {
        match &self.0 {
            Kind::Bucket(bucket) => Some(Arc::clone(bucket)),
            Kind::Window(_) => None,
        }
    }

    /// A share of the window, for a fast path.
    pub(crate) fn share_window(&self) -> Option<Arc<SlidingWindow<C>>> {
        match &self.0 {
            Kind::Bucket(_) => None,
            Kind::Window(window) => Some(Arc::clone(window)),
        }
    }
}

/// Evaluates `$body` with `$limiter` bound to the bucket or the window.
macro_rules! dispatch {
    ($limit:expr, $limiter:ident => $body:expr) => {
        match &$limit.0 {
            Kind::Bucket($limiter) => $body,
            Kind::Window($limiter) => $body,
        }
    };
}

impl<C: Clock> Limit<C> {
    pub(crate) fn clock(&self) -> &C {
        dispatch!(self, limiter => limiter.clock())
    }

    pub(crate) fn as_bucket(&self) -> Option<&TokenBucket<C>> {
        match &self.0 {
            Kind::Bucket(bucket) => Some(bucket),
            Kind::Window(_) => None,
        }
    }

    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn as_window(&self) -> Option<&SlidingWindow<C>> {
        match &self.0 {
            Kind::Bucket(_) => None,
            Kind::Window(window) => Some(window),
        }
    }

    pub(crate) fn capacity(&self) -> u64 {
        dispatch!(self, limiter => Limiter::capacity(&**limiter))
    }

    /// Checks for room at `now` and prepares the charge. `None` if there seems to be none. Writes
    /// nothing.
    // Inlined. Otherwise the result is written to memory in words and read back in pairs of words,
    // which stalls the processor.
    #[expect(
        clippy::inline_always,
        reason = "the stall would take half the time of a call"
    )]
    #[inline(always)]
    pub(crate) fn prepare_at(&self, request: Request, at: AsOf) -> Option<PreparedCharge> {
        if request.required == 0 {
            return Some(PreparedCharge::UNLIMITED);
        }
        match &self.0 {
            Kind::Bucket(bucket) => bucket.prepare_at(request, at.due),
            Kind::Window(window) => window.prepare_at(request, at.now),
        }
    }

    /// Makes a prepared charge if nothing has changed since.
    #[inline]
    pub(crate) fn commit(&self, charge: Exchange) -> bool {
        charge.is_prepared() && dispatch!(self, limiter => limiter.commit(charge))
    }

    /// Charges `n` after a check of its own.
    #[cold]
    pub(crate) fn charge_at(&self, n: u64, at: AsOf) -> Result<Exchange, Denied> {
        match &self.0 {
            Kind::Bucket(bucket) => {
                let BucketCharge { before, after, .. } = bucket.charge_at(n, at.due)?;
                Ok(Exchange { before, after })
            }
            Kind::Window(window) if n > 0 => window.charge_exchange_at(n, at.now),
            Kind::Window(_) => Ok(Exchange::NONE),
        }
    }

    /// Undoes a charge of `n` on this limit, and returns how many permits came back.
    pub(crate) fn undo(&self, n: u64, charge: Exchange) -> u64 {
        if n == 0 {
            return 0;
        }
        match &self.0 {
            Kind::Bucket(bucket) => {
                let Exchange { before, after } = charge;
                let tokens = n;
                bucket.undo(BucketCharge {
                    before,
                    after,
                    tokens,
                })
            }
            Kind::Window(window) => window.undo_exchange(n, charge),
        }
    }

    pub(crate) fn peek_at(&self, n: u64, at: AsOf) -> Result<(), Denied> {
        match &self.0 {
            Kind::Bucket(bucket) => bucket.peek_at(n, at.due),
            Kind::Window(window) => window.peek_at(n, at.now),
        }
    }

    /// The refusal of `n` after waiters that ask for `ahead`, as of `at.now`. A bucket may decide
    /// them as of `at.due`.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn refusal_behind_at(&self, ahead: u128, n: u64, at: AsOf) -> Option<Denied> {
        match &self.0 {
            Kind::Bucket(bucket) => {
                let denied = bucket.peek_behind_at(ahead, n, at.due).err()?;
                from_now(denied, at.due, at.now)
            }
            Kind::Window(window) => window.peek_behind_at(ahead, n, at.now).err(),
        }
    }

    /// The queue of calls that wait for this limit alone.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn wait_queue(&self) -> &WaitQueue {
        dispatch!(self, limiter => limiter.wait_queue())
    }

    /// The instant that a refusal's hint counts from.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) const fn origin(&self, at: AsOf) -> Timestamp {
        match &self.0 {
            Kind::Bucket(_) => at.due,
            Kind::Window(_) => at.now,
        }
    }

    #[inline]
    pub(crate) fn available_at(&self, now: Timestamp) -> u64 {
        dispatch!(self, limiter => limiter.available_at(now))
    }

    pub(crate) fn refill_time(&self) -> Duration {
        dispatch!(self, limiter => limiter.refill_time())
    }

    pub(crate) fn snapshot_at(&self, now: Timestamp) -> Snapshot {
        dispatch!(self, limiter => limiter.snapshot_at(now))
    }

    pub(crate) fn is_unused_at(&self, now: Timestamp) -> bool {
        dispatch!(self, limiter => limiter.is_unused_at(now))
    }
}

/// A limit and the name that refusals show.
#[derive(Debug)]
pub(super) struct NamedLimit<C> {
    pub(super) name: &'static str,
    pub(super) limit: Limit<C>,
}

impl<C: Clock> NamedLimit<C> {
    pub(super) fn snapshot_at(&self, now: Timestamp) -> Snapshot {
        Snapshot {
            limit: Some(self.name),
            ..self.limit.snapshot_at(now)
        }
    }
}
