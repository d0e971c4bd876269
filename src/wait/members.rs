//! What a tuple needs of a limiter that calls wait at together with others.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::awaitable::sealed::Waits;
use super::call::{Hold, Instants};
use crate::clock::Clock;
use crate::combined::Combined;
use crate::limiter::Limiter;
use crate::prepared_charge::Request;
use crate::sharded::ShardedTokenBucket;
use crate::sliding_window::SlidingWindow;
use crate::token_bucket::TokenBucket;

/// Decides a call that waits as of the instants that fit the limiter, and can undo it.
#[expect(unnameable_types, reason = "a detail of tuples")]
pub trait MemberWaits: Limiter + Waits<Demand = u128> {
    /// Charges `n`, or says until when not.
    ///
    /// As of now, which is sound for every limiter. A bucket is charged as of the instant at which
    /// the call was due, so that late timers cost no part of its rate.
    fn charge_as_of(&self, n: u64, at: Instants) -> Result<Self::Charge, Hold> {
        self.charge_at(n, at.now)
            .map_err(|denied| denied.hold(at.now))
    }

    /// Until when `n` would be refused; `None` if it would be admitted. Changes nothing.
    fn hold_as_of(&self, n: u64, at: Instants) -> Option<Hold> {
        let denied = Limiter::peek_at(self, n, at.now).err()?;
        Some(denied.hold(at.now))
    }
}

macro_rules! as_of_due {
    ($($bucket:ident),*) => {$(
        impl<C: Clock> MemberWaits for $bucket<C> {
            fn charge_as_of(&self, n: u64, at: Instants) -> Result<Self::Charge, Hold> {
                Limiter::charge_at(self, n, at.due).map_err(|denied| denied.hold(at.due))
            }

            fn hold_as_of(&self, n: u64, at: Instants) -> Option<Hold> {
                let denied = Limiter::peek_at(self, n, at.due).err()?;
                Some(denied.hold(at.due))
            }
        }
    )*};
}
as_of_due!(TokenBucket, ShardedTokenBucket);

impl<C: Clock> MemberWaits for SlidingWindow<C> {}

impl<C: Clock> MemberWaits for Combined<C> {
    fn charge_as_of(&self, n: u64, at: Instants) -> Result<Self::Charge, Hold> {
        let request = |_| Request::charge(n);
        match self.charge_each_at(&request, at.into()) {
            Ok(charge) => Ok(charge.with_permits(n)),
            Err(denied) => Err(self.hold(&request, denied, at.into())),
        }
    }

    fn hold_as_of(&self, n: u64, at: Instants) -> Option<Hold> {
        let request = |_| Request::charge(n);
        let denied = self.refusal(&request, at.into(), None)?;
        Some(self.hold(&request, denied, at.into()))
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<L: MemberWaits + ?Sized> MemberWaits for $pointer {
            fn charge_as_of(&self, n: u64, at: Instants) -> Result<Self::Charge, Hold> {
                (**self).charge_as_of(n, at)
            }

            fn hold_as_of(&self, n: u64, at: Instants) -> Option<Hold> {
                (**self).hold_as_of(n, at)
            }
        }
    )*};
}
forward!(&L, Box<L>, Arc<L>);
