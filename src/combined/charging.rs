//! Charging all limits or none: the steps that the [module above](super) describes.

use alloc::vec::Vec;

use super::limit::NamedLimit;
use super::{Combined, CombinedCharge, CombinedDenied};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::prepared_charge::{Exchange, PreparedCharge, Request};
use crate::sync::add_saturating;
use crate::time::Timestamp;

impl<C: Clock> Combined<C> {
    /// Charges every limit or none. Tells `observe` each limit's [room](PreparedCharge::room)
    /// before the charge, and once more if the first pass is repeated.
    #[inline]
    pub(crate) fn admit(
        &self,
        request: &impl Fn(usize) -> Request,
        now: Timestamp,
        observe: impl FnMut(usize, u64),
    ) -> Result<(), CombinedDenied> {
        self.charge(request, now, observe, |_| ())
    }

    /// [`admit`](Self::admit) that passes the charges to `keep`, in the order of the limits.
    #[inline]
    fn charge(
        &self,
        request: &impl Fn(usize) -> Request,
        now: Timestamp,
        mut observe: impl FnMut(usize, u64),
        keep: impl FnOnce(&[Exchange]),
    ) -> Result<(), CombinedDenied> {
        // Number of charges that are kept on the stack.
        const FEW: usize = 8;

        let mut few = [Exchange::NONE; FEW];
        let mut many = Vec::new();
        let charges = if let Some(few) = few.get_mut(..self.limits.len()) {
            few
        } else {
            many.resize(self.limits.len(), Exchange::NONE);
            &mut many
        };
        // Twice, because permits may have come back between the two passes.
        for _ in 0..2 {
            if let Some(first) = self.look(request, now, &mut observe, charges) {
                self.charge_all(first, request, now, charges)?;
                keep(charges);
                return Ok(());
            }
            if let Some(denied) = self.refusal(request, now, None) {
                return Err(denied);
            }
        }
        // Not forever: if the two passes keep disagreeing, each limit decides for itself.
        charges.fill(Exchange::NONE);
        self.charge_rest(0, 0, request, now, charges)?;
        keep(charges);
        Ok(())
    }

    /// The first pass: finds the charge of each limit, and the first limit with the least headroom.
    /// `None` if one would refuse.
    #[inline]
    fn look(
        &self,
        request: &impl Fn(usize) -> Request,
        now: Timestamp,
        observe: &mut impl FnMut(usize, u64),
        charges: &mut [Exchange],
    ) -> Option<usize> {
        let mut first = 0;
        let mut least = u64::MAX;
        let places = self.limits.iter().zip(charges).enumerate();
        for (index, (named, place)) in places {
            let PreparedCharge {
                room,
                headroom,
                charge,
            } = named.limit.prepare_at(request(index), now)?;
            observe(index, room);
            *place = charge;
            if headroom < least {
                (first, least) = (index, headroom);
            }
        }
        Some(first)
    }

