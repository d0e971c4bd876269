//! Operations for combinations, reservations and waits: prepared charges, charges that can be
//! undone, and reservations of tokens that have not flowed in yet.

use core::time::Duration;

use super::charge::{BucketCharge, ReservedCharge};
use super::{BucketCore, TokenBucket};
use crate::denied::Denied;
use crate::gcra::{Gcra, Shortfall};
use crate::prepared_charge::{Exchange, PreparedCharge, Request};
use crate::time::Timestamp;

impl<C> TokenBucket<C> {
    /// Checks for the tokens that a call requires, and prepares the exchange that charges its cost.
    /// `None` if there seem to be too few: that is not confirmed. `required` is at least 1.
    #[expect(clippy::inline_always, reason = "as `Limit::prepare_at`")]
    #[inline(always)]
    pub(crate) fn prepare_at(&self, request: Request, now: Timestamp) -> Option<PreparedCharge> {
        let cost = self.cost(request.required).ok()?;
        let BucketCore { tat, gcra, .. } = &*self.core;
        if request.cost == 0 {
            // Confirmed here, because no exchange will confirm it.
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

    /// Makes a prepared charge if nothing has changed since.
    #[inline]
    pub(crate) fn commit(&self, charge: Exchange) -> bool {
        self.core.tat.replace(charge.before, charge.after)
    }

    /// [`try_acquire_at`](Self::try_acquire_at) that returns what undoes the charge.
    // Not shared with `try_acquire_at`: a refusal would then compute its hint even if unused, at
    // 95 instructions instead of 56.
    #[inline]
    pub(crate) fn charge_at(&self, n: u64, now: Timestamp) -> Result<BucketCharge, Denied> {
        if n == 0 {
            return Ok(BucketCharge::NOTHING);
        }
        let cost = self.cost(n)?;
        let BucketCore { tat, gcra, .. } = &*self.core;
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

    /// Reserves `n` tokens, now or in the future, unless the wait would be longer than `max_wait`.
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
        let BucketCore { tat, gcra, .. } = &*self.core;
        let at = now;
        tat.decide(gcra, at.as_nanos(), |now, before| {
            let reserved = gcra.reserve(before, now, cost);
            let wait = if reserved.shortfall == Shortfall::NONE {
                Duration::ZERO
            } else {
                gcra.wait(now, reserved.shortfall)
            };
            // An instant beyond the clock's range would never come.
            let is_representable = wait <= Timestamp::MAX - at;
            if wait > max_wait || !is_representable || !Gcra::can_hold(reserved.shortfall) {
                return Err(Denied::NotYet { retry_after: wait });
            }
            let charge = ReservedCharge {
                charge: BucketCharge {
                    before,
                    after: reserved.next,
                    tokens: n,
                },
                ready_at: at + wait,
                delayed: !wait.is_zero(),
            };
            Ok((reserved.next, charge))
        })
    }

    /// Cancels a reservation, and returns how many tokens came back. None come back if the
    /// reservation had to wait and its instant has come: it then counts as used.
    pub(crate) fn cancel_at(&self, reserved: &ReservedCharge, now: Timestamp) -> u64 {
        if reserved.delayed && now >= reserved.ready_at {
            return 0;
        }
        self.undo_charge(&reserved.charge)
    }

    /// Undoes a charge exactly or not at all: see [`AtomicTat`](crate::gcra::AtomicTat). Returns
    /// how many tokens came back.
    pub(crate) fn undo_charge(&self, charge: &BucketCharge) -> u64 {
        let BucketCore { tat, gcra, .. } = &*self.core;
        if charge.tokens > 0 && tat.undo(gcra, charge.before, charge.after) {
            self.wake_head();
            charge.tokens
        } else {
            0
        }
    }
}
