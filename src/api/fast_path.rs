//! The four limits that every configuration has, charged for one request in straight code.
//!
//! It does what [`Combined`] does for any limits in any order, for the case of nearly every call:
//! no optional limit is configured, the burst has the least headroom, and no other call is charged
//! in between. All other cases are left to [`Combined`].
//!
//! Most of the time goes to the three exchanges, 4 to 5 ns each. The rest of the 200 instructions
//! runs beside them and beside the clock.

use alloc::sync::Arc;

use super::refusal::LimitKind;
use super::status::Remaining;
use crate::clock::Clock;
use crate::combined::Combined;
use crate::prepared_charge::{AsOf, Exchange, PreparedCharge, Request, Unprepared};
use crate::sliding_window::SlidingWindow;
use crate::token_bucket::TokenBucket;

const LIMITS: usize = 4;

/// Those that are charged for a request: not the tokens.
const CHARGED: usize = 3;

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

/// A charge of one request.
#[derive(Clone, Copy)]
struct Prepared {
    burst: Exchange,
    minute: Exchange,
    hour: Exchange,
    /// Room before the charge: grains of the burst.
    in_burst: u64,
    /// Requests in both windows.
    requests: u64,
    /// Grains of the tokens.
    tokens: u64,
}

impl<C: Clock> FastPath<C> {
    /// Charges one request.
    #[inline]
    pub(super) fn admit(&self, combined: &Combined<C>, at: AsOf) -> Result<Remaining, Uncharged> {
        match self.prepare(at) {
            Ok(prepared) => self.charge(prepared, combined, at),
            Err(Unprepared::NoRoom) => Err(Uncharged::NoRoom),
            Err(Unprepared::Detour) => self.admit_with_detours(combined, at),
        }
    }

    /// Prepares a charge of one request for each limit.
    #[inline]
    fn prepare(&self, at: AsOf) -> Result<Prepared, Unprepared> {
        // Windows first, because refusals last longer there.
        let (in_hour, hour) = self.hour.prepare_one_at(at.now)?;
        let (in_minute, minute) = self.minute.prepare_one_at(at.now)?;
        let (in_burst, burst) = self.burst.prepare_one_at(at.due)?;
        let tokens = self.tokens.room_for_one_at(at.due)?;
        Ok(Prepared {
            burst,
            minute,
            hour,
            in_burst,
            requests: in_hour.min(in_minute),
            tokens,
        })
    }

    /// Makes a prepared charge.
    #[inline]
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
        let Prepared {
            burst,
            minute,
            hour,
            ..
        } = prepared;
        let made = self.commit(burst, minute, hour);
        if made < CHARGED {
            charge_rest(combined, made, at, burst, minute, hour)?;
        }
        Ok(Remaining {
            requests: prepared.requests.saturating_sub(1),
            tokens: self.tokens.tokens_in(prepared.tokens),
        })
    }

    /// [`admit`](Self::admit) where a window has to rotate or a limit was changed.
    // All of it apart, so that its values do not join those of the usual case.
    #[cold]
    #[inline(never)]
    fn admit_with_detours(&self, combined: &Combined<C>, at: AsOf) -> Result<Remaining, Uncharged> {
        let prepare = || -> Option<[PreparedCharge; LIMITS]> {
            let hour = self.hour.prepare_at(REQUEST, at.now)?;
            let minute = self.minute.prepare_at(REQUEST, at.now)?;
            let burst = self.burst.prepare_at(REQUEST, at.due)?;
            let tokens = self.tokens.prepare_at(ANY_TOKEN, at.due)?;
            Some([burst, minute, hour, tokens])
        };
        let [burst, minute, hour, tokens] = prepare().ok_or(Uncharged::NoRoom)?;
        let prepared = Prepared {
            burst: burst.charge,
            minute: minute.charge,
            hour: hour.charge,
            in_burst: burst.room,
            requests: minute.room.min(hour.room),
            tokens: tokens.room,
        };
        self.charge(prepared, combined, at)
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
            CHARGED
        }
    }
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
    minute: Exchange,
    hour: Exchange,
) -> Result<(), Uncharged> {
    let mut charges = [burst, minute, hour, Exchange::NONE];
    // Not repeated unchanged.
    charges[failed] = Exchange::NONE;
    let request = |index| if index < CHARGED { REQUEST } else { ANY_TOKEN };
    let rest = combined.charge_rest(failed, 0, &request, at, &mut charges);
    rest.map_err(|_| Uncharged::Undecided)
}