    /// The second pass: makes the charges, beginning with `first`, and undoes them if one fails.
    #[expect(
        clippy::inline_always,
        reason = "with the first pass beside it the charges stay where they are"
    )]
    #[inline(always)]
    fn charge_all(
        &self,
        first: usize,
        request: &impl Fn(usize) -> Request,
        now: Timestamp,
        charges: &mut [Exchange],
    ) -> Result<(), CombinedDenied> {
        if first != 0 {
            return self.charge_rest(0, first, request, now, charges);
        }
        for (index, (named, &mut charge)) in self.limits.iter().zip(&mut *charges).enumerate() {
            if request(index).cost > 0 && !named.limit.commit(charge) {
                // Not repeated unchanged.
                charges[index] = Exchange::NONE;
                return self.charge_rest(index, first, request, now, charges);
            }
        }
        Ok(())
    }

    /// [`charge_all`](Self::charge_all) from an index on, where the order differs, another call was
    /// faster, or a window has to rotate.
    #[cold]
    #[inline(never)]
    pub(crate) fn charge_rest(
        &self,
        position: usize,
        first: usize,
        request: &impl Fn(usize) -> Request,
        now: Timestamp,
        charges: &mut [Exchange],
    ) -> Result<(), CombinedDenied> {
        for position in position..charges.len() {
            let index = in_order(first, position);
            let cost = request(index).cost;
            let limit = &self.limits[index].limit;
            if cost == 0 || limit.commit(charges[index]) {
                continue;
            }
            match limit.charge_at(cost, now) {
                Ok(charge) => charges[index] = charge,
                Err(denied) => {
                    for position in (0..position).rev() {
                        let index = in_order(first, position);
                        self.take_back(index, request(index).cost, charges[index]);
                    }
                    return Err(self.lost_race(index, denied, request, now));
                }
            }
        }
        Ok(())
    }

    /// The refusal of a call that was rolled back.
    #[cold]
    fn lost_race(
        &self,
        index: usize,
        denied: Denied,
        request: &impl Fn(usize) -> Request,
        now: Timestamp,
    ) -> CombinedDenied {
        let met = CombinedDenied {
            name: self.limits[index].name,
            index,
            denied,
        };
        self.refusal(request, now, Some(met)).unwrap_or(met)
    }

    /// Undoes a charge and counts what does not come back.
    #[cold]
    fn take_back(&self, index: usize, permits: u64, charge: Exchange) {
        if permits > 0 {
            let returned = self.limits[index].limit.undo(permits, charge);
            self.forfeit(permits - returned);
        }
    }

    fn forfeit(&self, permits: u64) {
        add_saturating(&self.forfeited, permits);
    }

    /// The refusal that lasts longest, among the limits' refusals now and one that a charge met.
    #[cold]
    pub(crate) fn refusal(
        &self,
        request: &impl Fn(usize) -> Request,
        now: Timestamp,
        met: Option<CombinedDenied>,
    ) -> Option<CombinedDenied> {
        let mut longest = met;
        for (index, &NamedLimit { name, ref limit }) in self.limits.iter().enumerate() {
            if let Err(denied) = limit.peek_at(request(index).required, now) {
                let refusal = CombinedDenied {
                    name,
                    index,
                    denied,
                };
                if longest.is_none_or(|longest| refusal.outlasts(&longest)) {
                    longest = Some(refusal);
                }
            }
        }
        longest
    }

    /// [`admit`](Self::admit) that returns what undoes it.
    pub(crate) fn charge_each_at(
        &self,
        request: &impl Fn(usize) -> Request,
        now: Timestamp,
    ) -> Result<CombinedCharge, CombinedDenied> {
        let mut made = Vec::new();
        let keep = |charges: &[Exchange]| {
            let places = charges.iter().enumerate();
            made.extend(places.map(|(index, &charge)| (index, request(index).cost, charge)));
        };
        self.charge(request, now, |_, _| (), keep)?;
        Ok(CombinedCharge {
            charges: made,
            permits: 0,
        })
    }

    /// Undoes charges. Passes permits that did not come back, with the limit's index, to `rescue`.
    /// Returns whether all permits came back.
    pub(crate) fn undo_all(
        &self,
        charge: CombinedCharge,
        rescue: impl Fn(usize, u64) -> bool,
    ) -> bool {
        let mut complete = true;
        // Last first, so that each undo finds its limit as the charge left it.
        for (index, permits, charge) in charge.charges.into_iter().rev() {
            // `None` for a charge of another combination.
            let Some(named) = self.limits.get(index) else {
                continue;
            };
            let missing = permits - named.limit.undo(permits, charge);
            if missing > 0 && !rescue(index, missing) {
                self.forfeit(missing);
                complete = false;
            }
        }
        complete
    }
}

/// The limit to charge at `position`, if `first` comes first and the others as declared.
#[inline]
const fn in_order(first: usize, position: usize) -> usize {
    if position > first {
        position
    } else if position == 0 {
        first
    } else {
        position - 1
    }
}
