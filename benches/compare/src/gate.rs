//! One decision about one permit, measured as a caller in another crate pays for it.
//!
//! A caller in another crate sees the whole decision. If a benchmark only looked at admitted or
//! refused, the compiler would remove the hint when to retry, and the row would be too good. So
//! every measured call goes through a function that is not inlined and returns the whole decision,
//! and the caller uses all of it.
//!
//! Some limiters compute the hint lazily, when a caller asks for it. Such a limiter has two rows:
//! as it is, and with the hint read.

use std::hint::black_box;

use tidegate::{
    ApiRateLimiter, Clock, Combined, CombinedDenied, Denied, Limiter, RateLimitStatus,
    ShardedTokenBucket, SlidingWindow, TokenBucket,
};

/// What a call returns.
pub trait Decision {
    fn is_admitted(&self) -> bool;
}

impl Decision for bool {
    #[inline(always)]
    fn is_admitted(&self) -> bool {
        *self
    }
}

/// A wait that cannot be refused.
impl Decision for () {
    #[inline(always)]
    fn is_admitted(&self) -> bool {
        true
    }
}

impl<T, E> Decision for Result<T, E> {
    #[inline(always)]
    fn is_admitted(&self) -> bool {
        self.is_ok()
    }
}

impl Decision for RateLimitStatus {
    #[inline(always)]
    fn is_admitted(&self) -> bool {
        !self.is_limited
    }
}

impl Decision for better_bucket::Decision {
    #[inline(always)]
    fn is_admitted(&self) -> bool {
        self.is_allowed()
    }
}

impl Decision for rate_net::Decision {
    #[inline(always)]
    fn is_admitted(&self) -> bool {
        self.is_allow()
    }
}

/// A limiter of one key.
pub trait Gate: Sync {
    type Decision: Decision;

    /// Asks for one permit.
    fn decide(&self) -> Self::Decision;

    /// Asks for one permit, uses the whole decision, and returns whether it was admitted.
    #[inline(always)]
    fn admit(&self) -> bool {
        black_box(decide_apart(black_box(self))).is_admitted()
    }
}

/// Keeps the decision from being inlined into the benchmark.
#[inline(never)]
fn decide_apart<G: Gate + ?Sized>(gate: &G) -> G::Decision {
    gate.decide()
}

/// Implements [`Gate`] for limiters.
macro_rules! gates {
    ($($limiter:ty => $decision:ty, |$gate:ident| $call:expr;)*) => {$(
        impl $crate::Gate for $limiter {
            type Decision = $decision;

            #[inline(always)]
            fn decide(&self) -> $decision {
                let $gate = self;
                $call
            }
        }
    )*};
}
pub(crate) use gates;

gates! {
    TokenBucket => Result<(), Denied>, |gate| gate.try_acquire(1);
    ShardedTokenBucket => Result<(), Denied>, |gate| gate.try_acquire(1);
    SlidingWindow => Result<(), Denied>, |gate| gate.try_acquire(1);
    Combined => Result<(), CombinedDenied>, |gate| gate.try_acquire(1);
    ApiRateLimiter => RateLimitStatus, |gate| gate.try_acquire();
}

/// A limiter behind a closure that asks it for one permit.
pub struct Asked<S, F> {
    state: S,
    ask: F,
}

/// Puts a limiter behind [`Gate`].
pub fn asked<S, D, F>(state: S, ask: F) -> Asked<S, F>
where
    S: Sync,
    D: Decision,
    F: Fn(&S) -> D + Sync,
{
    Asked { state, ask }
}

impl<S: Sync, D: Decision, F: Fn(&S) -> D + Sync> Gate for Asked<S, F> {
    type Decision = D;

    #[inline(always)]
    fn decide(&self) -> D {
        (self.ask)(&self.state)
    }
}

/// Drops the hint: the caller only looks at admitted or refused.
pub fn hint_dropped(bucket: TokenBucket) -> impl Gate {
    asked(bucket, |bucket| bucket.try_acquire(1).is_ok())
}

/// The decision through the trait: without a status, and so without its message.
pub fn without_status(limiter: ApiRateLimiter) -> impl Gate {
    asked(limiter, |limiter| {
        Limiter::try_acquire_at(limiter, 1, limiter.clock().now())
    })
}
