//! The quota of a bucket and its atomic state: what a change of the quota replaces.

use core::cell::Cell;
use core::time::Duration;

use super::charge::{BucketCharge, ReservedCharge};
use crate::denied::Denied;
use crate::gcra::{AtomicTat, Gcra, Now, Refusal, ReservedTat, Shortage, Shortfall};
use crate::prepared_charge::{Exchange, PreparedCharge, Request};
use crate::quota::Quota;
use crate::snapshot::{QuotaUnit, Snapshot};
use crate::sync::{Closed, const_fn};
use crate::time::{Timestamp, nanos};

/// See the [module](self) documentation.
pub(super) struct BucketState {
    pub(super) tat: AtomicTat,
    pub(super) gcra: Gcra,
    pub(super) quota: Quota,
}

/// The number of a state of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(u64);

impl Generation {
    pub(super) const FIRST: Self = Self(0);

    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) const fn next(self) -> Self {
        // Numbers far from those of the first hours of a clock, so that a generation is not
        // mistaken for a TAT.
        Self((self.0 | 1 << 63).wrapping_add(1))
    }

    /// What a charge notes as the TAT before it. A later state notes its number there, because it
    /// finds that TAT from the tokens.
    #[inline]
    const fn before(self, tat: u64) -> u64 {
        if self.0 == 0 { tat } else { self.0 }
    }
}

impl BucketState {
    const_fn! {
        /// A full bucket.
        pub(super) const fn full(quota: Quota) -> Self {
            Self { tat: AtomicTat::full(), gcra: Gcra::new(quota), quota }
        }
    }

    #[inline]
    pub(super) fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Refusal<Shortage>> {
        let cost = self.cost(n)?;
        let decided = self
            .tat
            .decide(&self.gcra, now.as_nanos(), self.admission(cost));
        decided.map_err(|refusal| match refusal {
            Refusal::Denied((now, shortfall)) => Shortage::NotYet(now, shortfall).into(),
            Refusal::Closed(closed) => closed.into(),
        })
    }

    /// Admits a call of this cost, or says what it lacks.
    #[expect(clippy::inline_always, reason = "as `try_acquire_once_at`")]
    #[inline(always)]
    fn admission(&self, cost: u64) -> impl Fn(Now, u64) -> Result<(u64, ()), (Now, Shortfall)> {
        let gcra = &self.gcra;
        move |now, tat| match gcra.admit(tat, now, cost) {
            Ok(next) => Ok((next, ())),
            Err(shortfall) => Err((now, shortfall)),
        }
    }

