//! Charging all limits or none: the steps that the [module above](super) describes.

use alloc::vec::Vec;

use super::limit::{Limit, NamedLimit};
use super::{Combined, CombinedCharge, CombinedDenied};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::prepared_charge::{AsOf, Exchange, PreparedCharge, Request};
use crate::sync::add_saturating;

impl<C: Clock> Combined<C> {
    /// Charges every limit or none. Passes each limit's index and [room](PreparedCharge::room)
    /// before the charge to `observe`, and does so again if the first pass is repeated.
    #[inline]
    pub(crate) fn admit(
        &self,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
        observe: impl FnMut(usize, u64),
    ) -> Result<(), CombinedDenied> {
        self.charge(request, at, observe, |_| ())
    }

    /// Like [`admit`](Self::admit), and passes the charges to `keep`, in the order of the limits.
    #[inline]
    fn charge(
        &self,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
        mut observe: impl FnMut(usize, u64),
        keep: impl FnOnce(&[Exchange]),
    ) -> Result<(), CombinedDenied> {
        // The most charges that are kept on the stack.
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
            if let Some(first) = self.prepare(request, at, &mut observe, charges) {
                self.charge_all(first, request, at, charges)?;
                keep(charges);
                return Ok(());
            }
            if let Some(denied) = self.refusal(request, at, None) {
                return Err(denied);
            }
        }
        // Not forever: if the two passes keep disagreeing, each limit decides for itself.
        charges.fill(Exchange::NONE);
        self.charge_rest(0, 0, request, at, charges)?;
        keep(charges);
        Ok(())
    }

    /// The first pass: prepares the charge of each limit, and returns the index of the first limit
    /// with the least headroom. `None` if one would refuse.
    #[inline]
    fn prepare(
        &self,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
        observe: &mut impl FnMut(usize, u64),
        charges: &mut [Exchange],
    ) -> Option<usize> {
        let mut first = 0;
        let mut least = u64::MAX;
        let limits = self.limits.iter().zip(charges).enumerate();
        for (index, (named, prepared)) in limits {
            let PreparedCharge {
                room,
                headroom,
                charge,
            } = named.limit.prepare_at(request(index), at)?;
            observe(index, room);
            *prepared = charge;
            if headroom < least {
                (first, least) = (index, headroom);
            }
        }
        Some(first)
    }

    /// The second pass: makes the charges, beginning with `first`, and undoes them if one fails.
    #[expect(
        clippy::inline_always,
        reason = "inlined after the first pass, the charges need not be copied"
    )]
    #[inline(always)]
    fn charge_all(
        &self,
        first: usize,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
        charges: &mut [Exchange],
    ) -> Result<(), CombinedDenied> {
        if first != 0 {
            return self.charge_rest(0, first, request, at, charges);
        }
        for (index, (named, &mut charge)) in self.limits.iter().zip(&mut *charges).enumerate() {
            if request(index).cost > 0 && !named.limit.commit(charge) {
                // The prepared exchange failed, so it must not be tried again.
                charges[index] = Exchange::NONE;
                return self.charge_rest(index, first, request, at, charges);
            }
        }
        Ok(())
    }

    /// [`charge_all`](Self::charge_all) from a position on, where the order differs, another call
    /// was faster, or a window has to rotate.
    #[cold]
    #[inline(never)]
    pub(crate) fn charge_rest(
        &self,
        position: usize,
        first: usize,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
        charges: &mut [Exchange],
    ) -> Result<(), CombinedDenied> {
        for position in position..charges.len() {
            let index = limit_at(first, position);
            let cost = request(index).cost;
            let limit = &self.limits[index].limit;
            if cost == 0 || limit.commit(charges[index]) {
                continue;
            }
            match limit.charge_at(cost, at) {
                Ok(charge) => charges[index] = charge,
                Err(denied) => {
                    for position in (0..position).rev() {
                        let index = limit_at(first, position);
                        self.undo_or_forfeit(index, request(index).cost, charges[index]);
                    }
                    return Err(self.lost_race(index, denied, request, at));
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
        at: AsOf,
    ) -> CombinedDenied {
        let own = CombinedDenied {
            name: self.limits[index].name,
            index,
            denied,
        };
        self.refusal(request, at, Some(own)).unwrap_or(own)
    }

    /// Undoes a charge and counts what does not come back.
    #[cold]
    fn undo_or_forfeit(&self, index: usize, permits: u64, charge: Exchange) {
        if permits > 0 {
            let returned = self.limits[index].limit.undo(permits, charge);
            self.forfeit(permits - returned);
        }
    }

    fn forfeit(&self, permits: u64) {
        add_saturating(&self.forfeited, permits);
    }

    /// The refusal that lasts the longest, among the limits' refusals now and the call's `own`.
    #[cold]
    pub(crate) fn refusal(
        &self,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
        own: Option<CombinedDenied>,
    ) -> Option<CombinedDenied> {
        self.longest(own, |index, limit| {
            limit.peek_at(request(index).required, at).err()
        })
    }

    /// The refusal that lasts the longest, of each limit's `refusal` and the call's `own`.
    pub(crate) fn longest(
        &self,
        own: Option<CombinedDenied>,
        refusal: impl Fn(usize, &Limit<C>) -> Option<Denied>,
    ) -> Option<CombinedDenied> {
        let mut longest = own;
        for (index, &NamedLimit { name, ref limit }) in self.limits.iter().enumerate() {
            let Some(denied) = refusal(index, limit) else {
                continue;
            };
            let refusal = CombinedDenied {
                name,
                index,
                denied,
            };
            if longest.is_none_or(|longest| refusal.outlasts(&longest)) {
                longest = Some(refusal);
            }
        }
        longest
    }

    /// Like [`admit`](Self::admit), but returns the charges for [`undo_all`](Self::undo_all).
    pub(crate) fn charge_each_at(
        &self,
        request: &impl Fn(usize) -> Request,
        at: AsOf,
    ) -> Result<CombinedCharge, CombinedDenied> {
        let mut made = Vec::new();
        let keep = |charges: &[Exchange]| {
            let charges = charges.iter().enumerate();
            made.extend(charges.map(|(index, &charge)| (index, request(index).cost, charge)));
        };
        self.charge(request, at, |_, _| (), keep)?;
        Ok(CombinedCharge {
            charges: made,
            permits: 0,
        })
    }

    /// Undoes charges. Calls `rescue` with a limit's index and the permits that did not come back.
    /// These are forfeited unless `rescue` returns `true`. Returns whether none were forfeited.
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

/// The index of the limit to charge at `position`: `first` is charged first, and the others follow
/// in the order of declaration.
#[inline]
const fn limit_at(first: usize, position: usize) -> usize {
    if position > first {
        position
    } else if position == 0 {
        first
    } else {
        position - 1
    }
}
