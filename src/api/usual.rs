//! The limits that every configuration has, charged for one request in straight code.
//!
//! What [`Combined`](crate::Combined) does for any limits in any order, for the case that is nearly every call: the burst has the
//! least headroom, and nobody else is charged in between. All other cases are left to it.

use alloc::sync::Arc;

use super::limits::Left;
use crate::prepared_charge::{Exchange, PreparedCharge, Request};
use crate::sliding_window::SlidingWindow;
use crate::time::Timestamp;
use crate::token_bucket::TokenBucket;

/// In the order of the combination.
pub(super) struct Usual<C> {
    pub(super) burst: Arc<TokenBucket<C>>,
    pub(super) minute: Arc<SlidingWindow<C>>,
    pub(super) hour: Arc<SlidingWindow<C>>,
    pub(super) tokens: Arc<TokenBucket<C>>,
}

/// What a look at each found.
pub(super) struct PreparedCharges {
    burst: PreparedCharge,
    minute: PreparedCharge,
    hour: PreparedCharge,
    tokens: PreparedCharge,
}

impl PreparedCharges {
    /// Whether the burst has no more headroom than the others, and is to be charged first.
    #[inline]
    pub(super) const fn is_burst_first(&self) -> bool {
        let burst = self.burst.headroom;
        burst <= self.minute.headroom && burst <= self.hour.headroom
    }

    /// In the order of the combination; nothing is charged for tokens.
    #[inline]
    pub(super) const fn charges(&self) -> [Exchange; 4] {
        [
            self.burst.charge,
            self.minute.charge,
            self.hour.charge,
            Exchange::NONE,
        ]
    }
}

impl<C> Usual<C> {
    pub(super) const COUNT: usize = 4;

    /// Looks whether each has room for one request; `None` if it seems that one has not. Writes nothing.
    #[inline]
    pub(super) fn look(&self, now: Timestamp) -> Option<PreparedCharges> {
        const ONE: Request = Request::charge(1);
        const ANY: Request = Request {
            required: 1,
            cost: 0,
        };

        Some(PreparedCharges {
            burst: self.burst.prepare_at(ONE, now)?,
            minute: self.minute.prepare_at(ONE, now)?,
            hour: self.hour.prepare_at(ONE, now)?,
            tokens: self.tokens.prepare_at(ANY, now)?,
        })
    }

    /// Makes the charges one after the other, and returns how many were made before one could not be.
    #[inline]
    pub(super) fn charge(&self, charges: &[Exchange; 4]) -> usize {
        let [burst, minute, hour, _] = *charges;
        // Windows that have to be moved on have no charge prepared.
        if !self.burst.commit(burst) {
            0
        } else if !(minute.is_prepared() && self.minute.commit(minute)) {
            1
        } else if !(hour.is_prepared() && self.hour.commit(hour)) {
            2
        } else {
            Self::COUNT
        }
    }

    /// What was left at the look, without the request.
    #[inline]
    pub(super) fn left(&self, prospects: &PreparedCharges) -> Left {
        let requests = prospects.minute.room.min(prospects.hour.room);
        Left {
            requests: requests.saturating_sub(1),
            tokens: self.tokens.tokens_in(prospects.tokens.room),
        }
    }
}
