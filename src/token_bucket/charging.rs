//! What combinations, reservations and waits do with a bucket: looks that prepare a charge, charges that can be taken back, and
//! bookings of tokens that are not there yet.

use core::time::Duration;

use super::{Core, TokenBucket};
use crate::denied::Denied;
use crate::gcra::{Gcra, Shortfall};
use crate::prepared_charge::{Exchange, PreparedCharge, Request};
use crate::time::Timestamp;

impl<C> TokenBucket<C> {
    /// Whether the tokens that a call needs are there, and the exchange that would take what it costs; `None` if it seems that
    /// they are not. `need` is at least 1.
    #[expect(clippy::inline_always, reason = "as `Limit::prepare_at`")]
    #[inline(always)]
    pub(crate) fn prepare_at(&self, request: Request, now: Timestamp) -> Option<PreparedCharge> {
        let cost = self.cost(request.required).ok()?;
        let Core { tat, gcra, .. } = &*self.core;
        if request.cost == 0 {
            // Confirmed here, as no exchange will do it.
            let (now, tat) = self.load(now);
            return PreparedCharge::new(gcra.room(tat, now), cost, Exchange::NONE);
        }
        let (before, now) = tat.load(gcra, now.as_nanos());
        let room = gcra.room(before, now);
        let after = gcra.reserve(before, now, cost).next;
        PreparedCharge::new(room, cost, Exchange { before, after })
    }

    /// Whole tokens in the room of a [`PreparedCharge`].
    #[inline]
    pub(crate) fn tokens_in(&self, room: u64) -> u64 {
        self.core.gcra.tokens_in(room)
    }

    /// Makes a charge that was found possible, if nothing has changed since.
    #[inline]
    pub(crate) fn commit(&self, charge: Exchange) -> bool {
        self.core.tat.replace(charge.before, charge.after)
    }

    /// [`try_acquire_at`](Self::try_acquire_at) that returns what undoes it.
    // Not the one in terms of the other: then a refusal computes its hint, read or not (95 instructions instead of 56).
    #[inline]
    pub(crate) fn charge_at(&self, n: u64, now: Timestamp) -> Result<BucketCharge, Denied> {
        if n == 0 {
            return Ok(BucketCharge::NOTHING);
        }
        let cost = self.cost(n)?;
        let Core { tat, gcra, .. } = &*self.core;
        tat.decide(gcra, now.as_nanos(), move |now, before| {
            match gcra.admit(before, now, cost) {
                Ok(after) => {
                    let tokens = n;
                    Ok((
                        after,
                        BucketCharge {
                            before,
                            after,
                            tokens,
                        },
                    ))
                }
                Err(shortfall) => Err((now, shortfall)),
            }
        })
        .map_err(|(now, shortfall)| self.not_yet(now, shortfall))
    }

    /// Books `n` tokens, now or in the future, unless the wait would be longer than `max_wait`.
    pub(crate) fn reserve_charge_at(
        &self,
        n: u64,
        max_wait: Duration,
        now: Timestamp,
    ) -> Result<ReservedCharge, Denied> {
        if n == 0 {
            return Ok(ReservedCharge {
                charge: BucketCharge::NOTHING,
                ready_at: now,
                delayed: false,
            });
        }
        let cost = self.cost(n)?;
        let Core { tat, gcra, .. } = &*self.core;
        let at = now;
        tat.decide(gcra, at.as_nanos(), |now, before| {
            let booking = gcra.reserve(before, now, cost);
            let wait = if booking.shortfall == Shortfall::NONE {
                Duration::ZERO
            } else {
                gcra.wait(now, booking.shortfall)
            };
            // Later than a clock can tell is never.
            let is_told = wait <= Timestamp::MAX - at;
            if wait > max_wait || !is_told || !Gcra::can_hold(booking.shortfall) {
                return Err(Denied::NotYet { retry_after: wait });
            }
            let booked = ReservedCharge {
                charge: BucketCharge {
                    before,
                    after: booking.next,
                    tokens: n,
                },
                ready_at: at + wait,
                delayed: !wait.is_zero(),
            };
            Ok((booking.next, booked))
        })
    }

    /// Gives the tokens of a booking back, and returns how many came back. None if it had to wait and its instant has come: then they
    /// count as used.
    pub(crate) fn cancel_at(&self, booked: &ReservedCharge, now: Timestamp) -> u64 {
        if booked.delayed && now >= booked.ready_at {
            return 0;
        }
        self.undo_charge(&booked.charge)
    }

    /// Exact undo or nothing: see the `tat` module. Returns how many tokens came back.
    pub(crate) fn undo_charge(&self, charge: &BucketCharge) -> u64 {
        let Core { tat, gcra, .. } = &*self.core;
        if charge.tokens > 0 && tat.undo(gcra, charge.before, charge.after) {
            charge.tokens
        } else {
            0
        }
    }
}

/// A booking that was made: what undoes it, and from when it may be used.
#[derive(Debug)]
pub(crate) struct ReservedCharge {
    pub(crate) charge: BucketCharge,
    pub(crate) ready_at: Timestamp,
    /// Whether the tokens were not there yet.
    pub(crate) delayed: bool,
}

/// A charge on a [`TokenBucket`], for [`Limiter::undo`](crate::Limiter::undo).
#[derive(Debug)]
#[must_use = "a charge that is dropped is kept"]
pub struct BucketCharge {
    /// The TAT that the charge found.
    pub(crate) before: u64,
    /// The TAT that it left.
    pub(crate) after: u64,
    pub(crate) tokens: u64,
}

impl BucketCharge {
    const NOTHING: Self = Self {
        before: 0,
        after: 0,
        tokens: 0,
    };

    pub(crate) const fn tokens(&self) -> u64 {
        self.tokens
    }
}
