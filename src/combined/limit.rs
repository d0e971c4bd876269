//! One limit of a combination: a bucket or a window, its own or shared with others.

use alloc::sync::Arc;
use core::ops::Deref;

use crate::clock::Clock;
use crate::denied::Denied;
use crate::limiter::Limiter;
use crate::sliding_window::{SlidingWindow, WindowCharge};
use crate::time::Timestamp;
use crate::token_bucket::{BucketCharge, TokenBucket};

/// A limit of a [`Combined`](crate::Combined): made by `into()` from a [`TokenBucket`], a [`SlidingWindow`], or an `Arc` of
/// either, which other combinations may share.
#[derive(Debug)]
pub struct Limit<C>(Kind<C>);

/// An enum and not a trait object: a decision is one predictable branch, and the state lies inline.
#[derive(Debug)]
enum Kind<C> {
    Bucket(Held<TokenBucket<C>>),
    Window(Held<SlidingWindow<C>>),
}

#[derive(Debug)]
enum Held<L> {
    Own(L),
    Shared(Arc<L>),
}

impl<L> Deref for Held<L> {
    type Target = L;

    #[inline]
    fn deref(&self) -> &L {
        match self {
            Self::Own(limiter) => limiter,
            Self::Shared(limiter) => limiter,
        }
    }
}

impl<C> From<TokenBucket<C>> for Limit<C> {
    fn from(bucket: TokenBucket<C>) -> Self {
        Self(Kind::Bucket(Held::Own(bucket)))
    }
}

impl<C> From<Arc<TokenBucket<C>>> for Limit<C> {
    fn from(bucket: Arc<TokenBucket<C>>) -> Self {
        Self(Kind::Bucket(Held::Shared(bucket)))
    }
}

impl<C> From<SlidingWindow<C>> for Limit<C> {
    fn from(window: SlidingWindow<C>) -> Self {
        Self(Kind::Window(Held::Own(window)))
    }
}

impl<C> From<Arc<SlidingWindow<C>>> for Limit<C> {
    fn from(window: Arc<SlidingWindow<C>>) -> Self {
        Self(Kind::Window(Held::Shared(window)))
    }
}

/// What undoes a charge on a [`Limit`].
#[derive(Debug)]
pub(crate) enum LimitCharge {
    Bucket(BucketCharge),
    Window(WindowCharge),
}

/// Calls `$method` of whichever limiter it is.
macro_rules! either {
    ($limit:expr, $limiter:ident => $body:expr) => {
        match &$limit.0 {
            Kind::Bucket($limiter) => $body,
            Kind::Window($limiter) => $body,
        }
    };
}

impl<C: Clock> Limit<C> {
    pub(crate) fn clock(&self) -> &C {
        either!(self, limiter => limiter.clock())
    }

    pub(crate) fn as_bucket(&self) -> Option<&TokenBucket<C>> {
        match &self.0 {
            Kind::Bucket(bucket) => Some(bucket),
            Kind::Window(_) => None,
        }
    }

    pub(crate) fn capacity(&self) -> u64 {
        either!(self, limiter => Limiter::capacity(&**limiter))
    }

    /// How many calls for `n` would be admitted at `now`, as far as it matters; `None` if not even one.
    #[inline]
    pub(crate) fn headroom_at(&self, n: u64, now: Timestamp) -> Option<u64> {
        either!(self, limiter => limiter.headroom_at(n, now))
    }

    pub(crate) fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        either!(self, limiter => limiter.peek_at(n, now))
    }

    pub(crate) fn available_at(&self, now: Timestamp) -> u64 {
        either!(self, limiter => limiter.available_at(now))
    }

    pub(crate) fn is_unused_at(&self, now: Timestamp) -> bool {
        either!(self, limiter => limiter.is_unused_at(now))
    }

    #[inline]
    pub(crate) fn charge_at(&self, n: u64, now: Timestamp) -> Result<LimitCharge, Denied> {
        match &self.0 {
            Kind::Bucket(bucket) => bucket.charge_at(n, now).map(LimitCharge::Bucket),
            Kind::Window(window) => window.charge_at(n, now).map(LimitCharge::Window),
        }
    }

    /// Takes a charge of this limit back; how many permits came back.
    pub(crate) fn undo(&self, charge: LimitCharge) -> u64 {
        match (&self.0, charge) {
            (Kind::Bucket(bucket), LimitCharge::Bucket(charge)) => bucket.undo(charge),
            (Kind::Window(window), LimitCharge::Window(charge)) => window.undo(charge),
            // Of another limit: nothing that could be taken back here.
            _ => 0,
        }
    }
}
