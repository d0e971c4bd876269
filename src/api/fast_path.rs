//! The four limits that every configuration has, charged for one request in straight code.
//!
//! It does what [`Combined`] does for any limits in any order, for the case of nearly every call:
//! no optional limit is configured, the burst has the least headroom, and no other call is charged
//! in between. All other cases are left to [`Combined`].
//!
//! An admission takes about 250 instructions with it and 450 without, and a quarter more time
//! without it.

use alloc::sync::Arc;

use super::refusal::LimitKind;
use super::status::Remaining;
use crate::clock::Clock;
use crate::combined::Combined;
use crate::prepared_charge::{AsOf, Exchange, PreparedCharge, Request};
use crate::sliding_window::SlidingWindow;
use crate::token_bucket::TokenBucket;

const LIMITS: usize = 4;

const REQUEST: Request = Request::charge(1);

const ANY_TOKEN: Request = Request {
    required: 1,
    cost: 0,
};

pub(super) const KINDS: [LimitKind; LIMITS] = [
    LimitKind::Burst,
    LimitKind::Minute,
    LimitKind::Hour,
    LimitKind::Tokens,
];

/// The limits of a combination that has no others, in its order.
pub(super) struct FastPath<C> {
    pub(super) burst: Arc<TokenBucket<C>>,
    pub(super) minute: Arc<SlidingWindow<C>>,
    pub(super) hour: Arc<SlidingWindow<C>>,
    pub(super) tokens: Arc<TokenBucket<C>>,
}

/// Why nothing is charged yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Uncharged {
    /// A limit has shown no room.
    NoRoom,
    /// The call is left to [`Combined`].
    Undecided,
}

/// The refusal that lasts the longest, and what remains.
///
/// Of whole words, and used where it is made. In smaller parts, it would be written in words and
/// read back in pairs of words, which stalls the processor for a quarter of the time.
pub(super) struct FastRefusal {
    /// Of the limit.
    pub(super) index: usize,
    pub(super) wait_nanos: u64,
    pub(super) remaining: Remaining,
}

impl<C: Clock> FastPath<C> {
    /// Charges one request.
    #[inline]
    pub(super) fn admit(
        &self,
        combined: &Combined<C>,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
    ) -> Result<Remaining, Uncharged> {
        let Some([burst, minute, hour, tokens]) = self.prepare(at) else {
            return Err(Uncharged::NoRoom);
        };
        if burst.headroom > minute.headroom || burst.headroom > hour.headroom {
            return Err(Uncharged::Undecided);
        }
        let made = self.commit(burst.charge, minute.charge, hour.charge);
        if made < LIMITS {
            let mut charges = [burst.charge, minute.charge, hour.charge, Exchange::NONE];
            // Not repeated unchanged.
            charges[made] = Exchange::NONE;
            let rest = combined.charge_rest(made, 0, request, at, &mut charges);
            // What was charged before has been undone.
            rest.map_err(|_| Uncharged::Undecided)?;
        }
        Ok(Remaining {
            requests: minute.room.min(hour.room).saturating_sub(1),
            tokens: self.tokens.tokens_in(tokens.room),
        })
    }

    /// Computes a charge of one request for each limit; `None` if one seems to have no room.
    #[inline]
    fn prepare(&self, at: AsOf) -> Option<[PreparedCharge; LIMITS]> {
        // Windows first, because refusals last longer there.
        let hour = self.hour.prepare_at(REQUEST, at.now)?;
        let minute = self.minute.prepare_at(REQUEST, at.now)?;
        let burst = self.burst.prepare_at(REQUEST, at.due)?;
        let tokens = self.tokens.prepare_at(ANY_TOKEN, at.due)?;
        Some([burst, minute, hour, tokens])
    }

    /// The refusal of one request, from one look at each limit; `None` if all have room after all.
    #[expect(clippy::inline_always, reason = "see `FastRefusal`")]
    #[inline(always)]
    pub(super) fn refusal(&self, at: AsOf) -> Option<FastRefusal> {
        let looks = [
            self.burst.room_at(REQUEST, at.due),
            self.minute.room_at(1, at.now),
            self.hour.room_at(1, at.now),
            self.tokens.room_at(ANY_TOKEN, at.due),
        ];
        let (mut index, mut wait_nanos) = (0, 0);
        for (position, look) in looks.into_iter().enumerate() {
            // The first of those that last equally long. No wait is 0.
            if let Err(wait) = look {
                if wait > wait_nanos {
                    (index, wait_nanos) = (position, wait);
                }
            }
        }
        let [_, minute, hour, tokens] = looks.map(|look| look.unwrap_or(0));
        let remaining = Remaining {
            requests: minute.min(hour),
            tokens: self.tokens.tokens_in(tokens),
        };
        (wait_nanos > 0).then_some(FastRefusal {
            index,
            wait_nanos,
            remaining,
        })
    }

    /// Makes the charges in order, and returns how many succeeded before one failed.
    #[inline]
    fn commit(&self, burst: Exchange, minute: Exchange, hour: Exchange) -> usize {
        // A window that has to rotate has no charge prepared.
        if !self.burst.commit(burst) {
            0
        } else if !(minute.is_prepared() && self.minute.commit(minute)) {
            1
        } else if !(hour.is_prepared() && self.hour.commit(hour)) {
            2
        } else {
            LIMITS
        }
    }
}