    /// [`try_acquire_at`](Self::try_acquire_at) in the usual case: see [`AtomicTat::decide_once`].
    #[expect(
        clippy::inline_always,
        reason = "so that an unused hint is never computed"
    )]
    #[inline(always)]
    pub(super) fn try_acquire_once_at(&self, n: u64, now: Timestamp) -> Option<Result<(), Denied>> {
        let gcra = &self.gcra;
        if n > gcra.capacity() {
            return None;
        }
        let admission = self.admission(gcra.cost(n));
        match self.tat.decide_once(gcra, now.as_nanos(), admission)? {
            Ok(()) => Some(Ok(())),
            Err((now, shortfall)) => {
                let wait = gcra.usual_wait_nanos(now, shortfall)?;
                Some(Err(Denied::not_yet(wait)))
            }
        }
    }

    #[inline]
    pub(super) fn try_acquire_leaving_at(
        &self,
        n: u64,
        now: Timestamp,
        left: &Cell<Option<Snapshot>>,
    ) -> Result<(), Refusal<Shortage>> {
        let cost = self.cost(n)?;
        let gcra = &self.gcra;
        let (tat, now) = self.tat.decide(gcra, now.as_nanos(), move |now, tat| {
            match gcra.admit(tat, now, cost) {
                Ok(next) => Ok((next, (next, now))),
                Err(shortfall) => Err(Shortage::NotYet(now, shortfall)),
            }
        })?;
        let (available, next_permit_in) = gcra.left(tat, now);
        left.set(Some(Snapshot {
            limit: None,
            capacity: gcra.capacity(),
            refill_time: self.quota.refill_time(),
            available,
            next_permit_in,
            unit: QuotaUnit::Requests,
        }));
        Ok(())
    }

    #[inline]
    pub(super) fn try_acquire_up_to_at(&self, n: u64, now: Timestamp) -> Result<u64, Refusal<()>> {
        let gcra = &self.gcra;
        self.tat.decide(gcra, now.as_nanos(), |now, tat| {
            let n = gcra.available(tat, now).min(n);
            let ReservedTat { next, .. } = gcra.reserve(tat, now, gcra.cost(n));
            if n == 0 { Err(()) } else { Ok((next, n)) }
        })
    }

    #[inline]
    pub(super) fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Refusal<Shortage>> {
        let cost = self.cost(n)?;
        let (now, tat) = self.load(now)?;
        self.fits(tat, now, cost)
    }

    /// Whether `n` fits after waiters that ask for `ahead`.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn peek_behind_at(
        &self,
        ahead: u128,
        n: u64,
        now: Timestamp,
    ) -> Result<(), Refusal<Shortage>> {
        let cost = self.cost(n)?;
        let (now, tat) = self.load(now)?;
        let before = self
            .gcra
            .cost_clamped(u64::try_from(ahead).unwrap_or(u64::MAX));
        self.fits(self.gcra.debit(tat, now, before), now, cost)
    }

    #[inline]
    const fn fits(&self, tat: u64, now: Now, cost: u64) -> Result<(), Refusal<Shortage>> {
        match self.gcra.admit(tat, now, cost) {
            Ok(_) => Ok(()),
            Err(shortfall) => Err(Refusal::Denied(Shortage::NotYet(now, shortfall))),
        }
    }

    #[inline]
    pub(super) fn load(&self, now: Timestamp) -> Result<(Now, u64), Closed> {
        self.tat.load_current(&self.gcra, now.as_nanos())
    }

    #[inline]
    pub(super) fn available_at(&self, now: Timestamp) -> Result<u64, Closed> {
        let (now, tat) = self.load(now)?;
        Ok(self.gcra.available(tat, now))
    }

    /// The cost of `n` tokens in grains.
    #[inline]
    pub(super) fn cost(&self, n: u64) -> Result<u64, Refusal<Shortage>> {
        if n > self.gcra.capacity() {
            return Err(self.never());
        }
        Ok(self.gcra.cost(n))
    }

    /// The refusal of a call for more than the capacity, unless the quota has changed.
    #[cold]
    fn never(&self) -> Refusal<Shortage> {
        match self.tat.check_open_now() {
            Ok(()) => Shortage::Never {
                capacity: self.gcra.capacity(),
            }
            .into(),
            Err(closed) => Refusal::Closed(closed),
        }
    }

    #[inline]
    pub(super) const fn denied(&self, shortage: Shortage) -> Denied {
        shortage.denied(&self.gcra)
    }

    /// The quota, unless it has changed.
    pub(super) fn quota_if_open(&self) -> Result<Quota, Closed> {
        self.tat.check_open_now()?;
        Ok(self.quota)
    }
}

/// Charges that can be undone.
impl BucketState {
    /// See [`TokenBucket::prepare_at`](crate::TokenBucket).
    #[expect(clippy::inline_always, reason = "as `Limit::prepare_at`")]
    #[inline(always)]
    pub(super) fn prepare_at(
        &self,
        request: Request,
        now: Timestamp,
    ) -> Result<Option<PreparedCharge>, Closed> {
        let cost = match self.cost(request.required) {
            Ok(cost) => cost,
            Err(Refusal::Denied(_)) => return Ok(None),
            Err(Refusal::Closed(closed)) => return Err(closed),
        };
        let gcra = &self.gcra;
        if request.cost == 0 {
            // Confirmed here, because no exchange will confirm it.
            let (now, tat) = self.load(now)?;
            return Ok(PreparedCharge::new(
                gcra.room(tat, now),
                cost,
                Exchange::NONE,
            ));
        }
        let (before, now) = self.tat.load(gcra, now.as_nanos())?;
        let room = gcra.room(before, now);
        let after = gcra.reserve(before, now, cost).next;
        Ok(PreparedCharge::new(room, cost, Exchange { before, after }))
    }

