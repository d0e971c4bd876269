//! Operations for combinations, reservations, waits and layers: prepared charges, charges that can
//! be undone or show what they have left, and reservations of tokens that have not flowed in yet.

use core::cell::Cell;
use core::time::Duration;

use super::TokenBucket;
use super::charge::{BucketCharge, ReservedCharge};
use super::state::{BucketState, Generation};
use crate::denied::Denied;
use crate::gcra::Refusal;
use crate::prepared_charge::{Exchange, PLENTY, PreparedCharge, Request, headroom_of};
use crate::snapshot::Snapshot;
use crate::sync::Closed;
use crate::time::{Timestamp, nanos};

impl<C> TokenBucket<C> {
    /// Checks for the tokens that a call requires, and prepares the exchange that charges its cost.
    /// `None` if there seem to be too few: that is not confirmed. `required` is at least 1.
    #[expect(clippy::inline_always, reason = "as `Limit::prepare_at`")]
    #[inline(always)]
    pub(crate) fn prepare_at(&self, request: Request, now: Timestamp) -> Option<PreparedCharge> {
        match self.core.state.prepare_at(request, now) {
            Ok(prepared) => prepared,
            Err(closed) => {
                let (room, headroom) = self.room_after_change(closed, request.required, now);
                (headroom > 0).then(|| PreparedCharge {
                    room,
                    headroom,
                    charge: self.core.state.tat.stale_exchange(),
                })
            }
        }
    }

    /// [`prepare_at`](Self::prepare_at) for one token, in the usual case only.
    #[inline]
    pub(crate) fn prepare_one_at(&self, now: Timestamp) -> Option<(u64, Exchange)> {
        self.core.state.prepare_one_at(now)
    }

    /// The grains that are available, if these are a token at least. In the usual case only.
    #[inline]
    pub(crate) fn room_for_one_at(&self, now: Timestamp) -> Option<u64> {
        self.core.state.room_for_one_at(now)
    }

    /// Whether `grains` hold no more tokens than `calls`, or those are [`PLENTY`].
    #[inline]
    pub(crate) fn holds_at_most(&self, grains: u64, calls: u64) -> bool {
        calls >= PLENTY || self.core.state.gcra.tokens_in(grains) <= calls
    }

    /// The room of a prepared charge after the quota has changed, in grains of the first state, and
    /// its headroom. Zero headroom stands for too few tokens: two numbers fit registers.
    #[cold]
    #[inline(never)]
    fn room_after_change(&self, closed: Closed, required: u64, now: Timestamp) -> (u64, u64) {
        let tokens = self.changed(closed, move |state, _| state.available_at(now));
        let room = self.core.state.gcra.cost_clamped(tokens);
        (room, headroom_of(tokens, required).unwrap_or(0))
    }

    /// The room of a request for one token, or the nanoseconds until there is any.
    #[inline]
    pub(crate) fn room_at(&self, request: Request, now: Timestamp) -> Result<u64, u64> {
        match self.room_for_one_at(now) {
            Some(room) => Ok(room),
            None => self.room_at_slow(request, now),
        }
    }

    #[cold]
    #[inline(never)]
    fn room_at_slow(&self, request: Request, now: Timestamp) -> Result<u64, u64> {
        if let Some(prepared) = self.prepare_at(request, now) {
            return Ok(prepared.room);
        }
        match self.peek_at(request.required, now) {
            // There are some after all.
            Ok(()) => Ok(0),
            Err(denied) => Err(denied.retry_after().map_or(u64::MAX, nanos)),
        }
    }

    /// Whole tokens in the room of a [`PreparedCharge`].
    #[inline]
    pub(crate) fn tokens_in(&self, room: u64) -> u64 {
        self.core.state.gcra.tokens_in(room)
    }

    /// Makes a prepared charge if nothing has changed since.
    #[inline]
    pub(crate) fn commit(&self, charge: Exchange) -> bool {
        self.core.state.tat.replace(charge.before, charge.after)
    }

    /// [`try_acquire_at`](Self::try_acquire_at) that returns what undoes the charge.
    // Not shared with `try_acquire_at`: a refusal would then compute its hint even if unused, at
    // 88 instructions instead of 50.
    #[inline]
    pub(crate) fn charge_at(&self, n: u64, now: Timestamp) -> Result<BucketCharge, Denied> {
        if n == 0 {
            return Ok(BucketCharge::NOTHING);
        }
        decide!(self, |state, generation| state
            .charge_at(n, now, generation))
    }

    /// [`try_acquire_at`](Self::try_acquire_at) that writes the snapshot of what the charge has
    /// left.
    #[inline]
    pub(super) fn try_acquire_leaving_at(
        &self,
        n: u64,
        now: Timestamp,
        left: &Cell<Option<Snapshot>>,
    ) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        decide!(self, |state, _| state.try_acquire_leaving_at(n, now, left))
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
        let first = &self.core.state;
        match first.reserve_at(n, max_wait, now, Generation::FIRST) {
            Ok(reserved) => Ok(reserved),
            Err(Refusal::Denied(denied)) => Err(denied),
            Err(Refusal::Closed(closed)) => self.reserve_changed(closed, n, max_wait, now),
        }
    }

    /// [`reserve_charge_at`](Self::reserve_charge_at) after the quota has changed.
    #[cold]
    #[inline(never)]
    fn reserve_changed(
        &self,
        closed: Closed,
        n: u64,
        max_wait: Duration,
        now: Timestamp,
    ) -> Result<ReservedCharge, Denied> {
        self.changed(closed, |state, generation| {
            match state.reserve_at(n, max_wait, now, generation) {
                Ok(reserved) => Ok(Ok(reserved)),
                Err(Refusal::Denied(denied)) => Ok(Err(denied)),
                Err(Refusal::Closed(closed)) => Err(closed),
            }
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
        let BucketState { tat, gcra, .. } = &self.core.state;
        if charge.tokens == 0 {
            return 0;
        }
        if tat.undo(gcra, charge.before, charge.after) || self.undo_changed(charge) {
            self.wake_head();
            charge.tokens
        } else {
            0
        }
    }

    /// Undoes a charge that was made after the quota was changed, if it has not changed again.
    #[cold]
    #[inline(never)]
    fn undo_changed(&self, charge: &BucketCharge) -> bool {
        match self.core.state.tat.check_open_now() {
            Ok(()) => false,
            Err(closed) => self.changed(closed, move |state, generation| {
                state.undo(charge, generation)
            }),
        }
    }
}
