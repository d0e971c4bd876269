//! One limit of a combination: a bucket or a window, owned or shared with other combinations.

use alloc::sync::Arc;
use core::time::Duration;

use crate::clock::Clock;
use crate::denied::Denied;
use crate::limiter::Limiter;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::limiter::are_sole;
use crate::prepared_charge::{AsOf, Exchange, PreparedCharge, Request};
#[cfg(any(feature = "std", tidegate_loom))]
use crate::sliding_window::WindowError;
use crate::sliding_window::{SlidingWindow, Which};
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
    /// One of two windows over the same admissions. The shorter one is charged for both, and
    /// refuses what either refuses. The longer one is only looked at.
    OneOfTwo(Which, Arc<SlidingWindow<C>>),
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
    OneOfTwo(Which, &'a SlidingWindow<C>),
}

/// A limit by its kind, with no other owner.
pub(crate) enum LimitMut<'a, C> {
    Bucket(&'a TokenBucket<C>),
    Window(&'a mut SlidingWindow<C>),
    /// Changed together: see [`Combined::change_two_windows`](super::Combined).
    OneOfTwo(Which),
}

impl<C> Limit<C> {
    /// The shorter and the longer of two windows that [`nested`](SlidingWindow::nested) has made. A
    /// combination has both or none of them.
    pub(crate) fn both_of(windows: SlidingWindow<C>) -> [Self; 2] {
        let both = Arc::new(windows);
        [Which::Shorter, Which::Longer].map(|which| Self(Kind::OneOfTwo(which, Arc::clone(&both))))
    }

    /// The longer one, of the shorter of two windows.
    pub(super) fn longer(&self) -> Option<Self> {
        match &self.0 {
            Kind::OneOfTwo(Which::Shorter, both) => {
                Some(Self(Kind::OneOfTwo(Which::Longer, Arc::clone(both))))
            }
            _ => None,
        }
    }

    pub(super) const fn is_longer_of_two(&self) -> bool {
        matches!(self.0, Kind::OneOfTwo(Which::Longer, _))
    }

    /// Whether this is the shorter one of two windows, of which `longer` is the other.
    pub(super) fn is_shorter_of(&self, longer: &Self) -> bool {
        match (&self.0, &longer.0) {
            (Kind::OneOfTwo(Which::Shorter, own), Kind::OneOfTwo(Which::Longer, both)) => {
                Arc::ptr_eq(own, both)
            }
            _ => false,
        }
    }

    /// Both windows, of the shorter one, if nothing else has a share of them.
    pub(super) fn two_windows_mut(&mut self) -> Option<&mut SlidingWindow<C>> {
        match &mut self.0 {
            Kind::OneOfTwo(Which::Shorter, both) => Arc::get_mut(both),
            _ => None,
        }
    }

    pub(super) fn by_kind(&self) -> LimitRef<'_, C> {
        match &self.0 {
            Kind::Bucket(bucket) => LimitRef::Bucket(bucket),
            Kind::Window(window) => LimitRef::Window(window),
            Kind::OneOfTwo(which, both) => LimitRef::OneOfTwo(*which, both),
        }
    }

    /// `None` if other combinations share it.
    pub(super) fn by_kind_mut(&mut self) -> Option<LimitMut<'_, C>> {
        match &mut self.0 {
            Kind::Bucket(bucket) => Arc::get_mut(bucket).map(|bucket| LimitMut::Bucket(bucket)),
            Kind::Window(window) => Arc::get_mut(window).map(LimitMut::Window),
            Kind::OneOfTwo(which, _) => Some(LimitMut::OneOfTwo(*which)),
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
            Kind::OneOfTwo(which, both) => Self(Kind::OneOfTwo(*which, Arc::clone(both))),
        }
    }

    /// A share of the bucket, for a fast path.
    pub(crate) fn share_bucket(&self) -> Option<Arc<TokenBucket<C>>> {
        match &self.0 {
            Kind::Bucket(bucket) => Some(Arc::clone(bucket)),
            _ => None,
        }
    }

    /// A share of two windows, for a fast path.
    pub(crate) fn share_two_windows(&self) -> Option<Arc<SlidingWindow<C>>> {
        match &self.0 {
            Kind::OneOfTwo(_, both) => Some(Arc::clone(both)),
            _ => None,
        }
    }
}

/// Evaluates `$body` with `$limiter` bound to the bucket or the window, and `$of_one` for one of
/// two windows.
macro_rules! dispatch {
    ($limit:expr, $limiter:ident => $body:expr, $which:pat => $of_one:expr) => {
        match &$limit.0 {
            Kind::Bucket($limiter) => $body,
            Kind::Window($limiter) => $body,
            Kind::OneOfTwo($which, $limiter) => $of_one,
        }
    };
}

