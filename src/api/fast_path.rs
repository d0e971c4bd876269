//! The four limits that every configuration has, charged for one request in straight code.
//!
//! It does what [`Combined`] does for any limits in any order, for the case of nearly every call:
//! no optional limit is configured, the burst has the least headroom, and no other call is charged
//! in between. All other cases are left to [`Combined`].
//!
//! Most of the time goes to the clock and to the two exchanges: one for the burst, and one for the
//! minute and the hour, which are two windows over the same requests.

use alloc::sync::Arc;

use super::refusal::LimitKind;
use super::status::Remaining;
use crate::clock::Clock;
use crate::combined::Combined;
use crate::prepared_charge::{AsOf, Exchange, Request};
use crate::sliding_window::SlidingWindow;
use crate::token_bucket::TokenBucket;

const LIMITS: usize = 4;

/// Those that are charged for a request: not the hour, which is with the minute, nor the tokens.
const CHARGED: usize = 2;

/// The index of the tokens.
const TOKENS: usize = 3;

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
    /// The minute and the hour.
    pub(super) windows: Arc<SlidingWindow<C>>,
    pub(super) tokens: Arc<TokenBucket<C>>,
}

/// Why nothing is charged yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Uncharged {
    /// A limit has no room, or more than a look is needed: it was changed, or its time moves on.
    Unprepared,
    /// The call is left to [`Combined`].
    Undecided,
}

/// What one look at each limit has shown to a request.
///
/// Of whole words, and used where it is made. In smaller parts, it would be written in words and
/// read back in pairs of words, which stalls the processor for a quarter of the time.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// The nanoseconds until all limits have room; 0 if they have.
    pub(super) wait: u64,
    /// Of the limit that refuses for so long.
    pub(super) index: usize,
    /// What remains before a charge.
    pub(super) remaining: Remaining,
}

/// A charge of one request.
#[derive(Clone, Copy)]
struct Prepared {
    burst: Exchange,
    windows: Exchange,
    /// Room before the charge: grains of the burst.
    in_burst: u64,
    /// Requests in both windows.
    requests: u64,
    /// Grains of the tokens.
    tokens: u64,
}

impl<C: Clock> FastPath<C> {
    /// Charges one request.
    // A result of its own is written in words and read in pairs of words, which stalls the
    // processor for a tenth of the call.
    #[expect(clippy::inline_always, reason = "so that it has no result of its own")]
    #[inline(always)]
    pub(super) fn admit(&self, combined: &Combined<C>, at: AsOf) -> Result<Remaining, Uncharged> {
        let prepared = self.prepare(at).ok_or(Uncharged::Unprepared)?;
        self.charge(prepared, combined, at)
    }

    /// Prepares a charge of one request for each limit.
    #[expect(clippy::inline_always, reason = "as `admit`")]
    #[inline(always)]
    fn prepare(&self, at: AsOf) -> Option<Prepared> {
        // Windows first, because refusals last longer there.
        let (requests, windows) = self.windows.prepare_one_at(at.now)?;
        let (in_burst, burst) = self.burst.prepare_one_at(at.due)?;
        let tokens = self.tokens.room_for_one_at(at.due)?;
        Some(Prepared {
            burst,
            windows,
            in_burst,
            requests,
            tokens,
        })
    }

    /// Makes a prepared charge.
    #[expect(clippy::inline_always, reason = "as `admit`")]
    #[inline(always)]
    fn charge(
        &self,
        prepared: Prepared,
        combined: &Combined<C>,
        at: AsOf,
    ) -> Result<Remaining, Uncharged> {
        if !self
            .burst
            .holds_at_most(prepared.in_burst, prepared.requests)
        {
            // Another limit has to be charged first.
            return Err(Uncharged::Undecided);
        }
        let Prepared { burst, windows, .. } = prepared;
        let made = self.commit(burst, windows);
        if made < CHARGED {
            charge_rest(combined, made, at, burst, windows)?;
        }
        Ok(Remaining {
            requests: prepared.requests.saturating_sub(1),
            tokens: self.tokens.tokens_in(prepared.tokens),
        })
    }

    /// One look at each limit.
    #[expect(clippy::inline_always, reason = "see `Look`")]
    #[inline(always)]
    pub(super) fn look(&self, at: AsOf) -> Look {
        let [minute, hour] = self.windows.rooms_for_one_at(at.now);
        let looks = [
            self.burst.room_at(REQUEST, at.due),
            minute,
            hour,
            self.tokens.room_at(ANY_TOKEN, at.due),
        ];
        let (mut index, mut longest) = (0, 0);
        for (position, look) in looks.into_iter().enumerate() {
            // The first of those that last equally long. No wait is 0.
            if let Err(wait) = look {
                if wait > longest {
                    (index, longest) = (position, wait);
                }
            }
        }
        let [_, minute, hour, tokens] = looks.map(|look| look.unwrap_or(0));
        let remaining = Remaining {
            requests: minute.min(hour),
            tokens: self.tokens.tokens_in(tokens),
        };
        Look {
            wait: longest,
            index,
            remaining,
        }
    }

    /// Makes the charges in order, and returns how many succeeded before one failed.
    #[inline]
    fn commit(&self, burst: Exchange, windows: Exchange) -> usize {
        if !self.burst.commit(burst) {
            0
        } else if !self.windows.commit(windows) {
            1
        } else {
            CHARGED
        }
    }
}

/// Charges one request, each limit in a step of its own. All are undone if one is refused.
pub(super) fn charge_in_steps<C: Clock>(combined: &Combined<C>, at: AsOf) -> Result<(), Uncharged> {
    charge_rest(combined, 0, at, Exchange::NONE, Exchange::NONE)
}

/// Makes the charges from one on that has failed. All are undone if one is refused.
// Takes each charge by itself: an array would be written to memory by every call.
#[cold]
#[inline(never)]
fn charge_rest<C: Clock>(
    combined: &Combined<C>,
    failed: usize,
    at: AsOf,
    burst: Exchange,
    windows: Exchange,
) -> Result<(), Uncharged> {
    let mut charges = [burst, windows, Exchange::NONE, Exchange::NONE];
    // Not repeated unchanged.
    charges[failed] = Exchange::NONE;
    let request = |index| if index < TOKENS { REQUEST } else { ANY_TOKEN };
    let rest = combined.charge_rest(failed, 0, &request, at, &mut charges);
    rest.map_err(|_| Uncharged::Undecided)
}