    /// The grains that are available, and the exchange that charges one token.
    #[inline]
    pub(super) fn prepare_one_at(&self, now: Timestamp) -> Option<(u64, Exchange)> {
        let gcra = &self.gcra;
        let (before, now) = self.tat.load_covered(gcra, now.as_nanos())?;
        let after = gcra.admit(before, now, gcra.cost(1)).ok()?;
        Some((gcra.room(before, now), Exchange { before, after }))
    }

    /// The grains that are available, if these are a token at least.
    #[inline]
    pub(super) fn room_for_one_at(&self, now: Timestamp) -> Option<u64> {
        let gcra = &self.gcra;
        let (tat, now) = self.tat.load_covered(gcra, now.as_nanos())?;
        let room = gcra.room(tat, now);
        (room >= gcra.cost(1) && self.tat.is_current(tat)).then_some(room)
    }

    #[inline]
    pub(super) fn charge_at(
        &self,
        n: u64,
        now: Timestamp,
        generation: Generation,
    ) -> Result<BucketCharge, Refusal<Shortage>> {
        let cost = self.cost(n)?;
        let gcra = &self.gcra;
        self.tat.decide(gcra, now.as_nanos(), move |now, before| {
            match gcra.admit(before, now, cost) {
                Ok(after) => {
                    let before = generation.before(before);
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
                Err(shortfall) => Err(Shortage::NotYet(now, shortfall)),
            }
        })
    }

    pub(super) fn reserve_at(
        &self,
        n: u64,
        max_wait: Duration,
        now: Timestamp,
        generation: Generation,
    ) -> Result<ReservedCharge, Refusal<Denied>> {
        let cost = match self.cost(n) {
            Ok(cost) => cost,
            Err(Refusal::Denied(shortage)) => return Err(Refusal::Denied(self.denied(shortage))),
            Err(Refusal::Closed(closed)) => return Err(Refusal::Closed(closed)),
        };
        let gcra = &self.gcra;
        let at = now;
        self.tat.decide(gcra, at.as_nanos(), |now, before| {
            let reserved = gcra.reserve(before, now, cost);
            let wait = if reserved.shortfall == Shortfall::NONE {
                Duration::ZERO
            } else {
                gcra.wait(now, reserved.shortfall)
            };
            // An instant beyond the clock's range would never come.
            let is_representable = wait <= Timestamp::MAX - at;
            if wait > max_wait || !is_representable || !Gcra::can_hold(reserved.shortfall) {
                return Err(Denied::not_yet(nanos(wait)));
            }
            let charge = ReservedCharge {
                charge: BucketCharge {
                    before: generation.before(before),
                    after: reserved.next,
                    tokens: n,
                },
                ready_at: at + wait,
                delayed: !wait.is_zero(),
            };
            Ok((reserved.next, charge))
        })
    }

    /// Undoes a charge of a later generation.
    pub(super) fn undo(
        &self,
        charge: &BucketCharge,
        generation: Generation,
    ) -> Result<bool, Closed> {
        self.tat.check_open_now()?;
        let &BucketCharge {
            before,
            after,
            tokens,
        } = charge;
        if before != generation.before(0) {
            return Ok(false);
        }
        // Where the bucket was full, this is the instant of the charge, which is full as well.
        let before = after.wrapping_sub(self.gcra.cost(tokens));
        Ok(self.tat.undo(&self.gcra, before, after))
    }
}