impl<C: Clock> Limit<C> {
    pub(crate) fn clock(&self) -> &C {
        dispatch!(self, limiter => limiter.clock(), _ => limiter.clock())
    }

    pub(crate) fn as_bucket(&self) -> Option<&TokenBucket<C>> {
        match &self.0 {
            Kind::Bucket(bucket) => Some(bucket),
            _ => None,
        }
    }

    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn as_window(&self) -> Option<&SlidingWindow<C>> {
        match &self.0 {
            Kind::Window(window) => Some(window),
            _ => None,
        }
    }

    /// Changes a window's limit and length; `None` for a bucket.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn set_window_at(
        &self,
        limit: u64,
        length: Duration,
        now: Timestamp,
    ) -> Option<Result<(), WindowError>> {
        match &self.0 {
            Kind::Bucket(_) => None,
            Kind::Window(window) => Some(window.set_limit_at(limit, length, now)),
            Kind::OneOfTwo(which, both) => Some(both.set_limit_of_at(*which, limit, length, now)),
        }
    }

    pub(crate) fn capacity(&self) -> u64 {
        dispatch!(
            self,
            limiter => Limiter::capacity(&**limiter),
            which => limiter.limit_of(*which)
        )
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
            Kind::Window(window) | Kind::OneOfTwo(Which::Shorter, window) => {
                window.prepare_at(request, at.now)
            }
            Kind::OneOfTwo(Which::Longer, both) => {
                let room = both.available_of_at(Which::Longer, at.now);
                PreparedCharge::only_looked_at(room, request.required)
            }
        }
    }

    /// Makes a prepared charge if nothing has changed since.
    #[inline]
    pub(crate) fn commit(&self, charge: Exchange) -> bool {
        match &self.0 {
            Kind::Bucket(bucket) => charge.is_prepared() && bucket.commit(charge),
            Kind::Window(window) | Kind::OneOfTwo(Which::Shorter, window) => {
                charge.is_prepared() && window.commit(charge)
            }
            Kind::OneOfTwo(Which::Longer, _) => true,
        }
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
            Kind::OneOfTwo(Which::Shorter, both) if n > 0 => {
                // The refusal of this window, so that the longer one's names itself.
                both.charge_exchange_at(n, at.now).map_err(|_| {
                    let own = both.peek_of_at(Which::Shorter, n, at.now);
                    own.err().unwrap_or(Denied::not_yet(1))
                })
            }
            Kind::Window(_) | Kind::OneOfTwo(..) => Ok(Exchange::NONE),
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
            Kind::Window(window) | Kind::OneOfTwo(Which::Shorter, window) => {
                window.undo_exchange(n, charge)
            }
            // It comes back with the shorter window's.
            Kind::OneOfTwo(Which::Longer, _) => n,
        }
    }

    pub(crate) fn peek_at(&self, n: u64, at: AsOf) -> Result<(), Denied> {
        match &self.0 {
            Kind::Bucket(bucket) => bucket.peek_at(n, at.due),
            Kind::Window(window) => window.peek_at(n, at.now),
            Kind::OneOfTwo(which, both) => both.peek_of_at(*which, n, at.now),
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
            Kind::OneOfTwo(which, both) => both.peek_of_behind_at(*which, ahead, n, at.now).err(),
        }
    }

    /// The queue of calls that wait for this limit alone.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) fn wait_queue(&self) -> &WaitQueue {
        dispatch!(self, limiter => limiter.wait_queue(), _ => limiter.wait_queue())
    }

    /// The instant that a refusal's hint counts from.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(crate) const fn origin(&self, at: AsOf) -> Timestamp {
        match &self.0 {
            Kind::Bucket(_) => at.due,
            _ => at.now,
        }
    }

    #[inline]
    pub(crate) fn available_at(&self, now: Timestamp) -> u64 {
        dispatch!(
            self,
            limiter => limiter.available_at(now),
            which => limiter.available_of_at(*which, now)
        )
    }

    pub(crate) fn refill_time(&self) -> Duration {
        dispatch!(self, limiter => limiter.refill_time(), which => limiter.length_of(*which))
    }

    pub(crate) fn snapshot_at(&self, now: Timestamp) -> Snapshot {
        dispatch!(
            self,
            limiter => limiter.snapshot_at(now),
            which => limiter.snapshot_of_at(*which, now)
        )
    }

    pub(crate) fn is_unused_at(&self, now: Timestamp) -> bool {
        dispatch!(
            self,
            limiter => limiter.is_unused_at(now),
            which => limiter.available_of_at(*which, now) == limiter.limit_of(*which)
        )
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
